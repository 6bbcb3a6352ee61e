"""Test answers to assignments: each counts once, even if answers are reordered, repeated, concurrent or interrupted."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from api.casework import assignment_answers, held_answers
from api.casework.held_answers import sweep_answers
from api.graphql.partial_batches import cut_unreadable
from api.graphql.requests import Payload
from schema.casework.assignment_answers import HELD_FOR, MAX_HELD
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.store import Store
from tests.support.assignment_steps import ANSWER, accept, finish
from tests.support.case_steps import offer_case
from tests.support.command_counter import Commands
from tests.support.world import ACCEPT, ASSIGN, CASE, SCHEMA, WITHDRAW, World, new_id

HELD = "{ heldOperations { id operation heldSince heldUntil waitsFor refusal { code nextStep } } }"
COLLECTIONS = ("assignment_answers", "assignments", "cases", "set_aside")


async def say(world: World, *said: dict[str, Any], name: str = "supervisor") -> list[dict[str, Any]]:
    answer = await world.ask(name, ANSWER, input={"answers": list(said)})
    results: list[dict[str, Any]] = answer["answerAssignments"]["results"]
    assert [each["id"] for each in results] == [each["id"] for each in said]
    return results


async def outcomes(world: World, *said: dict[str, Any], name: str = "supervisor") -> list[str]:
    return [each["outcome"] for each in await say(world, *said, name=name)]


async def held(world: World, name: str = "supervisor") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.ask(name, HELD))["heldOperations"]
    return found


async def stored(world: World) -> dict[str, list[dict[str, Any]]]:
    return {name: await world.store.mongo.collection(name).find({}, sort=[("_id", 1)]) for name in COLLECTIONS}


async def give(world: World, id: str, to: str = "supervisor") -> str:
    """Assign a new case under the given id and return the assignment's state."""
    case = await world.open_case()
    given = {"id": id, "caseId": case["id"], "assigneeId": world.people[to].id}
    answer = (await world.ask("officer", ASSIGN, input=given))["assign"]
    return str(answer["assignment"]["state"])


async def state_of(world: World, id: str) -> tuple[str, str | None]:
    [found] = await world.store.assignments.many([id])
    return found.state.name, found.result


@pytest.mark.parametrize("order", list(permutations(["give", "accept", "finish"])))
async def test_every_order_of_assignment_and_answers_ends_the_same(world: World, order: tuple[str, ...]) -> None:
    id = new_id("asg")
    said = {"accept": accept(id), "finish": finish(id)}
    for step in order:
        if step == "give":
            await give(world, id)
        else:
            [result] = await say(world, said[step])
            assert result["outcome"] in {"SETTLED", "HELD"}, result
    assert await state_of(world, id) == ("FINISHED", "属实")
    assert await held(world) == []
    [assignment] = await world.store.assignments.many([id])
    history = (await world.ask("officer", CASE, id=assignment.case_id))["case"]["history"]
    assert [each["kind"] for each in history][-2:] == ["HAND_OVER_ACCEPTED", "FINISHED"]
    before = await stored(world)
    assert await outcomes(world, *said.values()) == ["DUPLICATE", "DUPLICATE"]
    assert await stored(world) == before


async def test_a_batch_is_settled_item_by_item_in_any_order(world: World) -> None:
    _, id = await offer_case(world)
    later = new_id("asg")
    said = [
        finish(id),
        accept(later, id="ans_nonsense"),
        finish(id, result=" "),
        accept(id),
        accept(later),
        accept(later, result="?"),
    ]
    results = await say(world, *said)
    assert [each["outcome"] for each in results] == ["SETTLED", "REFUSED", "REFUSED", "SETTLED", "HELD", "REFUSED"]
    assert [each["refusal"]["code"] for each in results if each["refusal"]] == ["BAD_ID", "BAD_INPUT", "BAD_INPUT"]
    assert results[2]["refusal"]["field"] == "answers.2.result"
    assert results[0]["assignment"] == {"id": id, "state": "FINISHED", "result": "属实"}
    [waiting] = await held(world)
    assert (waiting["id"], waiting["waitsFor"], waiting["refusal"]) == (said[4]["id"], later, None)
    assert waiting["operation"] == "answerAssignments"


