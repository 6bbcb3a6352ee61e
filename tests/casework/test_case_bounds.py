"""Test the bounds of a case's history, and of the number of cases that rest on one observation."""

from typing import Any

import pytest

from tests.support.case_steps import LINK, UNLINK, move_case, open_investigated_case
from tests.support.world import ACCEPT, ASSIGN, FINISH, HAND_ON, OPEN, World, new_id


async def test_a_case_with_a_full_history_can_only_go_to_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The case may still be assigned, because otherwise it could not end, until its history is twice as long."""
    case_id = await open_investigated_case(world)
    [case] = await world.store.cases.many([case_id])
    [assignment] = await world.store.mongo.collection("assignments").find({})
    to = {"assigneeId": world.people["supervisor2"].id}

    async def assign() -> dict[str, Any]:
        given = to | {"id": new_id("asg"), "caseId": case_id}
        answer: dict[str, Any] = (await world.ask("officer", ASSIGN, input=given))["assign"]
        return answer

    async def hand_on() -> dict[str, Any]:
        given = to | {"id": new_id("asg"), "assignmentId": assignment["_id"]}
        answer: dict[str, Any] = (await world.ask("supervisor", HAND_ON, input=given))["handOnAssignment"]
        return answer

    monkeypatch.setattr("api.casework.case_transitions.MAX_HISTORY", len(case.history) // 2)
    before = await world.snapshot()
    for refused in (await move_case(world, case_id, "RECTIFYING"), await assign(), await hand_on()):
        assert (refused["code"], refused["field"]) == ("LIMIT_EXCEEDED", "caseId")
    assert await world.snapshot() == before
    monkeypatch.setattr("api.casework.case_transitions.MAX_HISTORY", len(case.history))
    assert (await hand_on())["code"] == "LIMIT_EXCEEDED"
    assert await world.snapshot() == before
    offered = (await assign())["assignment"]
    await world.ask("supervisor2", ACCEPT, input={"id": offered["id"]})
    await world.ask("supervisor2", FINISH, input={"id": offered["id"], "result": "已核实"})
    await move_case(world, case_id, "RECTIFYING")
    await move_case(world, case_id, "VERIFYING")
    assert (await move_case(world, case_id, "RECTIFYING"))["code"] == "LIMIT_EXCEEDED"
    closed = await move_case(world, case_id, "CLOSED", outcome="SUBSTANTIATED", reply="已处理")
    assert closed["case"]["state"] == "CLOSED"
    assert (await move_case(world, case_id, "REOPENED", reason="再查"))["code"] == "LIMIT_EXCEEDED"


async def test_an_observation_is_evidence_of_a_limited_number_of_cases(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.casework.standing.MAX_CASES", 1)
    observation, case = await world.observe(), await world.open_case()
    first = await world.open_case("officer", observation)
    before = await world.snapshot()
    given = {"id": new_id("cas"), "title": "再立一案", "observationIds": [observation]}
    assert (await world.ask("officer", OPEN, input=given))["openCase"]["code"] == "LIMIT_EXCEEDED"
    step = {"id": new_id("evt"), "caseId": case["id"], "observationIds": [observation]}
    assert (await world.ask("officer", LINK, input=step))["linkObservations"]["code"] == "LIMIT_EXCEEDED"
    assert await world.snapshot() == before
    other = {"id": new_id("evt"), "caseId": first["id"], "observationIds": [await world.observe()]}
    assert "case" in (await world.ask("officer", LINK, input=other))["linkObservations"]
    unlinked = await world.ask("officer", UNLINK, input=step | {"id": new_id("evt"), "caseId": first["id"]})
    assert "case" in unlinked["unlinkObservations"]
