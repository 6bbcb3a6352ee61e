"""Test how subscriptions end, and how they report omitted events.

The causes are an ended session, changed rights, a lost history, a slow reader, and a server that stops.
"""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from api.notifications import event_dispatcher, subscriber, subscription_stream
from storage.embedded.engines import Addresses
from tests.support.case_steps import assign_case
from tests.support.subscription_clients import CASES, Process, linked, listening, serving, signed_in
from tests.support.world import World


async def test_a_slow_reader_is_told_to_pull_and_delays_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "MAX_WAITING", 3)
    slow, quick = await signed_in(world, "officer"), await signed_in(world, "clerk")
    async with serving(world) as address, listening(address, slow, CASES) as held, linked(address, quick) as phone:
        await phone.subscribe(CASES)
        await phone.news()
        await held.news()
        gate = asyncio.Event()
        told = subscription_stream.SubscriptionStream._read

        async def gated(self: Any, own: Any, notice: Any) -> Any:
            if own.viewer.user_id == slow.user_id:
                await gate.wait()
            async for event in told(self, own, notice):
                yield event

        monkeypatch.setattr(subscription_stream.SubscriptionStream, "_read", gated)
        opened = []
        for _ in range(7):
            opened.append((await world.open_case())["id"])
            assert (await phone.news())["case"]["id"] == opened[-1]
        gate.set()
        first = await held.news()
        assert first["case"]["id"] == opened[0]
        resync = await held.news()
        assert (resync["__typename"], resync["reason"]) == ("Resync", "TOO_SLOW")
        last = await world.open_case()
        assert (await held.news())["case"]["id"] == last["id"]


async def test_the_end_of_a_session_ends_only_its_own_streams(world: World) -> None:
    gone, kept = await signed_in(world, "supervisor"), await signed_in(world, "supervisor")
    async with (
        serving(world) as address,
        linked(address, gone) as lost,
        linked(address, kept) as phone,
        listening(address, gone, CASES) as events,
    ):
        for each in (lost, phone):
            await each.subscribe(CASES)
            await each.news()
        await events.news()
        await world.store.users.revoke_device(gone.user_id, gone.device_id, world.context(None).now)
        assert (await lost.news())["ended"] == "SESSION_ENDED"
        assert await lost.closed() == (4403, "SESSION_ENDED")
        assert (await events.news())["ended"] == "SESSION_ENDED"
        assert await events.next() is None
        case_id, _ = await assign_case(world)
        assert (await phone.news())["case"]["id"] == case_id


async def test_closing_an_account_or_changing_its_rights_ends_its_streams(world: World) -> None:
    signed, closed = await signed_in(world, "clerk"), await signed_in(world, "supervisor")
    async with serving(world) as address:
        async with listening(address, closed, CASES) as events:
            await events.news()
            await world.store.users.close([closed.user_id], world.context(None).now)
            assert (await events.news())["ended"] == "SESSION_ENDED"
        async with linked(address, signed) as phone:
            await phone.subscribe(CASES)
            cursor = (await phone.news())["cursor"]
            county = world.units["360783"]
            moved = {"scope_ids": [county.id], "scope_paths": [county.path]}
            await world.store.mongo.collection("users").update_one({"_id": signed.user_id}, {"$set": moved})
            assert (await phone.news())["ended"] == "ACCESS_CHANGED"
            assert await phone.receive() == {"id": "1", "type": "complete"}
            case = await world.open_case()
            await phone.subscribe(CASES, cursor)
            resync = await phone.news()
            assert (resync["__typename"], resync["reason"]) == ("Resync", "ACCESS_CHANGED")
            foreign = await world.open_case("neighbour", await world.observe("neighbour", unit="360783-JT-1"))
            assert (await phone.news())["case"]["id"] == foreign["id"] != case["id"]


async def test_a_lost_history_is_reported_and_the_stream_goes_on(
    world: World, engines: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = await signed_in(world, "officer")
    async with serving(world) as address, listening(address, signed, CASES) as events:
        cursor = (await events.news())["cursor"]
    monkeypatch.setattr(event_dispatcher, "MAX_KEPT", 3)
    for _ in range(8):
        await world.open_case()
    async with serving(world) as address, listening(address, signed, CASES, cursor) as events:
        resync = await events.news()
        assert (resync["__typename"], resync["reason"]) == ("Resync", "HISTORY_LOST")
        case = await world.open_case()
        assert (await events.news())["case"]["id"] == case["id"]


async def test_a_stopping_server_says_so_and_waits_for_nobody(world: World, engines: Addresses, tmp_path: Path) -> None:
    signed = await signed_in(world, "officer")
    process = Process(world, engines, tmp_path / "api")
    try:
        await process.start()
        async with (
            linked(process.address, signed) as phone,
            linked(process.address, signed) as idle,
            listening(process.address, signed, CASES) as events,
        ):
            await phone.subscribe(CASES)
            await phone.news()
            await events.news()
            began = time.monotonic()
            ending = asyncio.ensure_future(process.stop())
            assert (await phone.news())["ended"] == "SERVER_STOPPING"
            assert await phone.closed() == await idle.closed() == (1001, "SERVER_STOPPING")
            assert (await events.news())["ended"] == "SERVER_STOPPING"
            assert await events.next() is None
            assert await ending == -signal.SIGTERM, "as uvicorn ends once all is done"
            assert time.monotonic() - began < 5
    finally:
        await process.close()
