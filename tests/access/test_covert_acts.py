"""Test that an act stays covert when its person later has open roles only: an inspector or monitor becomes an officer."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from api.checks.runner import CheckRunner
from api.graphql.context import clock
from schema.access.viewers import Role
from tests.support.case_steps import assign_case
from tests.support.flags import HERE, REVIEW, flags_of
from tests.support.packs import files_of, packed
from tests.support.redactions import approved, awaiting, one, ready_photo
from tests.support.thresholds import SET, THRESHOLD
from tests.support.world import ACCEPT, ASSIGN, CASE, CASE_FIELDS, FINISH, World, new_id

OBSERVATION = """
query One($id: ID!) { observation(id: $id) { author { id } assignment { assignee { id } offeredBy { id } } } }"""
ASSIGNMENTS = "{ assignments(first: 50) { edges { node { id assignee { id } offeredBy { id } } } } }"
THRESHOLDS = f"query All($unit: ID!) {{ thresholds(unitId: $unit) {{ settings {{ {THRESHOLD} }} }} }}"
POINTS = "{ monitoringPoints { edges { node { code monitors { id } } } } }"


async def change_roles(world: World, name: str, *roles: Role) -> str:
    """Give a person other roles. Return the person's id."""
    world.people[name] = replace(world.people[name], roles=list(roles))
    await world.store.users.put_all([world.people[name]])
    return str(world.people[name].id)


def names(acts: Sequence[dict[str, Any]], kind: str) -> list[str | None]:
    return [act["by"] and act["by"]["id"] for act in acts if act["kind"] == kind]


async def investigated_by_inspector(world: World) -> tuple[str, str]:
    """Let the inspector accept and finish a case. Return the ids of the case and the assignment."""
    case_id, id = await assign_case(world, "inspector")
    assert "assignment" in (await world.ask("inspector", ACCEPT, input={"id": id}))["acceptAssignment"]
    finished = await world.ask("inspector", FINISH, input={"id": id, "result": "已核实"})
    assert "assignment" in finished["finishAssignment"]
    return case_id, id


async def test_a_former_inspector_is_not_named_for_a_case_that_they_investigated(world: World) -> None:
    case_id, id = await investigated_by_inspector(world)
    person = await change_roles(world, "inspector", Role.OFFICER)
    for name, named in (("clerk", None), ("supervisor", None), ("officer", person), ("inspector", person)):
        case = (await world.ask(name, CASE, id=case_id))["case"]
        assert (case["responsible"] and case["responsible"]["id"]) == named, name
        for kind in ("HAND_OVER_ACCEPTED", "FINISHED"):
            assert names(case["history"], kind) == [named], name
        assert case["firstResponder"] == {"id": world.people["officer"].id}
        assert names(case["history"], "ASSIGNED") == [world.people["officer"].id]
        edges = (await world.ask(name, ASSIGNMENTS))["assignments"]["edges"]
        [assignment] = [edge["node"] for edge in edges if edge["node"]["id"] == id]
        assert (assignment["assignee"] and assignment["assignee"]["id"]) == named, name
        assert assignment["offeredBy"] == {"id": world.people["officer"].id}


async def test_a_former_inspector_is_not_named_by_the_assignment_of_an_observation(world: World) -> None:
    given = {"id": new_id("asg"), "unitId": world.units["360703-JT"].id, "assigneeId": world.people["inspector"].id}
    assert "assignment" in (await world.ask("officer", ASSIGN, input=given))["assign"]
    await world.ask("inspector", ACCEPT, input={"id": given["id"]})
    id = await world.observe(assignmentId=given["id"])
    person = await change_roles(world, "inspector", Role.OFFICER)
    for name, named in (("clerk", None), ("officer", {"id": person})):
        seen = (await world.ask(name, OBSERVATION, id=id))["observation"]
        assert (seen["author"], seen["assignment"]["assignee"]) == (named, named)


async def test_a_person_who_was_covert_only_when_accepting_is_not_named(world: World) -> None:
    case_id, id = await assign_case(world, "supervisor")
    await change_roles(world, "supervisor", Role.INSPECTOR)
    await world.ask("supervisor", ACCEPT, input={"id": id})
    person = await change_roles(world, "supervisor", Role.SUPERVISOR)
    for name, named in (("clerk", None), ("officer", {"id": person})):
        case = (await world.ask(name, CASE, id=case_id))["case"]
        edges = (await world.ask(name, ASSIGNMENTS))["assignments"]["edges"]
        assert case["responsible"] == named
        assert [edge["node"]["assignee"] for edge in edges if edge["node"]["id"] == id] == [named]


async def test_a_person_who_acted_openly_stays_named_for_it(world: World) -> None:
    case_id, id = await assign_case(world, "supervisor")
    await world.ask("supervisor", ACCEPT, input={"id": id})
    case = (await world.ask("clerk", CASE, id=case_id))["case"]
    assert case["responsible"] == {"id": world.people["supervisor"].id}
    assert names(case["history"], "HAND_OVER_ACCEPTED") == [world.people["supervisor"].id]


