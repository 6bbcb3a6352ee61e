"""Test deduplication: bytes that a person has sent once are not sent again, and each copy is a full original."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import api.media.deduplication
from api.graphql.context import clock
from api.media.announcements import UNNAMED_FOR, sweep_unnamed
from api.media.verification import MediaVerifier
from schema.media.media import Media, MediaState
from storage.formats.sandbox import Decoder
from storage.s3.bucket_rules import BucketSettings, apply_settings
from tests.support.uploads import (
    JPEG,
    announce,
    confirm,
    fresh_slot,
    late_announcement,
    only_medium,
    request_uploads,
    upload,
)
from tests.support.world import REFUSED, World, draft, medium, new_id

REVISE = f"""
mutation Revise($input: ReviseObservationInput!) {{
  reviseObservation(input: $input) {{ ... on ReviseObservationPayload {{ uploads {{ mediaId }} }} {REFUSED} }}
}}"""


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


@pytest.fixture
async def work(world: World, tmp_path: Path) -> AsyncIterator[MediaVerifier]:
    await apply_settings(world.store.objects, BucketSettings(origins=(), abort_after_days=30, versioning=False))
    async with Decoder() as decoder:
        yield MediaVerifier(world.store, decoder, tmp_path, clock)


async def sent(world: World, http: httpx.AsyncClient) -> tuple[str, dict[str, Any]]:
    """Send and confirm a photo of the inspector. Return the observation's id and the photo."""
    id, photo, slot = await announce(world, JPEG)
    assert await upload(http, slot, JPEG) == 200
    await confirm(world, photo["id"])
    return id, photo


async def again(world: World, name: str = "inspector", **fields: Any) -> tuple[str, dict[str, Any], list[Any]]:
    """Submit another observation with the same photo. Return the observation's id, the medium and the upload slots."""
    photo = medium(JPEG, **fields)
    [result] = await world.submit(name, draft(media=[photo]))
    assert result["outcome"] == "ACCEPTED"
    return result["id"], photo, result["uploads"]


async def kept(world: World, photo: dict[str, Any]) -> Media:
    [found] = await world.store.media.many([photo["id"]])
    return found


async def bytes_at(world: World, key: str, folder: Path) -> bytes | None:
    found = await world.store.objects.download(key, folder / "found")
    return (folder / "found").read_bytes() if found else None


@pytest.mark.parametrize("verified", [True, False], ids=["after it was verified", "before"])
async def test_bytes_that_have_arrived_once_are_not_requested_again(
    world: World, work: MediaVerifier, http: httpx.AsyncClient, tmp_path: Path, verified: bool
) -> None:
    _, first = await sent(world, http)
    if verified:
        assert await work.do_one()
    submitted, one, slots = await again(world, contentType="image/png")
    assert slots == []
    announced = medium(JPEG)
    [asked] = await request_uploads(world, late_announcement(announced, new_id("obs")))
    assert (asked["hasArrived"], asked["slot"], asked["refusal"]) == (True, None, None)
    corrected = medium(JPEG)
    content = draft(id=submitted, media=[corrected])
    revised = await world.ask("inspector", REVISE, input={"id": new_id("rev"), "reason": "x", "content": content})
    assert revised["reviseObservation"] == {"uploads": []}
    for photo in (one, announced, corrected):
        assert (await kept(world, photo)).state is MediaState.UPLOADED
        assert (await confirm(world, photo["id"]))[0]["media"]["state"] == "UPLOADED"
    while await work.do_one():
        pass
    keys = {(await kept(world, photo)).key for photo in (first, one, announced, corrected)}
    assert len(keys) == 4
    assert [await bytes_at(world, key, tmp_path) for key in keys] == 4 * [JPEG]
    assert {(await kept(world, photo)).state for photo in (first, one, announced, corrected)} == {MediaState.READY}
    head = await world.store.objects.ask("head_object", Key=(await kept(world, one)).key, ChecksumMode="ENABLED")
    assert head["ContentType"] == "image/png"
    assert head["ChecksumSHA256"]


