"""Test standing: a step of somebody who holds a case is taken only if the person still holds it in that moment."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from storage.casework.assignments import Assignments
from storage.casework.cases import Cases
from tests.support.case_steps import LINK, MOVE
from tests.support.ways_of_seeing import Seen, see
from tests.support.world import FINISH, HAND_ON, WITHDRAW, World, new_id

pytestmark = pytest.mark.both_drivers

Step = Callable[[Seen], Awaitable[dict[str, Any]]]


async def move(seen: Seen) -> dict[str, Any]:
    return await seen.do(MOVE, id=new_id("evt"), caseId=seen.case, to="RECTIFYING")


async def link(seen: Seen) -> dict[str, Any]:
    return await seen.do(LINK, id=new_id("evt"), caseId=seen.case, observationIds=[seen.own])


async def hand_on(seen: Seen, id: str | None = None) -> dict[str, Any]:
    officer = seen.world.people["officer"].id
    return await seen.do(HAND_ON, id=id or new_id("asg"), assignmentId=seen.assignment, assigneeId=officer)


@pytest.mark.parametrize(
    ("owner", "method", "step"),
    [
        (Cases, "move", move),
        (Cases, "_check_holder", move),
        (Cases, "link", link),
        (Cases, "_check_holder", link),
        (Assignments, "offer", hand_on),
    ],
)
async def test_a_step_that_races_with_the_end_of_the_assignment_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, owner: type, method: str, step: Step
) -> None:
    """The assignment ends before the write, or within its transaction, right after this has found the holder."""
    seen = await see(world, "accepted")
    really = getattr(owner, method)
    inside = method.startswith("_")
    ended: list[dict[str, Any]] = []

    async def end() -> None:
        if not ended:
            ended.append({})
            await seen.do(FINISH, id=seen.assignment, result="属实")
            ended[0] = await world.snapshot()

    async def late(*arguments: Any) -> Any:
        if inside:
            result = await really(*arguments)
            await end()
            return result
        await end()
        return await really(*arguments)

    monkeypatch.setattr(owner, method, late)
    answer = await step(seen)
    assert answer.get("code") == "OUT_OF_SCOPE", answer
    assert [await world.snapshot()] == ended


async def test_only_the_holder_of_an_assignment_withdraws_an_offer_to_hand_it_on(world: World) -> None:
    seen, offer = await see(world, "accepted"), new_id("asg")
    await hand_on(seen, offer)
    await seen.do(FINISH, id=seen.assignment, result="属实")
    before = await world.snapshot()
    assert (await seen.do(WITHDRAW, id=offer)).get("code") == "OUT_OF_SCOPE"
    assert await world.snapshot() == before
    taken = await world.ask("city_officer", WITHDRAW, input={"id": offer})
    assert taken["withdrawAssignment"]["assignment"]["state"] == "WITHDRAWN"


async def test_a_repeated_step_of_a_former_holder_returns_the_same_result(world: World) -> None:
    seen = await see(world, "accepted")
    given = {"id": new_id("evt"), "caseId": seen.case, "to": "RECTIFYING"}
    await seen.do(MOVE, **given)
    await seen.do(FINISH, id=seen.assignment, result="属实")
    before = await world.snapshot()
    assert (await seen.do(MOVE, **given))["case"]["state"] == "RECTIFYING"
    assert await world.snapshot() == before
