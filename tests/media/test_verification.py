"""Test claims on verification work.

One worker at a time holds a claim, and keeps it while it works. If it dies or fails, another worker takes over.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from api.graphql.context import clock
from api.jobs.leases import LEASE
from api.media.verification import MAX_FAILURES, RETRY_PAUSE, MediaVerifier
from schema.media.media import MediaState
from storage.formats.results import Damage, ReadResult
from storage.formats.sandbox import Decoder
from storage.store import Store
from tests.support.unreachable_store import unreachable_store
from tests.support.uploads import JPEG, announce, claim, confirm, only_medium, upload
from tests.support.world import World

pytestmark = pytest.mark.both_drivers


class Gate(Decoder):
    """A decoder that waits until the test opens the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def examine(self, path: Path) -> ReadResult:
        self.reached.set()
        await self.opened.wait()
        return await super().examine(path)


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    async with Decoder() as decoder:
        yield decoder


async def arrived(world: World, behind: bytes = b"") -> tuple[str, str]:
    """Upload and confirm the one medium of an observation. Return the ids of the observation and the medium."""
    id, photo, slot = await announce(world, JPEG + behind)
    async with httpx.AsyncClient(timeout=30) as http:
        assert await upload(http, slot, JPEG + behind) == 200
    await confirm(world, photo["id"])
    return id, photo["id"]


async def test_work_of_a_dead_worker_is_taken_over_after_its_lease(
    world: World, decoder: Decoder, tmp_path: Path
) -> None:
    id, _ = await arrived(world)
    assert await claim(world, clock(), LEASE)
    assert await MediaVerifier(world.store, decoder, tmp_path, clock).do_one() is False
    assert await MediaVerifier(world.store, decoder, tmp_path, lambda: clock() + LEASE).do_one()
    assert (await only_medium(world, id))["state"] == "READY"


async def test_a_busy_worker_keeps_its_work_beyond_the_first_lease(
    world: World, decoder: Decoder, tmp_path: Path
) -> None:
    id, medium_id = await arrived(world)
    lease = timedelta(seconds=0.6)
    idle = MediaVerifier(world.store, decoder, tmp_path, clock, lease)
    async with Gate() as gate:
        busy = asyncio.create_task(MediaVerifier(world.store, gate, tmp_path, clock, lease).do_one())
        await gate.reached.wait()
        ends = time.monotonic() + 3 * lease.total_seconds()
        while time.monotonic() < ends:
            assert await idle.do_one() is False
            await asyncio.sleep(0.05)
        gate.opened.set()
        assert await busy is True
    assert (await only_medium(world, id))["state"] == "READY"
    [kept] = await world.store.media.many([medium_id])
    assert kept.attempts == 1


async def test_only_the_newest_claim_of_a_medium_can_be_renewed(world: World) -> None:
    await arrived(world)
    first = await claim(world, clock(), LEASE)
    second = await claim(world, clock() + LEASE, LEASE)
    assert first
    assert second
    assert await world.store.verification.renew_lease(first, clock()) is False
    assert await claim(world, clock() + LEASE, LEASE) is None
    assert await world.store.verification.renew_lease(second, clock()) is True


async def test_two_workers_never_claim_the_same_medium(world: World) -> None:
    for number in range(4):
        await arrived(world, bytes([number]))
    claims = await asyncio.gather(*(claim(world, clock(), LEASE) for _ in range(10)))
    ids = [claim.id for claim in claims if claim]
    assert len(ids) == len(set(ids)) == 4


@pytest.mark.parametrize("broken", ["store", "disk"])
async def test_failed_work_is_retried_after_growing_pauses(
    world: World, decoder: Decoder, tmp_path: Path, broken: str
) -> None:
    id, medium_id = await arrived(world)
    now = clock()
    failing = MediaVerifier(
        store=Store(world.store.mongo, unreachable_store()) if broken == "store" else world.store,
        decoder=decoder,
        folder=tmp_path / "gone" if broken == "disk" else tmp_path,
        now=lambda: now,
    )
    media = world.store.mongo.collection("media")
    for attempts, pause in ((0, 1), (1, 2), (2, 3), (10_000, RETRY_PAUSE.total_seconds())):
        await media.update_one({"_id": medium_id}, {"$set": {"attempts": attempts}})
        assert await failing.do_one() is True
        assert await failing.do_one() is False
        now += timedelta(seconds=pause)
    assert (await only_medium(world, id))["state"] == "UPLOADED"
    assert await MediaVerifier(world.store, decoder, tmp_path, lambda: now).do_one() is True
    assert (await only_medium(world, id))["state"] == "READY"


async def test_a_sweep_does_not_postpone_a_confirmed_medium(world: World) -> None:
    _, photo, _ = await announce(world, b"x")
    later = clock() + timedelta(days=3)
    claimed = await claim(world, later, LEASE)
    assert claimed
    await world.store.media.confirm(photo["id"], later)
    await world.store.verification.postpone(claimed, later + timedelta(days=1))
    again = await claim(world, later, LEASE)
    assert again
    assert again.state is MediaState.UPLOADED


async def test_sweeps_do_not_count_as_attempts(world: World) -> None:
    _, photo, _ = await announce(world, b"x")
    for days in range(1, 5):
        assert await claim(world, clock() + timedelta(days=days), LEASE)
    await world.store.media.confirm(photo["id"], clock())
    claimed = await claim(world, clock() + timedelta(days=9), LEASE)
    assert claimed
    assert claimed.attempts == 1


class Crashing(Decoder):
    """A decoder whose child always dies."""

    async def examine(self, path: Path) -> ReadResult:
        return ReadResult("image/jpeg", damage=Damage.CRASHED)


async def test_outages_of_the_store_do_not_count_as_decoding_failures(world: World, tmp_path: Path) -> None:
    id, medium_id = await arrived(world)
    await world.store.mongo.collection("media").update_one({"_id": medium_id}, {"$set": {"attempts": 50}})
    now = clock()
    work = MediaVerifier(world.store, Crashing(), tmp_path, lambda: now)
    for failures in range(1, MAX_FAILURES):
        assert await work.do_one() is True
        [kept] = await world.store.media.many([medium_id])
        assert (kept.state, kept.decoding_failures) == (MediaState.UPLOADED, failures)
        assert await work.do_one() is False
        now += RETRY_PAUSE
    assert await work.do_one() is True
    found = await only_medium(world, id)
    assert (found["state"], found["facts"]["damage"]) == ("READY", "CRASHED")