async def test_an_answer_from_a_phone_keeps_that_its_sender_was_covert(world: World) -> None:
    answer = """mutation Answer($input: AnswerAssignmentsInput!) {
      answerAssignments(input: $input) { ... on AnswerAssignmentsPayload { results { outcome } } }
    }"""
    case_id, id = new_id("cas"), new_id("asg")
    sent = {"id": new_id("ans"), "assignmentId": id, "kind": "ACCEPT", "answeredAt": "2026-11-20T09:05:00+08:00"}
    held = await world.ask("inspector", answer, input={"answers": [sent]})
    assert held["answerAssignments"]["results"] == [{"outcome": "HELD"}]
    await world.open_case(id=case_id)
    given = {"id": id, "caseId": case_id, "assigneeId": world.people["inspector"].id}
    assert (await world.ask("officer", ASSIGN, input=given))["assign"]["assignment"]["state"] == "ACCEPTED"
    person = await change_roles(world, "inspector", Role.OFFICER)
    for name, named in (("clerk", None), ("officer", person)):
        case = (await world.ask(name, CASE, id=case_id))["case"]
        assert names(case["history"], "HAND_OVER_ACCEPTED") == [named]


async def test_records_from_before_covertness_was_noted_count_as_covert(world: World) -> None:
    observation, (case_id, id) = await world.observe("clerk"), await assign_case(world, "clerk")
    await world.ask("clerk", ACCEPT, input={"id": id})
    asked = f"query($case: ID!, $own: ID!) {{ case(id: $case) {{ {CASE_FIELDS} }} observation(id: $own) {{ author {{ id }} }} }}"

    async def named() -> list[bool]:
        seen = await world.ask("supervisor", asked, case=case_id, own=observation)
        edges = (await world.ask("supervisor", ASSIGNMENTS))["assignments"]["edges"]
        assignees = [edge["node"]["assignee"] for edge in edges if edge["node"]["id"] == id]
        accepted = names(seen["case"]["history"], "HAND_OVER_ACCEPTED")
        return [seen["observation"]["author"] is not None, assignees != [None], accepted != [None]]

    assert await named() == [True] * 3
    for name, field in (
        ("observations", "author_is_covert"),
        ("assignments", "assignee_capacity"),
        ("cases", "history.$[].by_capacity"),
    ):
        await world.store.mongo.collection(name).update_many({}, {"$unset": {field: ""}})
    assert await named() == [False] * 3


async def test_a_former_monitor_is_not_named_by_the_monitoring_point(world: World) -> None:
    person = await change_roles(world, "monitor", Role.OFFICER)
    for name, named in (("clerk", []), ("supervisor", []), ("admin", []), ("officer", [{"id": person}])):
        edges = (await world.ask(name, POINTS))["monitoringPoints"]["edges"]
        assert [edge["node"]["monitors"] for edge in edges] == [named], name


async def test_a_pack_without_identities_leaves_out_a_former_inspector(world: World) -> None:
    case_id, _ = await investigated_by_inspector(world)
    person = await change_roles(world, "inspector", Role.OFFICER)
    for name, identities, named in (("clerk", True, False), ("officer", False, False), ("officer", True, True)):
        pack = await packed(world, name, case_id, identities=identities)
        assert (person in str(files_of(pack)["case.json"])) == named, name


async def test_a_former_inspector_is_not_named_for_a_review_of_a_flag(world: World) -> None:
    id = await world.observe(position=HERE | {"isMock": True})
    await CheckRunner(world.store, clock).do_all()
    [flag] = await flags_of(world, id) or []
    await change_roles(world, "clerk", Role.OFFICER, Role.INSPECTOR)
    given = {"id": new_id("evt"), "flagId": flag["id"], "verdict": "EXPLAINED", "note": "测试设备"}
    assert (await world.ask("clerk", REVIEW, input=given))["reviewFlag"]["flag"]["state"] == "REVIEWED"
    person = await change_roles(world, "clerk", Role.OFFICER)
    for name, named in (("supervisor", None), ("officer", {"id": person}), ("clerk", {"id": person})):
        [flag] = await flags_of(world, id, name) or []
        assert [review["by"] for review in flag["reviews"]] == [named], name
    case_id = str((await world.open_case("officer", id))["id"])
    for identities in (False, True):
        pack = await packed(world, "officer", case_id, identities=identities)
        assert (person in str(files_of(pack)["case.json"])) == identities


async def test_a_former_inspector_is_not_named_for_a_threshold(world: World) -> None:
    unit = world.units["360703"].id
    for roles in ((Role.OFFICER, Role.INSPECTOR), (Role.OFFICER,)):
        person = await change_roles(world, "clerk", *roles)
        given = {"id": new_id("thr"), "unitId": unit, "kind": "UNIT_DISTANCE", "value": 900}
        assert (await world.ask("clerk", SET, input=given))["setThreshold"]["threshold"]["setBy"] == {"id": person}
    for name, named in (("supervisor", None), ("officer", {"id": person})):
        settings = (await world.ask(name, THRESHOLDS, unit=unit))["thresholds"]["settings"]
        assert [each["setBy"] for each in settings if each["unit"]] == [named, {"id": person}], name


async def test_former_inspectors_are_not_named_for_a_redaction(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    await change_roles(world, "clerk", Role.OFFICER, Role.INSPECTOR)
    await change_roles(world, "supervisor2", Role.OFFICER, Role.MONITOR)
    made = await awaiting(world, tmp_path, photo, "clerk")
    assert (await approved(world, made, "supervisor2"))["state"] == "APPROVED"
    clerk, approver = [{"id": await change_roles(world, name, Role.OFFICER)} for name in ("clerk", "supervisor2")]
    for name, first, second in (("supervisor", None, None), ("officer", clerk, approver)):
        seen = await one(world, name, made["id"])
        assert seen
        assert (seen["requestedBy"], seen["decidedBy"]) == (first, second), name
        steps = {each["kind"]: each["by"] for each in seen["history"]}
        assert steps == {"REQUESTED": first, "PROPOSED": None, "CORRECTED": first, "RENDERED": None, "APPROVED": second}
