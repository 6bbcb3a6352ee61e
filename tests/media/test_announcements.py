"""Test media that are announced before their observation.

They are verified although nobody sees them yet. If no observation ever names them, they are deleted.
"""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

import api.media.announcements
from api.graphql.context import clock
from api.media.announcements import UNNAMED_FOR, sweep_unnamed
from api.media.verification import MediaVerifier
from schema.media.media import KINDS
from storage.formats.sandbox import Decoder
from tests.support.uploads import JPEG, confirm, late_announcement, only_medium, request_uploads, upload
from tests.support.world import World, draft, medium, new_id

NODE = "query($id: ID!) { node(id: $id) { id } }"


@pytest.fixture
async def work(world: World, tmp_path: Path) -> AsyncIterator[MediaVerifier]:
    async with Decoder() as decoder:
        yield MediaVerifier(world.store, decoder, tmp_path, clock)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def sweep(world: World, after: timedelta) -> None:
    await sweep_unnamed(world.store, world.context(None, later=after).now, lambda _: nullcontext())


async def test_a_photo_can_arrive_before_its_observation(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    photo, id = medium(JPEG), new_id("obs")
    for _ in range(2):
        [result] = await request_uploads(world, late_announcement(photo, id))
    assert await upload(http, result["slot"], JPEG) == 200
    [confirmed] = await confirm(world, photo["id"])
    assert confirmed["media"]["state"] == "UPLOADED"
    assert await work.do_one()
    for name in ("inspector", "officer", "supervisor"):
        assert (await world.ask(name, NODE, id=photo["id"]))["node"] is None
        assert (await world.ask(name, NODE, id=id))["node"] is None
    [theirs] = await confirm(world, photo["id"], name="officer")
    assert theirs["refusal"]["code"] == "NOT_FOUND"
    [settled] = await world.submit("inspector", draft(id=id, media=[photo]))
    assert (settled["outcome"], settled["uploads"]) == ("ACCEPTED", [])
    seen = await only_medium(world, id, "officer")
    assert (seen["state"], seen["mediaArrived"]) == ("READY", 1)
    await sweep(world, UNNAMED_FOR * 2)
    assert (await only_medium(world, id))["state"] == "READY"


async def test_a_medium_that_is_never_named_is_deleted_with_its_bytes(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    photo, id = medium(JPEG), new_id("obs")
    [result] = await request_uploads(world, late_announcement(photo, id))
    assert await upload(http, result["slot"], JPEG) == 200
    await confirm(world, photo["id"])
    assert await work.do_one()
    [kept] = await world.store.media.many([photo["id"]])
    keys = [kept.key, *(each.key for each in kept.thumbnails)]
    assert len(keys) == 3
    await sweep(world, UNNAMED_FOR - timedelta(hours=1))
    assert await world.store.media.many([photo["id"]]) == [kept]
    await sweep(world, UNNAMED_FOR + timedelta(hours=1))
    assert await world.store.media.many([photo["id"]]) == []
    assert [await world.store.objects.size_of(key) for key in keys] == [None, None, None]
    assert await world.store.likenesses.of([photo["id"]]) == {}
    # Named after all, it is expected like a new one.
    [settled] = await world.submit("inspector", draft(id=id, media=[photo]))
    assert (settled["outcome"], len(settled["uploads"])) == ("ACCEPTED", 1)


async def test_a_sweep_spares_media_that_an_observation_names(world: World) -> None:
    """The process was killed after it stored the observation and before it cleared the mark `unnamed_since`."""
    photo, id = medium(JPEG), new_id("obs")
    await world.submit("inspector", draft(id=id, media=[photo]))
    media = world.store.mongo.collection("media")
    await media.update_one({"_id": photo["id"]}, {"$set": {"unnamed_since": clock() - UNNAMED_FOR * 2}})
    await sweep(world, timedelta())
    [kept] = await media.find({"_id": photo["id"]})
    assert "unnamed_since" not in kept


async def test_a_different_digest_owner_or_observation_is_a_conflict(world: World) -> None:
    photo, id = medium(JPEG), new_id("obs")
    await request_uploads(world, late_announcement(photo, id))
    before = await world.snapshot()
    for name, asked in (
        ("inspector", late_announcement(photo, id, sha256="0" * 64)),
        ("inspector", late_announcement(photo, new_id("obs"))),
        ("officer", late_announcement(photo, id)),
    ):
        [result] = await request_uploads(world, asked, name=name)
        assert (result["refusal"]["code"], result["slot"]) == ("CONFLICT", None)
    assert await world.snapshot() == before
    [settled] = await world.submit("inspector", draft(id=id, media=[photo | {"sha256": "0" * 64}]))
    assert settled["refusal"]["code"] == "CONFLICT"
    assert await world.store.observations.many([id]) == []


async def test_each_announcement_of_a_request_is_judged_on_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.media.announcements, "MAX_UNNAMED", 2)
    photos = [medium(bytes([number])) for number in range(4)]
    id = new_id("obs")
    asked = [
        late_announcement(photos[0], id),
        late_announcement(photos[1], id, byteSize=0),
        late_announcement(photos[1], "obs_1"),
        late_announcement(photos[2], id),
        late_announcement(photos[3], id),
    ]
    results = await request_uploads(world, *asked)
    codes = [each["refusal"] and each["refusal"]["code"] for each in results]
    assert codes == [None, "BAD_INPUT", "BAD_ID", None, "LIMIT_EXCEEDED"]
    assert results[1]["refusal"]["field"] == "media.1.announcement.byteSize"
    assert len(await world.store.mongo.collection("media").find({})) == 2
    [theirs] = await request_uploads(world, late_announcement(photos[3], new_id("obs")), name="officer")
    assert theirs["slot"]["kind"] == "SINGLE"
    await world.submit("inspector", draft(id=id, media=[photos[0]]))
    [last] = await request_uploads(world, late_announcement(photos[3] | {"id": new_id("med")}, id))
    assert last["refusal"] is None


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/javascript", "image/svg+xml", "image/gif", "application/zip"]
)
async def test_other_types_than_the_twelve_are_refused(world: World, content_type: str) -> None:
    assert len(KINDS) == 12
    before = await world.snapshot()
    [result] = await world.submit("inspector", draft(media=[medium(contentType=content_type)]))
    assert (result["outcome"], result["uploads"]) == ("REFUSED", [])
    [asked] = await request_uploads(world, late_announcement(medium(contentType=content_type), new_id("obs")))
    assert asked["slot"] is None
    assert asked["refusal"]
    assert await world.snapshot() == before