async def test_a_replayed_draft_requests_no_bytes_that_have_arrived_since(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    """Both photos have the same bytes. At first both get slots. After one has arrived, neither of them gets a slot."""
    one, other = medium(JPEG), medium(JPEG)
    sent = draft(media=[one, other])
    [result] = await world.submit("inspector", sent)
    assert [each["mediaId"] for each in result["uploads"]] == [one["id"], other["id"]]
    assert await upload(http, result["uploads"][1], JPEG) == 200
    await confirm(world, other["id"])
    [replay] = await world.submit("inspector", sent)
    assert (replay["outcome"], replay["uploads"]) == ("DUPLICATE", [])
    while await work.do_one():
        pass
    answer = await world.ask("inspector", "query($id: ID!) { observation(id: $id) { mediaArrived } }", id=sent["id"])
    assert answer["observation"]["mediaArrived"] == 2
    assert (await kept(world, one)).state is MediaState.READY


async def test_other_peoples_bytes_are_not_reused(world: World, work: MediaVerifier, http: httpx.AsyncClient) -> None:
    """A colleague and the officer get a slot, although the inspector has already sent the same bytes.

    The inspector gets a slot, too, if the declared size differs from that of the bytes already sent.
    """
    await sent(world, http)
    assert await work.do_one()
    for name in ("inspector2", "officer"):
        _, photo, [slot] = await again(world, name)
        assert slot["mediaId"] == photo["id"]
        [asked] = await request_uploads(world, late_announcement(medium(JPEG), new_id("obs")), name=name)
        assert (asked["hasArrived"], asked["slot"]["kind"]) == (False, "SINGLE")
        assert (await kept(world, photo)).state is MediaState.EXPECTED
    _, _, slots = await again(world, byteSize=len(JPEG) + 1)
    assert len(slots) == 1
    assert await work.do_one() is False


@pytest.mark.parametrize("harm", ["gone", "other bytes", "rejected"])
async def test_bytes_that_cannot_be_copied_are_requested_after_all(
    world: World, work: MediaVerifier, http: httpx.AsyncClient, harm: str
) -> None:
    _, first = await sent(world, http)
    source = await kept(world, first)
    if harm != "rejected":
        assert await work.do_one()
    id, photo, slots = await again(world)
    assert slots == []
    await world.store.objects.ask("delete_object", Key=source.key)
    if harm != "gone":
        await world.store.objects.put(source.key, JPEG[:-1] + b"?", "image/jpeg")
    while await work.do_one():
        pass
    found = await kept(world, photo)
    assert (found.state, found.uploaded_at) == (MediaState.EXPECTED, None)
    assert await world.store.objects.size_of(found.key) is None
    [unarrived] = await confirm(world, photo["id"])
    assert unarrived["refusal"]["code"] == "NOT_ARRIVED"
    assert await upload(http, await fresh_slot(world, photo), JPEG) == 200
    await confirm(world, photo["id"])
    assert await work.do_one()
    assert (await only_medium(world, id))["state"] == "READY"


async def test_a_copy_survives_the_deletion_of_its_source(
    world: World, work: MediaVerifier, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    photo = medium(JPEG)
    [asked] = await request_uploads(world, late_announcement(photo, new_id("obs")))
    assert await upload(http, asked["slot"], JPEG) == 200
    await confirm(world, photo["id"])
    id, copy, _ = await again(world)
    while await work.do_one():
        pass
    later = world.context(None, later=UNNAMED_FOR + timedelta(hours=1)).now
    await sweep_unnamed(world.store, later, lambda _: nullcontext())
    assert await world.store.media.many([photo["id"]]) == []
    assert await bytes_at(world, (await kept(world, copy)).key, tmp_path) == JPEG
    assert (await only_medium(world, id))["state"] == "READY"


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("MAX_COPIES", 3),
        ("MAX_COPIED_BYTES", 3 * len(JPEG) + 1),
        ("MAX_COPIES_PER_DAY", 2),
        ("MAX_COPIED_BYTES_PER_DAY", 2 * len(JPEG) + 1),
    ],
)
async def test_copies_are_limited_by_number_and_size(
    world: World, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(api.media.deduplication, limit, value)
    await sent(world, http)
    photos = [medium(JPEG) for _ in range(4)]
    [result] = await world.submit("inspector", draft(media=photos))
    assert [each["mediaId"] for each in result["uploads"]] == [each["id"] for each in photos[2:]]
    _, photo, slots = await again(world)
    assert len(slots) == 1
    assert (await kept(world, photo)).state is MediaState.EXPECTED


async def test_replayed_and_new_drafts_of_a_batch_share_the_limits(
    world: World, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.media.deduplication, "MAX_COPIES_PER_DAY", 3)
    known = draft(media=[medium(JPEG), medium(JPEG)])
    [first] = await world.submit("inspector", known)
    assert len(first["uploads"]) == 2
    await sent(world, http)
    new = draft(media=[medium(JPEG), medium(JPEG)])
    results = await world.submit("inspector", new, known)
    assert [each["outcome"] for each in results] == ["ACCEPTED", "DUPLICATE"]
    assert [[slot["mediaId"] for slot in each["uploads"]] for each in results] == [[new["media"][1]["id"]], []]


async def test_a_refused_announcement_changes_nothing(world: World, http: httpx.AsyncClient) -> None:
    photo, id = medium(JPEG), new_id("obs")
    await request_uploads(world, late_announcement(photo, id))
    await sent(world, http)
    before = await world.snapshot()
    [result] = await request_uploads(world, late_announcement(photo, new_id("obs")))
    assert result["refusal"]["code"] == "CONFLICT"
    assert await world.snapshot() == before
