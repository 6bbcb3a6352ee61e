"""Test assignments: a case always has one responsible person, through every hand-over and repeated step."""

import asyncio

import pytest

from tests.support.case_steps import move_case, offer_case, open_investigated_case
from tests.support.world import ACCEPT, ASSIGN, CASE, FINISH, HAND_ON, WITHDRAW, World, new_id

pytestmark = pytest.mark.both_drivers

ASSIGNMENTS = """
query Mine($filter: AssignmentFilter) {
  assignments(filter: $filter) { edges { node { id state assignee { id } case { id } } } }
}"""


async def responsible(world: World, case_id: str) -> tuple[str, str]:
    case = (await world.ask("officer", CASE, id=case_id))["case"]
    names = {person.id: name for name, person in world.people.items()}
    return names[case["responsible"]["id"]], case["state"]


async def test_the_first_responder_stays_responsible_until_another_person_accepts(world: World) -> None:
    case_id, id = await offer_case(world)
    assert await responsible(world, case_id) == ("officer", "ASSIGNED")
    accepted = (await world.ask("supervisor", ACCEPT, input={"id": id}))["acceptAssignment"]
    assert accepted["assignment"]["state"] == "ACCEPTED"
    assert accepted["case"]["responsible"] == {"id": world.people["supervisor"].id}
    assert await responsible(world, case_id) == ("supervisor", "INVESTIGATING")


async def test_a_person_handing_on_stays_responsible_until_the_other_accepts(world: World) -> None:
    case_id, id = await offer_case(world)
    await world.ask("supervisor", ACCEPT, input={"id": id})
    onward = {"id": new_id("asg"), "assignmentId": id, "assigneeId": world.people["supervisor2"].id}
    offer = (await world.ask("supervisor", HAND_ON, input=onward))["handOnAssignment"]
    assert offer["assignment"]["state"] == "OFFERED", offer
    assert await responsible(world, case_id) == ("supervisor", "INVESTIGATING")
    await world.ask("supervisor2", ACCEPT, input={"id": onward["id"]})
    assert await responsible(world, case_id) == ("supervisor2", "INVESTIGATING")
    states = {
        each["id"]: each["state"] for each in (await world.ask("officer", CASE, id=case_id))["case"]["assignments"]
    }
    assert states == {id: "HANDED_ON", onward["id"]: "ACCEPTED"}
    kinds = [each["kind"] for each in (await world.ask("officer", CASE, id=case_id))["case"]["history"]]
    assert kinds == ["OPENED", "MOVED", "ASSIGNED", "HAND_OVER_ACCEPTED", "HANDED_ON", "HAND_OVER_ACCEPTED"]


async def test_a_repeated_step_changes_nothing(world: World) -> None:
    case = await world.open_case()
    given = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people["supervisor"].id}
    for _ in range(2):
        assert (await world.ask("officer", ASSIGN, input=given))["assign"]["assignment"]["id"] == given["id"]
    for _ in range(2):
        await world.ask("supervisor", ACCEPT, input={"id": given["id"]})
    assert (await world.ask("officer", ASSIGN, input=given))["assign"]["assignment"]["state"] == "ACCEPTED"
    for _ in range(2):
        done = (await world.ask("supervisor", FINISH, input={"id": given["id"], "result": "属实"}))["finishAssignment"]
        assert (done["assignment"]["state"], done["assignment"]["result"]) == ("FINISHED", "属实")
    history = (await world.ask("officer", CASE, id=case["id"]))["case"]["history"]
    assert [each["kind"] for each in history] == ["OPENED", "MOVED", "ASSIGNED", "HAND_OVER_ACCEPTED", "FINISHED"]


async def test_concurrent_acceptance_counts_once(world: World) -> None:
    case_id, id = await offer_case(world)
    await asyncio.gather(*(world.ask("supervisor", ACCEPT, input={"id": id}) for _ in range(6)))
    history = (await world.ask("officer", CASE, id=case_id))["case"]["history"]
    assert [each["kind"] for each in history].count("HAND_OVER_ACCEPTED") == 1