async def test_held_answers_reveal_and_change_nothing_of_other_peoples_assignments(world: World) -> None:
    _, id = await offer_case(world, to="supervisor2")
    known, unknown = await say(world, accept(id), accept(new_id("asg")))
    assert known | {"id": ""} == unknown | {"id": ""}
    assert known["outcome"] == "HELD"
    await sweep_answers(world.store, world.context(None).now)
    assert await state_of(world, id) == ("OFFERED", None)
    assert await held(world, "supervisor2") == []
    assert len(await held(world)) == 2


async def test_different_content_under_a_taken_id_is_refused_and_stored_as_a_conflict(world: World) -> None:
    said = accept(new_id("asg"))
    assert await outcomes(world, said) == ["HELD"]
    before = await stored(world)
    [mine] = await say(world, finish(said["assignmentId"], id=said["id"]))
    [theirs] = await say(world, said, name="supervisor2")
    assert [mine["refusal"]["code"], theirs["refusal"]["code"]] == ["CONFLICT", "CONFLICT"]
    after = await stored(world)
    assert after.pop("set_aside") != before.pop("set_aside")
    assert after == before
    assert await outcomes(world, said) == ["HELD"]


async def test_an_answer_that_the_state_forbids_is_refused_for_good(world: World) -> None:
    _, id = await offer_case(world)
    await world.ask("officer", WITHDRAW, input={"id": id})
    before = (await stored(world))["cases"]
    said = accept(id)
    for _ in range(2):
        [result] = await say(world, said)
        assert (result["outcome"], result["refusal"]["code"]) == ("REFUSED", "WRONG_STATE")
    assert (await stored(world))["cases"] == before
    assert await held(world) == []


async def test_a_held_finish_applies_once_the_assignment_is_accepted_another_way(world: World) -> None:
    id = new_id("asg")
    assert await outcomes(world, finish(id)) == ["HELD"]
    assert await give(world, id) == "OFFERED"
    assert await outcomes(world, finish(id, result="其他")) == ["HELD"]
    await world.ask("supervisor", ACCEPT, input={"id": id})
    assert await state_of(world, id) == ("FINISHED", "属实")
    assert await held(world) == []
    assert await outcomes(world, accept(id)) == ["SETTLED"]


async def test_a_held_answer_expires(world: World) -> None:
    said = accept(new_id("asg"))
    await say(world, said)
    now = world.context(None).now
    await sweep_answers(world.store, now + HELD_FOR)
    assert len(await held(world)) == 1
    await sweep_answers(world.store, now + HELD_FOR + timedelta(hours=1))
    [late] = await held(world)
    assert late["refusal"] == {"code": "NOT_FOUND", "nextStep": "DISCARD"}
    await give(world, said["assignmentId"])
    assert await state_of(world, said["assignmentId"]) == ("OFFERED", None)
    assert await outcomes(world, said) == ["REFUSED"]


