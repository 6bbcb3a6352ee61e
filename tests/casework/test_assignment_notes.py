"""Test assignment notes: edits from several devices end the same in every order, and no text is lost."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from schema.casework.assignment_notes import MAX_EDITS_KEPT, MAX_EDITS_TEXT, correct_time
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.mongodb.codecs import to_document
from storage.store import Store
from tests.support.assignment_steps import EDIT, NOTES, edit
from tests.support.case_steps import offer_case
from tests.support.command_counter import Commands
from tests.support.world import World, new_id

SEEN = f"query Q($id: ID!) {{ node(id: $id) {{ ... on Assignment {{ {NOTES} }} }} }}"
BEGAN = datetime(2026, 11, 20, 9, tzinfo=UTC)
DEVICES = ("phone", "other phone", "tablet")


async def send(
    world: World, *edits: dict[str, Any], name: str = "supervisor", device: str | None = None, **fields: Any
) -> list[dict[str, Any]]:
    if device:
        world.devices[name] = device
    answer = await world.ask(name, EDIT, input={"edits": list(edits), **fields})
    results: list[dict[str, Any]] = answer["editAssignmentNotes"]["results"]
    assert [each["id"] for each in results] == [each["id"] for each in edits]
    return results


async def notes(world: World, id: str, name: str = "supervisor") -> dict[str, dict[str, Any]]:
    found = (await world.ask(name, SEEN, id=id))["node"]["notes"]
    return {each["field"]: each for each in found}


async def stored(world: World) -> list[dict[str, Any]]:
    found = [
        await world.store.mongo.collection(name).find({}, sort=[("_id", 1)]) for name in ("assignments", "set_aside")
    ]
    return [each for documents in found for each in documents]


async def code_of(world: World, *edits: dict[str, Any], **fields: Any) -> str:
    """Return the code that all edits are refused with, and check that they change nothing."""
    before = await stored(world)
    codes = {each["refusal"]["code"] for each in await send(world, *edits, **fields)}
    assert await stored(world) == before
    [code] = codes
    return str(code)


async def test_edits_from_three_devices_end_the_same_in_every_order(world: World) -> None:
    devices = [new_id("dev") for _ in DEVICES]
    ends = []
    for order in permutations(range(3)):
        _, id = await offer_case(world)
        edits = [
            edit(id, "甲", editedAt="2026-11-20T09:05:00+08:00", deviceSequence=7),
            edit(id, "乙", editedAt="2026-11-20T09:07:00+08:00", deviceSequence=1),
            edit(id, "丙", editedAt="2026-11-20T09:06:00+08:00", deviceSequence=9),
        ]
        for index in order:
            [result] = await send(world, edits[index], device=devices[index])
            assert result["outcome"] == "SETTLED"
        note = (await notes(world, id))["WORKING_NOTE"]
        ends.append((note["value"], [each["value"] for each in note["lostEdits"]], note["version"]))
        assert note["editId"] == edits[1]["id"]
    assert ends == [("乙", ["丙", "甲"], 3)] * 6


async def test_fields_merge_and_an_edit_replaces_the_version_it_is_based_on(world: World) -> None:
    _, id = await offer_case(world)
    await send(world, edit(id, "甲"), device=new_id("dev"))
    planned = edit(id, "2026-12-01", field="PLANNED_ON")
    contact = edit(id, "刘主任", field="CONTACT", deviceSequence=2)
    await send(world, planned, contact, device=new_id("dev"))
    # This device's clock is hours behind, but its edit is based on the one it replaces, and that counts.
    seen = edit(id, None, baseVersion=1, editedAt="2026-11-20T01:00:00+08:00")
    await send(world, seen, device=new_id("dev"))
    found = await notes(world, id)
    assert {name: (each["value"], each["version"]) for name, each in found.items()} == {
        "WORKING_NOTE": (None, 2),
        "PLANNED_ON": ("2026-12-01", 1),
        "CONTACT": ("刘主任", 1),
    }
    assert [each["lostEdits"] for each in found.values()] == [[], [], []]


async def test_edit_times_are_corrected_for_clock_skew_before_comparison(world: World) -> None:
    _, id = await offer_case(world)
    now = world.context(None).now
    ahead = {"at": (now + timedelta(hours=3)).isoformat()}
    early = edit(id, "快三小时", editedAt=(now + timedelta(hours=2)).isoformat())
    late = edit(id, "准时", editedAt=(now - timedelta(minutes=5)).isoformat())
    await send(world, early, device=new_id("dev"), deviceClock=ahead)
    await send(world, late, device=new_id("dev"))
    note = (await notes(world, id))["WORKING_NOTE"]
    assert (note["value"], [each["value"] for each in note["lostEdits"]]) == ("准时", ["快三小时"])
    assert correct_time(datetime.min.replace(tzinfo=UTC), timedelta(days=1)) == datetime.min.replace(tzinfo=UTC)


async def test_a_lost_edit_is_restored_by_an_edit_that_names_it(world: World) -> None:
    _, id = await offer_case(world)
    lost = edit(id, "输了", editedAt="2026-11-20T08:00:00+08:00")
    await send(world, edit(id, "赢了"), device=new_id("dev"))
    await send(world, lost, device=new_id("dev"))
    again = edit(id, None, restores=lost["id"], baseVersion=2, deviceSequence=2)
    [result] = await send(world, again)
    [note] = result["assignment"]["notes"]
    assert (note["value"], note["editId"], note["lostEdits"], note["version"]) == ("输了", again["id"], [], 3)
    unknown = edit(id, None, restores=new_id("evt"), baseVersion=3)
    assert await code_of(world, unknown) == "NOT_FOUND"
    of_another_field = edit(id, None, restores=lost["id"], field="CONTACT")
    assert await code_of(world, of_another_field) == "NOT_FOUND"


async def test_a_repeated_edit_is_a_duplicate_and_different_content_a_conflict(world: World) -> None:
    _, id = await offer_case(world)
    sent = edit(id)
    [first, again] = await send(world, sent, sent)
    assert (first["outcome"], again["outcome"]) == ("SETTLED", "DUPLICATE")
    before = await world.store.assignments.many([id])
    [result] = await send(world, sent | {"value": "别的"})
    assert result["refusal"]["code"] == "CONFLICT"
    _, other = await offer_case(world)
    [result] = await send(world, sent | {"assignmentId": other})
    assert result["refusal"]["code"] == "CONFLICT"
    assert await world.store.assignments.many([id]) == before
    assert await notes(world, other) == {}
    assert len(await world.store.mongo.collection("set_aside").find({})) == 2


async def test_concurrent_requests_apply_each_edit_once(world: World) -> None:
    _, id = await offer_case(world)
    sent = [edit(id, f"第{number}", deviceSequence=number + 1) for number in range(4)]
    answers = await asyncio.gather(*(send(world, each) for each in sent * 3))
    outcomes = [result["outcome"] for [result] in answers]
    assert (outcomes.count("SETTLED"), outcomes.count("DUPLICATE")) == (4, 8)
    note = (await notes(world, id))["WORKING_NOTE"]
    assert (note["version"], note["value"], note["lostEdits"]) == (4, "第3", [])


@pytest.mark.parametrize(
    ("fields", "code", "at"),
    [
        ({"id": "evt_nonsense"}, "BAD_ID", "id"),
        ({"assignmentId": "asg_1"}, "BAD_ID", "assignmentId"),
        ({"restores": "evt_1", "value": None}, "BAD_ID", "restores"),
        ({"restores": new_id("evt")}, "BAD_INPUT", "value"),
        ({"value": " "}, "BAD_INPUT", "value"),
        ({"value": "长" * 2001}, "BAD_INPUT", "value"),
        ({"field": "CONTACT", "value": "长" * 201}, "BAD_INPUT", "value"),
        ({"field": "PLANNED_ON", "value": "明天"}, "BAD_INPUT", "value"),
        ({"field": "PLANNED_ON", "value": "20261201"}, "BAD_INPUT", "value"),
        ({"baseVersion": -1}, "BAD_INPUT", "baseVersion"),
        ({"baseVersion": 1}, "BAD_INPUT", "baseVersion"),
        ({"deviceSequence": 0}, "BAD_INPUT", "deviceSequence"),
    ],
)
async def test_an_invalid_edit_is_refused_without_blocking_the_others(
    world: World, fields: dict[str, Any], code: str, at: str
) -> None:
    _, id = await offer_case(world)
    assert await code_of(world, edit(id, **fields)) == code
    [bad, good] = await send(world, edit(id, **fields), edit(id))
    assert (bad["outcome"], bad["refusal"]["field"], bad["assignment"]) == ("REFUSED", f"edits.0.{at}", None)
    assert good["outcome"] == "SETTLED"


async def test_notes_of_another_persons_assignment_cannot_be_edited(world: World) -> None:
    _, id = await offer_case(world)
    assert await code_of(world, edit(new_id("asg"))) == "NOT_FOUND"
    for name in ("inspector", "supervisor2", "officer", "neighbour"):
        assert await code_of(world, edit(id), name=name) == "NOT_FOUND"
    for name in ("monitor", "liaison", "admin"):
        answer = await world.ask(name, EDIT, input={"edits": [edit(id)]})
        assert answer["editAssignmentNotes"]["code"] == "FORBIDDEN"
    assert await notes(world, id) == {}
    await send(world, edit(id))
    assert set(await notes(world, id, name="officer")) == {"WORKING_NOTE"}
    assert (await world.ask("neighbour", SEEN, id=id))["node"] is None


async def test_commands_do_not_grow_with_the_size_of_a_repeated_batch(
    world: World, engines: Addresses, driver: str
) -> None:
    _, id = await offer_case(world)
    edits = [edit(id, f"第{number}", deviceSequence=number) for number in range(1, 31)]
    assert {each["outcome"] for each in await send(world, *edits)} == {"SETTLED"}
    commands, uncounted = Commands(), world.store
    mongo = Mongo(engines.mongo_url, uncounted.mongo.name, driver=driver, listeners=[commands])
    world.store = Store(mongo, uncounted.objects)
    costs = []
    for batch in (edits[:3], edits):
        commands.clear()
        assert {each["outcome"] for each in await send(world, *batch)} == {"DUPLICATE"}
        costs.append(commands.total)
    explained = await mongo.command("explain", {"find": "assignments", "filter": {"note_edits.id": edits[0]["id"]}})
    await mongo.close()
    assert costs[0] == costs[1]
    assert "COLLSCAN" not in repr(explained["queryPlanner"]["winningPlan"])


async def test_edits_are_limited_per_assignment_and_per_batch(world: World) -> None:
    _, id = await offer_case(world)
    [result] = await send(world, edit(id))
    [assignment] = await world.store.assignments.many([id])
    [first] = assignment.note_edits
    full = [to_document(replace(first, id=new_id("evt"))) for _ in range(MAX_EDITS_KEPT - 1)]
    await world.store.mongo.collection("assignments").update_one(
        {"_id": id}, {"$push": {"note_edits": {"$each": full}}}
    )
    assert await code_of(world, edit(id)) == "LIMIT_EXCEEDED"
    _, other = await offer_case(world)
    long = ["长" * 2000] * (MAX_EDITS_TEXT // 2000)
    results = await send(world, *(edit(other, text, deviceSequence=n) for n, text in enumerate([*long, "短"], start=1)))
    assert [each["outcome"] for each in results] == ["SETTLED"] * len(long) + ["REFUSED"]
    assert (results[-1]["refusal"]["code"], results[-1]["refusal"]["nextStep"]) == ("LIMIT_EXCEEDED", "DISCARD")
    again = await world.ask("supervisor", EDIT, input={"edits": [edit(id)] * 51})
    assert again["editAssignmentNotes"]["code"] == "LIMIT_EXCEEDED"
    assert result["outcome"] == "SETTLED"