async def test_different_content_under_a_taken_id_is_a_conflict(world: World) -> None:
    case_id, id = await offer_case(world)
    before = await world.snapshot()
    given = {"id": id, "caseId": case_id, "assigneeId": world.people["supervisor2"].id}
    assert (await world.ask("officer", ASSIGN, input=given))["assign"]["code"] == "CONFLICT"
    assert await world.snapshot() == before


async def test_only_the_assignee_accepts_and_finishes(world: World) -> None:
    _, id = await offer_case(world)
    before = await world.snapshot()
    for name in ("supervisor2", "officer", "inspector"):
        assert (await world.ask(name, ACCEPT, input={"id": id}))["acceptAssignment"]["code"] == "NOT_FOUND"
        answer = await world.ask(name, FINISH, input={"id": id, "result": "完"})
        assert answer["finishAssignment"]["code"] == "NOT_FOUND"
    assert (await world.ask("supervisor", FINISH, input={"id": id, "result": "完"}))["finishAssignment"][
        "code"
    ] == "WRONG_STATE"
    assert await world.snapshot() == before


async def test_an_offer_can_be_withdrawn_until_it_is_accepted(world: World) -> None:
    case_id, id = await offer_case(world)
    taken = (await world.ask("officer", WITHDRAW, input={"id": id}))["withdrawAssignment"]
    assert taken["assignment"]["state"] == "WITHDRAWN"
    assert (await world.ask("supervisor", ACCEPT, input={"id": id}))["acceptAssignment"]["code"] == "WRONG_STATE"
    assert await responsible(world, case_id) == ("officer", "ASSIGNED")
    _, second = await offer_case(world)
    await world.ask("supervisor", ACCEPT, input={"id": second})
    assert (await world.ask("officer", WITHDRAW, input={"id": second}))["withdrawAssignment"]["code"] == "WRONG_STATE"


@pytest.mark.parametrize(
    ("to", "code"), [("monitor", "BAD_INPUT"), ("liaison", "BAD_INPUT"), ("neighbour_supervisor", "OUT_OF_SCOPE")]
)
async def test_a_case_is_assigned_only_to_people_who_may_handle_it(world: World, to: str, code: str) -> None:
    case = await world.open_case()
    before = await world.snapshot()
    given = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people[to].id}
    assert (await world.ask("officer", ASSIGN, input=given))["assign"]["code"] == code
    assert await world.snapshot() == before


async def test_a_case_that_is_not_accepted_cannot_be_assigned(world: World) -> None:
    case = await world.open_case(accept=False)
    given = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people["supervisor"].id}
    before = await world.snapshot()
    assert (await world.ask("officer", ASSIGN, input=given))["assign"]["code"] == "WRONG_STATE"
    assert await world.snapshot() == before


async def test_an_inspector_sent_to_a_unit_stays_hidden_from_uncleared_people(world: World) -> None:
    given = {
        "id": new_id("asg"),
        "unitId": world.units["360703-JT"].id,
        "assigneeId": world.people["inspector"].id,
        "dueOn": "2026-12-01",
    }
    assert (await world.ask("clerk", ASSIGN, input=given))["assign"]["code"] == "NOT_FOUND"
    sent = (await world.ask("officer", ASSIGN, input=given))["assign"]["assignment"]
    assert (sent["kind"], sent["unit"], sent["dueOn"]) == ("INSPECTION", {"code": "360703-JT"}, "2026-12-01")
    [mine] = (await world.ask("inspector", ASSIGNMENTS, filter={"mine": True}))["assignments"]["edges"]
    assert mine["node"]["id"] == given["id"]
    [seen] = (await world.ask("supervisor", ASSIGNMENTS))["assignments"]["edges"]
    assert seen["node"]["assignee"] is None


