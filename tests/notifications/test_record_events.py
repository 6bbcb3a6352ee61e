"""Test record events: they come in the database's order, from any position, and are the same in every process."""

from dataclasses import replace

import anyio
import pytest

from storage.mongodb.client import Mongo
from storage.mongodb.errors import HistoryLostError
from storage.notifications.record_events import Batch, EventKind, RecordEvent, RecordEvents
from tests.support.world import ACCEPT, ASSIGN, WITHDRAW, World, new_id

pytestmark = pytest.mark.both_drivers


async def read(log: RecordEvents, after: str | None, until: str) -> list[RecordEvent]:
    """Return all events after a position, up to the change of the record `until`."""
    found: list[RecordEvent] = []
    async with log.open_reader(after) as reader:
        while not any(each.id == until for each in found):
            found += (await reader.next()).events
    return found


async def here(log: RecordEvents) -> str:
    async with log.open_reader(None) as reader:
        return (await reader.next()).position


async def test_events_come_in_order_with_the_people_they_concern(world: World) -> None:
    log = RecordEvents(world.store.mongo)
    start = await here(log)
    case = await world.open_case()
    id = new_id("asg")
    given = {"id": id, "caseId": case["id"], "assigneeId": world.people["supervisor"].id}
    await world.ask("officer", ASSIGN, input=given)
    await world.ask("supervisor", ACCEPT, input={"id": id})
    last = new_id("asg")
    await world.ask("officer", ASSIGN, input=given | {"id": last, "assigneeId": world.people["supervisor2"].id})
    await world.ask("officer", WITHDRAW, input={"id": last})
    end = new_id("usr")
    await world.store.users.put_all([replace(world.people["clerk"], id=end, user_name="end")])
    told = await read(log, start, end)
    assert [each.position for each in told] == sorted(each.position for each in told)
    cases = [each for each in told if each.id == case["id"]]
    assert {each.kind for each in cases} == {EventKind.CASE}
    assert cases[-1].granted == {world.people["supervisor"].id}
    withdrawn = [each for each in told if each.id == last][-1]
    assert (withdrawn.state, withdrawn.assignee_id, withdrawn.case_id) == (
        "WITHDRAWN",
        world.people["supervisor2"].id,
        case["id"],
    )
    middle = told[len(told) // 2].position
    assert await read(log, middle, end) == [each for each in told if each.position > middle]


async def test_reading_from_a_lost_position_raises_history_lost(world: World, system: Mongo) -> None:
    """A fail point makes the server answer as if its history had been overwritten."""
    log = RecordEvents(world.store.mongo)
    start = await here(log)
    lost = {
        "failCommands": ["aggregate"],
        "errorCode": 286,
        "errorLabels": ["NonResumableChangeStreamError"],
        "namespace": f"{world.store.mongo.name}.$cmd.aggregate",
    }
    await system.command("configureFailPoint", "failCommand", mode="alwaysOn", data=lost)
    try:
        with pytest.raises(HistoryLostError):
            async with log.open_reader(start) as reader:
                await reader.next()
    finally:
        await system.command("configureFailPoint", "failCommand", mode="off")


async def test_the_position_advances_without_relevant_events(world: World) -> None:
    log = RecordEvents(world.store.mongo)
    async with log.open_reader(None) as reader:
        first: Batch = await reader.next()
        await world.store.mongo.collection("counters").insert_one({"_id": "x"})
        position = first.position
        while position == first.position:
            batch = await reader.next()
            assert batch.events == []
            position = batch.position
        assert position > first.position


async def test_events_are_delivered_under_constant_writes(world: World) -> None:
    """Twenty changes a second leave no pause of half a second. Subscribers must still hear of the first change."""
    log = RecordEvents(world.store.mongo)
    person = world.people["clerk"]

    async def write() -> None:
        while True:
            await world.store.users.put_all([person])
            await world.store.users.put_all([replace(person, user_name="another")])
            await anyio.sleep(0.05)

    async with log.open_reader(None) as reader, anyio.create_task_group() as tasks:
        await reader.next()
        tasks.start_soon(write)
        told: list[RecordEvent] = []
        with anyio.fail_after(5):
            while not told:
                told = [*(await reader.next()).events]
        tasks.cancel_scope.cancel()
    assert {each.id for each in told} == {person.id}
