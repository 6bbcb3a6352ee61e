"""Test the change feed worker: its sequence is whole after any kill, has one writer, and needs no pause in writes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from api.graphql.context import clock
from api.sync import change_feed_worker
from api.sync.change_feed_worker import ChangeFeedWorker
from schema.sync.changes import ChangeKind
from storage.mongodb.change_stream import follow
from storage.sync.change_sources import PIPELINE
from storage.sync.changes import LeaseLostError, RecordState
from tests.support.pulling import Puller, followed, point_of, settled
from tests.support.world import World, new_id


async def test_a_batch_ends_under_constant_writes(world: World) -> None:
    async def write() -> None:
        while True:
            for name in ("一", "二"):
                await world.store.units.put_all([replace(world.units["360703-JT"], name=name)])
                await anyio.sleep(0.05)

    async with follow(world.store.mongo, PIPELINE, None) as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        with anyio.fail_after(5):
            changed = await stream.batch(500)
            while len(changed.events) < 5:
                changed = await stream.batch(500)
        tasks.cancel_scope.cancel()
    assert not changed.is_all
    assert changed.at
    assert abs(clock() - changed.at) < timedelta(seconds=10)


async def test_a_pull_before_the_first_worker_is_empty_and_its_cursor_stays_valid(world: World) -> None:
    phone = Puller(world, "inspector")
    page = await phone.page()
    assert (page["changes"], page["hasMore"], page["asOf"]) == ([], False, None)
    phone.cursor = page["cursor"]
    async with followed(world.store):
        await phone.pull()
    assert len(phone.of("Unit")) > 3


async def test_a_worker_that_starts_again_misses_nothing(world: World) -> None:
    phone = Puller(world, "inspector")
    async with followed(world.store):
        await phone.pull()
    own = await world.observe("inspector")
    async with followed(world.store):
        changed = await phone.pull()
    assert [change["id"] for change in changed] == [own]


async def test_a_change_of_more_than_a_batch_is_entered_whole_after_a_kill(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_feed_worker, "MAX_BATCH", 4)
    phone = Puller(world, "inspector")
    async with followed(world.store):
        await phone.pull()
    own = [await world.observe("inspector") for _ in range(6)]
    case = await world.open_case("officer", *own)
    entered = world.store.changes.enter
    left = 2

    async def killed(*given: Any, **named: Any) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise asyncio.CancelledError
        return await entered(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(world.store.changes, "enter", killed)
        with pytest.raises(asyncio.CancelledError):
            await ChangeFeedWorker(world.store, new_id("ses"), clock).follow()
    async with followed(world.store):
        await phone.pull()
    assert {id for id in own if phone.records[id]["followUps"][0]["caseNumber"] == case["number"]} == set(own)


async def test_phones_start_over_if_the_log_does_not_reach_back(world: World) -> None:
    phone = Puller(world, "inspector")
    async with followed(world.store):
        await phone.pull()
    own = await world.observe("inspector")
    async with follow(world.store.mongo, PIPELINE, None) as stream:
        await world.observe("inspector")
        [event] = (await stream.batch(1)).events
    # Nothing happened a second earlier, so the stream can't find the position where it left off.
    token = event["_id"]["_data"]
    lost = {"_data": f"{token[:2]}{int(token[2:10], 16) - 1:08X}{token[10:]}"}
    await world.store.mongo.collection("change_state").update_one({}, {"$set": {"token": lost}})
    async with followed(world.store):
        await settled(world.store)
        refused = await phone.page()
        assert (refused.get("code"), refused.get("field")) == ("CURSOR_EXPIRED", "since")
        phone.cursor, phone.records = None, {}
        await phone.pull()
    assert own in phone.records


async def test_old_tombstones_are_deleted_and_older_cursors_expire(world: World) -> None:
    asleep, awake = Puller(world, "inspector"), Puller(world, "inspector")
    point = point_of(world)
    async with followed(world.store):
        await asleep.pull()
        await awake.pull()
        outside = world.units["360783"]
        await world.store.monitoring_points.put_all([replace(point, unit_id=outside.id, path=outside.path)])
        await awake.pull()
        assert point.id not in awake.records
        for unit in world.units.values():
            await world.store.units.put_all([replace(unit, name=f"{unit.name}一")])
        await awake.pull()
        await ChangeFeedWorker(world.store, "later", lambda: clock() + timedelta(days=401)).delete_tombstones()
        assert (await asleep.page())["code"] == "CURSOR_EXPIRED"
        assert await awake.pull() == []


async def test_the_sequence_has_one_writer(world: World) -> None:
    changes = world.store.changes
    now, soon = clock(), clock() + timedelta(seconds=10)
    assert await changes.claim("one", now, soon)
    assert await changes.claim("two", now, soon) is None
    assert await changes.claim("one", now, soon)
    later = soon + timedelta(seconds=1)
    assert await changes.claim("two", later, later + timedelta(seconds=10))
    record = RecordState(ChangeKind.UNIT, new_id("unt"), frozenset({"utopic"}), "digest")
    with pytest.raises(LeaseLostError):
        await changes.enter("one", [record], token=None, as_of=None, until=later)
    assert await changes.head_ids(ChangeKind.UNIT, "", 10) == []
    with pytest.raises(LeaseLostError):
        await changes.restart("one")
    await changes.release("one")
    assert await changes.claim("one", later, soon) is None
    await changes.release("two")
    assert await changes.claim("one", later, soon)
