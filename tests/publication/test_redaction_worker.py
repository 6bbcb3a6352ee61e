"""Test the redaction worker.

One worker at a time claims a step. Failed steps are retried, and another worker takes over from a dead one. The worker
never overrides what a person has decided.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.graphql.context import clock
from api.jobs.leases import LEASE
from api.media.verification import MAX_FAILURES, RETRY_PAUSE
from api.publication.redaction_worker import RedactionWorker
from api.server.worker import run_worker
from api.telemetry.metrics import Metrics
from storage.embedded.engines import Addresses
from storage.processes.scratch_folders import scratch_folder
from storage.publication import redaction_sandbox
from storage.publication.redaction_sandbox import Coverer, face_model
from storage.store import Store
from tests.support.redactions import (
    BOX,
    COUNTER,
    approved,
    awaiting,
    corrected,
    one,
    ready_photo,
    requested,
    take,
    worker,
)
from tests.support.unreachable_store import unreachable_store
from tests.support.world import World, new_id


async def proposed(world: World, folder: Path, body: bytes = COUNTER) -> str:
    _, photo = await ready_photo(world, body)
    id = await requested(world, photo)
    assert await worker(world, folder).do_one()
    return id


async def now_at(world: World, id: str) -> dict[str, Any]:
    found = await one(world, "officer", id)
    assert found is not None
    return found


async def until(world: World, id: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while not true(found := await now_at(world, id)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
    return found


async def test_boxes_can_be_drawn_by_hand_without_a_face_finder(world: World, tmp_path: Path) -> None:
    id = await proposed(world, tmp_path)
    found = await now_at(world, id)
    assert (found["state"], found["faceDetection"], found["faces"]) == ("PROPOSED", "UNAVAILABLE", [])
    await corrected(world, id)
    assert await worker(world, tmp_path).do_one()
    assert (await now_at(world, id))["state"] == "AWAITING_APPROVAL"


async def test_work_of_a_dead_worker_is_taken_over_after_its_lease(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    for state in ("PROPOSED", "AWAITING_APPROVAL"):
        claim = await world.store.redactions.claim(clock(), LEASE)
        assert claim
        assert await worker(world, tmp_path).do_one() is False
        assert await worker(world, tmp_path, later=LEASE).do_one() is True
        assert (await now_at(world, id))["state"] == state
        assert await world.store.redactions.renew_lease(claim, clock()) is False
        await corrected(world, id)


async def test_two_workers_never_claim_the_same_redaction(world: World) -> None:
    _, photo = await ready_photo(world)
    for _ in range(3):
        await requested(world, photo)
    claims = await asyncio.gather(*(world.store.redactions.claim(clock(), LEASE) for _ in range(8)))
    ids = [claim.id for claim in claims if claim]
    assert len(ids) == len(set(ids)) == 3


async def test_boxes_corrected_during_rendering_outdate_the_copy(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await proposed(world, tmp_path)
    await corrected(world, id)
    reached, opened = asyncio.Event(), asyncio.Event()
    cover = Coverer.cover

    async def slow(self: Coverer, *arguments: Any) -> Any:
        reached.set()
        await opened.wait()
        return await cover(self, *arguments)

    monkeypatch.setattr(Coverer, "cover", slow)
    at_work = asyncio.create_task(worker(world, tmp_path).do_one())
    await reached.wait()
    other = {"left": 0.0, "top": 0.0, "right": 1.0, "bottom": 0.5}
    assert (await corrected(world, id, "clerk", other, revision=1))["revision"] == 2
    opened.set()
    assert await at_work is True
    waiting = await now_at(world, id)
    assert (waiting["state"], waiting["rendering"]) == ("RENDERING", None)
    assert await worker(world, tmp_path).do_one() is True
    made = await now_at(world, id)
    assert (made["state"], made["rendering"]["revision"]) == ("AWAITING_APPROVAL", 2)


async def test_rendering_a_rejected_redaction_changes_nothing(world: World, tmp_path: Path) -> None:
    id = await proposed(world, tmp_path)
    await corrected(world, id)
    claim = await world.store.redactions.claim(clock(), LEASE)
    assert claim
    await take(world, "officer", "reject", id=new_id("evt"), redactionId=id, reason="不再需要")
    before = await world.snapshot()
    await worker(world, tmp_path)._take_step(claim)
    assert await world.snapshot() == before


@pytest.mark.parametrize("broken", ["store", "disk"])
async def test_failed_work_is_retried(world: World, tmp_path: Path, broken: str) -> None:
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    failing = RedactionWorker(
        store=Store(world.store.mongo, unreachable_store()) if broken == "store" else world.store,
        folder=tmp_path / "gone" if broken == "disk" else tmp_path,
        now=clock,
        model=None,
    )
    assert await failing.do_one() is True
    assert (await now_at(world, id))["state"] == "REQUESTED"
    assert await worker(world, tmp_path, later=timedelta(seconds=2)).do_one() is True
    assert (await now_at(world, id))["state"] == "PROPOSED"


@pytest.mark.parametrize("fault", ["crashes", "does not start"])
async def test_a_broken_face_finder_is_given_up_after_repeated_failures(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    broken = tmp_path / "model"
    broken.write_bytes(b"no model")
    if fault == "does not start":
        monkeypatch.setattr(redaction_sandbox, "FIND", "storage.no_such_module:find")
    for attempt in range(MAX_FAILURES):
        assert (await now_at(world, id))["faceDetection"] == "PENDING"
        assert await worker(world, tmp_path, model=broken).do_one() is (attempt == 0)
        if attempt:
            assert await worker(world, tmp_path, model=broken, later=RETRY_PAUSE * attempt).do_one() is True
    found = await now_at(world, id)
    assert (found["state"], found["faceDetection"]) == ("PROPOSED", "FAILED")


@pytest.mark.parametrize("step", ["find", "cover"])
@pytest.mark.parametrize("fault", ["original_changed", "original_missing"])
async def test_a_changed_or_missing_original_fails_the_redaction(
    world: World, tmp_path: Path, step: str, fault: str
) -> None:
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    if step == "cover":
        await worker(world, tmp_path).do_one()
        await corrected(world, id)
    [media] = await world.store.media.many([photo])
    if fault == "original_changed":
        await world.store.objects.put(media.key, COUNTER[:-1] + b"\0", "image/jpeg")
    else:
        await world.store.objects.drop_bucket()
        await world.store.objects.make_bucket()
    assert await worker(world, tmp_path).do_one() is True
    found = await now_at(world, id)
    assert (found["state"], found["failure"], found["rendering"]) == ("FAILED", fault, None)
    assert (await corrected(world, id, revision=found["revision"]))["code"] == "WRONG_STATE"


async def test_an_undecodable_original_fails_with_its_reason(world: World, tmp_path: Path) -> None:
    id = await proposed(world, tmp_path, b"\xff\xd8\xff\xe0 no picture")
    await corrected(world, id)
    assert await worker(world, tmp_path).do_one() is True
    found = await now_at(world, id)
    assert (found["state"], found["failure"]) == ("FAILED", "corrupt")
    assert found["history"][-1]["kind"] == "FAILED"


async def test_an_approved_copy_is_never_overwritten(world: World, tmp_path: Path) -> None:
    """A worker that continues after its lease writes equal bytes to the same key, and other bytes to another key."""
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    await worker(world, tmp_path).do_one()
    await corrected(world, id)
    late = await world.store.redactions.claim(clock(), LEASE)
    assert late
    assert await worker(world, tmp_path, later=LEASE).do_one()
    made = await now_at(world, id)
    assert (await approved(world, made))["state"] == "APPROVED"
    before = await world.snapshot()
    await worker(world, tmp_path)._take_step(late)
    assert await world.snapshot() == before
    [kept] = await world.store.redactions.many([id])
    assert kept.rendering
    assert kept.rendering.sha256 in kept.rendering.key
    found = await world.store.objects.download(kept.rendering.key, tmp_path / "copy")
    assert found
    assert found.sha256 == kept.rendering.sha256


async def test_the_worker_leaves_nothing_of_a_photo_on_its_disk(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    folder = tmp_path / "work"
    folder.mkdir()
    await awaiting(world, folder, photo)
    assert list(folder.iterdir()) == []


async def test_requests_and_corrections_wake_the_worker(world: World) -> None:
    _, photo = await ready_photo(world)
    running = asyncio.create_task(run_worker(world.settings, world.store, Metrics()))
    try:
        id = await requested(world, photo)
        found = await until(world, id, lambda each: each["state"] == "PROPOSED")
        assert found["faceDetection"] == "DONE"
        await corrected(world, id)
        made = await until(world, id, lambda each: each["state"] == "AWAITING_APPROVAL")
        assert made["boxes"] == [BOX | {"origin": "HAND", "confidence": None}]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_next_worker_takes_over_from_a_killed_one(world: World, engines: Addresses, tmp_path: Path) -> None:
    """SIGKILL comes while the worker holds the original and a child looks for faces."""
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    data = tmp_path / "data"
    own = replace(engines, s3_bucket=world.store.objects.bucket).environment()
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.server.worker"),
        cwd=Path(__file__).parents[2],
        env={**os.environ, **own, "MINGCHA_MONGO_DATABASE": world.store.mongo.name, "MINGCHA_DATA": str(data)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not list(data.glob("work/*/*/original")):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.002)
    finally:
        killed.kill()
        await killed.wait()
    left = await now_at(world, id)
    assert (left["state"], len(left["history"])) == ("REQUESTED", 1)
    [claimed] = await world.store.redactions.many([id])
    assert claimed.attempts == 1
    assert await worker(world, tmp_path).do_one() is False
    with scratch_folder(data / "work"):
        assert list(data.glob("work/*/*")) == []  # the start of the next worker deleted the original that was left
    assert await worker(world, tmp_path, model=face_model(), later=2 * LEASE).do_one() is True
    assert (await now_at(world, id))["faceDetection"] == "DONE"