async def test_held_answers_per_user_are_limited(world: World) -> None:
    for _ in range(MAX_HELD // 50):
        await say(world, *(accept(new_id("asg")) for _ in range(50)))
    before = await stored(world)
    [result] = await say(world, accept(new_id("asg")))
    assert result["refusal"]["code"] == "LIMIT_EXCEEDED"
    assert result["refusal"]["nextStep"] == "RETRY_LATER"
    assert await stored(world) == before
    assert await outcomes(world, accept(new_id("asg")), name="supervisor2") == ["HELD"]


async def test_concurrent_answers_count_once(world: World) -> None:
    id = new_id("asg")
    said = [accept(id), finish(id)]
    await asyncio.gather(give(world, id), *(say(world, *said) for _ in range(4)))
    await sweep_answers(world.store, world.context(None).now)
    assert await state_of(world, id) == ("FINISHED", "属实")
    [assignment] = await world.store.assignments.many([id])
    history = (await world.ask("officer", CASE, id=assignment.case_id))["case"]["history"]
    kinds = [each["kind"] for each in history]
    assert (kinds.count("HAND_OVER_ACCEPTED"), kinds.count("FINISHED")) == (1, 1)


async def test_the_sweep_finishes_the_work_of_a_killed_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process dies before it applies the held answers. The next dies when it has applied the first of them."""
    id = new_id("asg")
    said = [accept(id), finish(id)]
    await say(world, *said)

    async def killed(*_: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr("api.casework.assignment_transitions.apply_held", killed)
        with pytest.raises(asyncio.CancelledError):
            await give(world, id)
    assert await state_of(world, id) == ("OFFERED", None)
    with monkeypatch.context() as patch:
        patch.setattr(type(world.store.assignment_answers), "settle", killed)
        with pytest.raises(asyncio.CancelledError):
            await sweep_answers(world.store, world.context(None).now)
    assert await state_of(world, id) == ("ACCEPTED", None)
    await sweep_answers(world.store, world.context(None).now)
    assert await state_of(world, id) == ("FINISHED", "属实")
    assert await held(world) == []
    assert await outcomes(world, *said) == ["DUPLICATE", "DUPLICATE"]


async def test_an_internal_error_on_one_answer_leaves_the_others_settled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, good = await offer_case(world)
    bad = new_id("asg")
    really = held_answers.apply_answer

    async def trips(store: Any, answer: Any, *more: Any) -> Any:
        if answer.assignment_id == bad:
            raise RuntimeError("机密")
        return await really(store, answer, *more)

    with monkeypatch.context() as patch:
        for module in (assignment_answers, held_answers):
            patch.setattr(module, "apply_answer", trips)
        broken, fine = await say(world, accept(bad), accept(good))
        await sweep_answers(world.store, world.context(None).now)
    assert fine["outcome"] == "SETTLED"
    assert (broken["refusal"]["code"], broken["refusal"]["nextStep"]) == ("INTERNAL", "RETRY_LATER")
    assert "机密" not in broken["refusal"]["message"]
    await give(world, bad)
    assert (await state_of(world, bad))[0] == "ACCEPTED"


async def test_an_unreadable_answer_is_refused_in_its_place(world: World) -> None:
    _, id = await offer_case(world)
    said = [accept(id, kind="NO_SUCH"), accept(id), accept(id, answeredAt="yesterday")]
    cut = cut_unreadable(SCHEMA._schema, Payload(ANSWER, {"input": {"answers": said}}, None))
    assert cut
    context = replace(world.context("supervisor"), unreadable=cut.unreadable)
    answer = await SCHEMA.execute(ANSWER, variable_values=cut.variables, context_value=context)
    assert answer.data
    results = answer.data["answerAssignments"]["results"]
    assert [each["id"] for each in results] == [each["id"] for each in said]
    assert [each["outcome"] for each in results] == ["REFUSED", "SETTLED", "REFUSED"]
    assert [results[at]["refusal"]["field"] for at in (0, 2)] == ["answers.0.kind", "answers.2.answeredAt"]


async def test_commands_do_not_grow_with_the_number_of_held_answers(
    world: World, engines: Addresses, driver: str
) -> None:
    """A week of answers arrives before the assignments. The answers are sent twice, and then the sweep reads them."""
    commands, uncounted = Commands(), world.store
    mongo = Mongo(engines.mongo_url, uncounted.mongo.name, driver=driver, listeners=[commands])
    world.store = Store(mongo, uncounted.objects)
    costs = []
    said = [accept(new_id("asg")) for _ in range(40)]
    for batch in (said[:4], said, said):
        commands.clear()
        assert set(await outcomes(world, *batch)) == {"HELD"}
        costs.append(commands.total)
    commands.clear()
    await sweep_answers(world.store, world.context(None).now)
    await mongo.close()
    assert costs[0] == costs[1] > costs[2]
    assert commands.total <= 4, commands.names


async def test_other_roles_and_oversized_batches_are_refused_without_changes(world: World) -> None:
    before = await stored(world)
    for name in ("monitor", "liaison", None):
        answer = await world.ask(name, ANSWER, input={"answers": [accept(new_id("asg"))]})
        assert answer["answerAssignments"]["code"] in {"FORBIDDEN", "UNAUTHENTICATED"}
    too_many = await world.ask("supervisor", ANSWER, input={"answers": [accept(new_id("asg"))] * 51})
    assert too_many["answerAssignments"]["code"] == "LIMIT_EXCEEDED"
    assert await stored(world) == before