async def test_a_county_supervisor_sees_a_city_case_while_it_is_assigned_to_them(world: World) -> None:
    seen = await world.observe("city_inspector")
    case = await world.open_case("city_officer", seen)
    assert (await world.ask("supervisor", CASE, id=case["id"]))["case"] is None
    given = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people["supervisor"].id}
    await world.ask("city_officer", ASSIGN, input=given)
    opened = (await world.ask("supervisor", CASE, id=case["id"]))["case"]
    assert opened["observations"] == [{"id": seen}]
    assert (await world.ask("supervisor2", CASE, id=case["id"]))["case"] is None
    await world.ask("city_officer", WITHDRAW, input={"id": given["id"]})
    assert (await world.ask("supervisor", CASE, id=case["id"]))["case"] is None


async def test_only_one_of_two_hand_over_offers_can_be_accepted(world: World) -> None:
    case_id, id = await offer_case(world)
    await world.ask("supervisor", ACCEPT, input={"id": id})
    onward = []
    for name in ("supervisor2", "clerk"):
        given = {"id": new_id("asg"), "assignmentId": id, "assigneeId": world.people[name].id}
        await world.ask("supervisor", HAND_ON, input=given)
        onward.append(given["id"])
    await world.ask("supervisor2", ACCEPT, input={"id": onward[0]})
    before = await world.snapshot()
    answer = (await world.ask("clerk", ACCEPT, input={"id": onward[1]}))["acceptAssignment"]
    assert answer.get("code") == "WRONG_STATE"
    assert await world.snapshot() == before
    assert (await responsible(world, case_id))[0] == "supervisor2"


async def test_a_hand_over_offer_of_a_finished_assignment_cannot_be_accepted(world: World) -> None:
    _, id = await offer_case(world)
    await world.ask("supervisor", ACCEPT, input={"id": id})
    given = {"id": new_id("asg"), "assignmentId": id, "assigneeId": world.people["supervisor2"].id}
    await world.ask("supervisor", HAND_ON, input=given)
    await world.ask("supervisor", FINISH, input={"id": id, "result": "属实"})
    before = await world.snapshot()
    answer = (await world.ask("supervisor2", ACCEPT, input={"id": given["id"]}))["acceptAssignment"]
    assert answer.get("code") == "WRONG_STATE"
    assert await world.snapshot() == before


async def test_an_offer_of_a_closed_case_cannot_be_accepted(world: World) -> None:
    id = await open_investigated_case(world)
    given = {"id": new_id("asg"), "caseId": id, "assigneeId": world.people["supervisor2"].id}
    await world.ask("officer", ASSIGN, input=given)
    await move_case(world, id, "CLOSED", outcome="UNFOUNDED", reply="不实")
    before = await world.snapshot()
    answer = (await world.ask("supervisor2", ACCEPT, input={"id": given["id"]}))["acceptAssignment"]
    assert answer.get("code") == "WRONG_STATE"
    assert await world.snapshot() == before
    assert await responsible(world, id) == ("supervisor", "CLOSED")


async def test_an_officer_without_an_office_cannot_assign_a_case(world: World) -> None:
    case = await world.open_case()
    person = world.people["clerk"]
    person.office_id = person.office_path = None
    given = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people["supervisor"].id}
    before = await world.snapshot()
    answer = (await world.ask("clerk", ASSIGN, input=given))["assign"]
    assert answer.get("code") == "FORBIDDEN"
    assert await world.snapshot() == before


async def test_a_second_step_in_one_document_returns_the_updated_case(world: World) -> None:
    case = await world.open_case()
    document = """
    mutation($give: AssignInput!, $take: StepAssignmentInput!) {
      a: assign(input: $give) { ... on AssignmentPayload { case { history { kind } } } }
      b: withdrawAssignment(input: $take) { ... on AssignmentPayload { case { history { kind } } } }
    }"""
    id = new_id("asg")
    give = {"id": id, "caseId": case["id"], "assigneeId": world.people["supervisor"].id}
    answer = await world.ask("officer", document, give=give, take={"id": id})
    assert [each["kind"] for each in answer["b"]["case"]["history"]][-1] == "WITHDRAWN"


async def test_an_empty_state_filter_matches_nothing(world: World) -> None:
    await offer_case(world)
    ask = "query($f: AssignmentFilter) { assignments(filter: $f) { edges { node { id } } } }"
    assert (await world.ask("officer", ask, f={"states": []}))["assignments"]["edges"] == []
