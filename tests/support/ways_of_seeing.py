"""Build a case of the city, and a county officer who has come to see it in one of several ways."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.checks.runner import CheckRunner
from api.graphql.context import clock
from schema.access.viewers import Role
from tests.support.case_steps import MOVE, assign_case
from tests.support.flags import HERE, flags_of
from tests.support.notices import ended_notice
from tests.support.redactions import ready_photo, requested
from tests.support.world import ACCEPT, FINISH, HAND_ON, WITHDRAW, World, new_id

WAYS = (
    "stranger",
    "author",
    "ex-covert",
    "offered",
    "accepted",
    "handed on",
    "finished",
    "withdrawn",
    "scope",
)
"""How the person has come to see the case or its evidence.

`author` recorded the evidence as an officer of the city, and now works for the county. `ex-covert` recorded it as a
covert inspector of the city, and is now an officer of the county. From `offered` to `withdrawn`, the city offered the
case to the person, and then the named thing happened. `scope` is an officer of the city.
"""


@dataclass(frozen=True)
class Seen:
    """A case of the city, its evidence, and the person who sees it in one way.

    `assignment` is the person's own assignment of the case, or an unknown id. `offer` is another person's open offer of
    the case, `spare` an observation of the city that is not in the case, and `own` one of the county. `notice` is a notice of
    the case that has ended.
    """

    world: World
    person: str
    case: str
    evidence: Sequence[str]
    photo: str
    flag: str
    redaction: str
    notice: str
    assignment: str
    offer: str
    spare: str
    own: str

    async def do(self, mutation: str, **input: Any) -> dict[str, Any]:
        [answer] = (await self.world.ask(self.person, mutation, input=input)).values()
        found: dict[str, Any] = answer
        return found

    async def as_office(self, to: str, **more: Any) -> None:
        """Move the case as an officer of the city."""
        step = {"id": new_id("evt"), "caseId": self.case, "to": to} | more
        answer = (await self.world.ask("city_officer", MOVE, input=step))["moveCase"]
        assert "case" in answer, answer


async def see(world: World, way: str, *, accept: bool = True) -> Seen:
    """Build a case of the city that the person sees in the given way.

    The case is INVESTIGATING, because a supervisor of the county has accepted it. Without `accept` it is RECEIVED.
    """
    person = "city_officer" if way == "scope" else "clerk"
    author = "clerk" if way in {"author", "ex-covert"} else "city_inspector"
    if author == "clerk":
        _employ(world, author, "360700", Role.INSPECTOR if way == "ex-covert" else Role.OFFICER)
    evidence, photo = await ready_photo(world, by=author, observation={"position": HERE | {"isMock": True}})
    second = await world.observe(author)
    if author == "clerk":
        _employ(world, author, "360703", Role.OFFICER)
    await CheckRunner(world.store, clock).do_all()
    flag, *_ = await flags_of(world, evidence, "city_officer") or []
    case = await world.open_case("city_officer", evidence, second, accept=accept)
    offer = assignment = str(new_id("asg"))
    if accept:
        _, investigating = await assign_case(world, "supervisor", case["id"], by="city_officer")
        await world.ask("supervisor", ACCEPT, input={"id": investigating})
        _, offer = await assign_case(world, "supervisor2", case["id"], by="city_officer")
        assignment = await _assign(world, way, case["id"])
    return Seen(
        world,
        person,
        case["id"],
        (evidence, second),
        photo,
        flag["id"],
        await requested(world, photo, "city_officer"),
        await ended_notice(world, case["id"]),
        assignment,
        offer,
        await world.observe("city_inspector"),
        await world.observe(),
    )


def _employ(world: World, name: str, code: str, role: Role) -> None:
    person, scope, office = world.people[name], world.units[code], world.units[f"{code}-XNB"]
    person.roles = [role]
    person.scope_ids, person.scope_paths = (scope.id,), (scope.path,)
    person.office_id, person.office_path = office.id, office.path


async def _assign(world: World, way: str, case_id: str) -> str:
    """Offer the case to the county officer, and bring the assignment into the state of that way. Return its id."""
    if way not in {"offered", "accepted", "handed on", "finished", "withdrawn"}:
        return new_id("asg")
    _, id = await assign_case(world, "clerk", case_id, by="city_officer")
    if way == "withdrawn":
        await world.ask("city_officer", WITHDRAW, input={"id": id})
    elif way != "offered":
        await world.ask("clerk", ACCEPT, input={"id": id})
    if way == "handed on":
        onward = {"id": new_id("asg"), "assignmentId": id, "assigneeId": world.people["officer"].id}
        await world.ask("clerk", HAND_ON, input=onward)
        await world.ask("officer", ACCEPT, input={"id": onward["id"]})
    elif way == "finished":
        await world.ask("clerk", FINISH, input={"id": id, "result": "属实"})
    return id
