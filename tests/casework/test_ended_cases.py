"""Test closed and declined cases: what they rest on stays as it is until they are reopened."""

from typing import Any

import pytest

from storage.casework.cases import Cases
from tests.support.case_steps import LINK, UNLINK, move_case, open_investigated_case
from tests.support.observation_queries import REVISE
from tests.support.world import CASE, World, draft, medium, new_id

pytestmark = pytest.mark.both_drivers


async def closed_case(world: World) -> tuple[str, list[str]]:
    """Return the id of a closed case, and the ids of the two observations that it rests on."""
    id = await open_investigated_case(world)
    second = await world.observe()
    await link(world, LINK, id, second)
    await close(world, id)
    found = (await world.ask("officer", CASE, id=id))["case"]["observations"]
    return id, [each["id"] for each in found]


async def declined_case(world: World) -> tuple[str, list[str]]:
    ids = [await world.observe(), await world.observe()]
    case = await world.open_case("officer", *ids, accept=False)
    answer = await move_case(world, case["id"], "DECLINED", reason="不属本办", reply="已转有关部门")
    assert answer["case"]["state"] == "DECLINED", answer
    return case["id"], ids


ENDED = {"CLOSED": closed_case, "DECLINED": declined_case}


async def close(world: World, id: str) -> None:
    answer = await move_case(world, id, "CLOSED", outcome="UNFOUNDED", reply="不实")
    assert answer["case"]["state"] == "CLOSED", answer


async def link(world: World, operation: str, case_id: str, observation_id: str, **more: Any) -> dict[str, Any]:
    given = {"id": new_id("evt"), "caseId": case_id, "observationIds": [observation_id]} | more
    [answer] = (await world.ask("officer", operation, input=given)).values()
    found: dict[str, Any] = answer
    return found


def correction(id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": new_id("rev"),
        "reason": "更正",
        "content": draft(id=id, text="另一说法", media=[medium(b"new")]),
    } | more


async def revise(world: World, sent: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await world.ask("inspector", REVISE, input=sent))["reviseObservation"]
    return found


@pytest.mark.parametrize("state", ENDED)
async def test_evidence_of_an_ended_case_is_not_linked_unlinked_or_revised(world: World, state: str) -> None:
    id, evidence = await ENDED[state](world)
    extra = await world.observe()
    before = await world.snapshot()
    for answer in (
        await link(world, LINK, id, extra),
        await link(world, UNLINK, id, evidence[1]),
        await revise(world, correction(evidence[0])),
    ):
        assert answer.get("code") == "WRONG_STATE"
    assert await world.snapshot() == before


async def test_a_reopened_case_takes_evidence_and_corrections_again(world: World) -> None:
    id, evidence = await closed_case(world)
    assert (await move_case(world, id, "REOPENED", reason="又有反映"))["case"]["state"] == "REOPENED"
    extra = await world.observe()
    assert extra in str((await link(world, LINK, id, extra))["case"]["observations"])
    assert evidence[1] not in str((await link(world, UNLINK, id, evidence[1]))["case"]["observations"])
    assert (await revise(world, correction(evidence[0])))["observation"]["revision"] == 2


async def test_one_ended_case_is_enough_to_keep_an_observation_as_it_is(world: World) -> None:
    _, evidence = await declined_case(world)
    await world.open_case("officer", evidence[0])
    before = await world.snapshot()
    assert (await revise(world, correction(evidence[0]))).get("code") == "WRONG_STATE"
    assert await world.snapshot() == before


async def test_steps_taken_before_the_end_can_be_sent_again(world: World) -> None:
    id = await open_investigated_case(world)
    extra = await world.observe()
    step, sent = {"id": new_id("evt")}, correction(extra)
    await link(world, LINK, id, extra, **step)
    await revise(world, sent)
    await close(world, id)
    before = await world.snapshot()
    assert (await link(world, LINK, id, extra, **step))["case"]["state"] == "CLOSED"
    assert (await revise(world, sent))["observation"]["revision"] == 2
    assert await world.snapshot() == before


async def test_a_correction_that_races_with_the_end_of_its_case_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The case ends after the request has read it as open."""
    id = await open_investigated_case(world)
    [observation] = (await world.ask("officer", CASE, id=id))["case"]["observations"]
    really = Cases.revise_evidence

    async def late(*arguments: Any) -> Any:
        await close(world, id)
        return await really(*arguments)

    monkeypatch.setattr(Cases, "revise_evidence", late)
    answer = await revise(world, correction(observation["id"]))
    assert answer.get("code") == "WRONG_STATE"
    [stored] = await world.store.observations.many([observation["id"]])
    assert stored.revision == 1
