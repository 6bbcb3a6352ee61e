"""Test upload cleanup: only unused uploads are aborted, and nothing that has arrived is lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from api.graphql.context import clock
from api.media.announcements import NAMED_FOR
from api.media.upload_cleanup import SAFE_AGE, sweep_uploads
from api.media.verification import MAX_WAIT, MediaVerifier
from api.server.worker import run_worker
from api.settings import MIB
from api.telemetry.metrics import Metrics
from storage.formats.sandbox import Decoder
from storage.s3 import multipart
from storage.s3.bucket_rules import BucketSettings, State, apply_settings
from storage.s3.multipart import OpenUpload
from tests.support.uploads import announce, claim, confirm, fresh_slot, only_medium, upload
from tests.support.world import World, draft, medium

WEEK = timedelta(days=7)
NO_RULES = BucketSettings(origins=(), abort_after_days=30, versioning=False, set_rules=False)
BODY = bytes(range(256)) * (9 * MIB // 256)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def open_uploads(world: World) -> list[OpenUpload]:
    return await multipart.list_open(world.store.objects, "", begun_before=clock() + timedelta(minutes=1))


async def record(world: World, id: str) -> dict[str, Any]:
    found = await world.store.mongo.collection("media").find_one({"_id": id})
    assert found
    return found


async def sweep(world: World, *, later: timedelta) -> None:
    await sweep_uploads(world.store, clock() + later, unused_for=WEEK)


async def put_part(http: httpx.AsyncClient, slot: dict[str, Any], number: int) -> int:
    part = slot["parts"][number - 1]
    return await upload(http, part, BODY[part["offset"] : part["offset"] + part["byteSize"]])


async def test_an_unused_upload_ends_and_one_in_use_stays(world: World, http: httpx.AsyncClient) -> None:
    """The test sets no lifecycle rule, because the store decides whether and when to apply one."""
    looked_at = await apply_settings(world.store.objects, NO_RULES)
    assert {each.feature: each.state for each in looked_at}["lifecycle"] is State.OFF
    _, used, _ = await announce(world, BODY)
    _, unused, _ = await announce(world, BODY + b"x")
    slots = [await fresh_slot(world, photo) for photo in (used, unused)]
    for slot in slots:
        assert await put_part(http, slot, 1) == 200
    week_ago = clock() - WEEK - timedelta(hours=1)
    media = world.store.mongo.collection("media")
    await media.update_many({}, {"$set": {"upload_used_at": week_ago}})
    await fresh_slot(world, used)
    await sweep(world, later=timedelta())
    assert [each.key for each in await open_uploads(world)] == [(await record(world, used["id"]))["key"]]
    assert (await record(world, unused["id"]))["upload_id"] is None
    assert await put_part(http, slots[0], 2) == 200
    assert await put_part(http, slots[1], 1) == 404
    again = await fresh_slot(world, unused)
    assert [part["hasArrived"] for part in again["parts"]] == [False, False]
    [confirmed] = await confirm(world, used["id"])
    assert confirmed["media"]["state"] == "UPLOADED"


async def test_a_sweep_joins_an_upload_whose_parts_have_all_arrived(world: World, http: httpx.AsyncClient) -> None:
    id, photo, _ = await announce(world, BODY)
    slot = await fresh_slot(world, photo)
    assert [await put_part(http, slot, number) for number in (1, 2)] == [200, 200]
    await sweep(world, later=WEEK + timedelta(hours=1))
    assert (await only_medium(world, id))["state"] == "UPLOADED"
    assert await open_uploads(world) == []


async def test_concurrent_sweeps_leave_a_returning_phone_an_open_upload(world: World) -> None:
    """Whether a sweep or the phone comes first, the upload that the record names is open in the end."""
    for _ in range(3):
        _, photo, _ = await announce(world, BODY)
        await fresh_slot(world, photo)
        sweeps = [sweep(world, later=WEEK + timedelta(hours=1)) for _ in range(4)]
        answers = await asyncio.gather(fresh_slot(world, photo), *sweeps, return_exceptions=True)
        assert [each for each in answers if isinstance(each, BaseException)] == []
        slot = await fresh_slot(world, photo)
        named = (await record(world, photo["id"]))["upload_id"]
        assert f"uploadId={named}" in slot["parts"][0]["url"]
        of_it = [each for each in await open_uploads(world) if photo["id"] in each.key]
        assert named in {each.upload_id for each in of_it}


async def test_orphaned_uploads_of_known_media_end_and_foreign_ones_stay(world: World) -> None:
    _, photo, _ = await announce(world, BODY)
    slot = await fresh_slot(world, photo)
    kept = await record(world, photo["id"])
    objects = world.store.objects
    begun = await multipart.begin(objects, kept["key"], "image/jpeg")
    stranger = await multipart.begin(objects, "originals/of-somebody-else", "image/jpeg")
    _, forgotten, _ = await announce(world, BODY)
    await fresh_slot(world, forgotten)
    [media] = await world.store.media.many([forgotten["id"]])
    assert await world.store.media.clear_upload(media)
    unknown = await multipart.begin(objects, kept["key"].replace(photo["id"], medium()["id"]), "image/jpeg")
    await sweep(world, later=SAFE_AGE - timedelta(minutes=5))
    assert len(await open_uploads(world)) == 5
    await sweep(world, later=SAFE_AGE + timedelta(minutes=5))
    left = {each.upload_id for each in await open_uploads(world)}
    assert left == {kept["upload_id"], stranger, unknown}
    assert {begun, media.upload_id}.isdisjoint(left)
    assert (await fresh_slot(world, photo))["parts"][0]["url"].split("?")[0] == slot["parts"][0]["url"].split("?")[0]


async def test_long_lists_are_read_to_their_last_page(world: World, http: httpx.AsyncClient) -> None:
    """A store lists at most a thousand entries per page. Here a page has one entry, and the list must be the same."""
    photos = [(await announce(world, BODY))[1] for _ in range(3)]
    slots = [await fresh_slot(world, photo) for photo in photos]
    assert [await put_part(http, slots[0], number) for number in (1, 2)] == [200, 200]
    whole = await open_uploads(world)
    soon = clock() + timedelta(minutes=1)
    assert await multipart.list_open(world.store.objects, "originals/", begun_before=soon, page=1) == whole
    assert len(whole) == 3
    [media] = await world.store.media.many([photos[0]["id"]])
    assert media.upload_id
    parts = await multipart.list_parts(world.store.objects, media.key, media.upload_id)
    assert parts
    assert await multipart.list_parts(world.store.objects, media.key, media.upload_id, page=1) == parts
    assert [part.number for part in parts] == [1, 2]


async def test_the_worker_sweeps_unused_uploads(world: World) -> None:
    _, photo, _ = await announce(world, BODY)
    await fresh_slot(world, photo)
    ago = clock() - world.settings.upload_unused_for
    await world.store.mongo.collection("media").update_many({}, {"$set": {"upload_used_at": ago}})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_worker, world.settings, world.store, Metrics())
        with anyio.fail_after(20):
            while await open_uploads(world):  # noqa: ASYNC110  the store has no event to wait for
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    assert (await record(world, photo["id"]))["upload_id"] is None


@pytest.fixture
async def much_later(world: World, tmp_path: Path) -> AsyncIterator[MediaVerifier]:
    async with Decoder() as decoder:
        yield MediaVerifier(world.store, decoder, tmp_path, lambda: clock() + WEEK + MAX_WAIT)


async def test_media_of_a_refused_draft_are_expected_again_once_it_is_accepted(
    world: World, http: httpx.AsyncClient, much_later: MediaVerifier
) -> None:
    taken = medium(b"taken")
    await world.observe(media=[taken])
    stranded = medium(b"stranded")
    sent = draft(media=[stranded, taken])
    [refused] = await world.submit("inspector", sent)
    assert refused["refusal"]["code"] == "CONFLICT"
    while await much_later.do_one():
        pass
    assert (await record(world, stranded["id"]))["due_at"] is None
    assert (await record(world, taken["id"]))["due_at"] > clock()
    [accepted] = await world.submit("inspector", sent | {"media": [stranded]})
    assert (await record(world, stranded["id"]))["due_at"] is not None
    # The phone dies between upload and confirmation.
    assert await upload(http, accepted["uploads"][0], b"stranded") == 200
    while await much_later.do_one():
        pass
    assert (await record(world, stranded["id"]))["state"] == "READY"


async def test_named_media_that_never_come_are_looked_for_until_a_slot_is_issued_again(
    world: World, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    late = medium(b"late")
    await world.observe(media=[late])
    now = clock() + NAMED_FOR - timedelta(minutes=1)
    async with Decoder() as decoder:
        work = MediaVerifier(world.store, decoder, tmp_path, lambda: now)
        assert await work.do_one()
        assert (await record(world, late["id"]))["due_at"] == pytest.approx(now + MAX_WAIT, abs=timedelta(seconds=1))
        now += MAX_WAIT
        assert await work.do_one()
        assert (await record(world, late["id"]))["due_at"] is None
        now += timedelta(days=999)
        assert await work.do_one() is False
        # The phone is found again. It dies between upload and confirmation.
        await world.store.mongo.collection("media").update_one(
            {"_id": late["id"]}, {"$set": {"expected_at": clock() - NAMED_FOR - MAX_WAIT}}
        )
        assert await upload(http, await fresh_slot(world, late), b"late") == 200
        while await work.do_one():
            pass
    assert (await record(world, late["id"]))["state"] == "READY"


async def test_a_worker_cannot_give_up_media_of_a_draft_accepted_meanwhile(
    world: World, much_later: MediaVerifier
) -> None:
    """The worker has found that nothing names the medium. Before the worker gives up, the draft is sent again."""
    taken, stranded = medium(b"taken"), medium(b"stranded")
    await world.observe(media=[taken])
    sent = draft(media=[stranded, taken])
    await world.submit("inspector", sent)
    claimed = await claim(world, clock() + timedelta(hours=2), timedelta(seconds=15))
    while claimed and claimed.id != stranded["id"]:
        claimed = await claim(world, clock() + timedelta(hours=2), timedelta(seconds=15))
    assert claimed
    assert claimed.observation_id
    assert not await world.store.observations.has_medium(claimed.observation_id, claimed.id)
    await world.submit("inspector", sent | {"media": [stranded]})
    assert await world.store.verification.give_up(claimed) is False
    assert (await record(world, stranded["id"]))["due_at"] is not None
