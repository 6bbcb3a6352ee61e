"""Test first writes: if the store supports it, an original can be written only once, and a second PUT is refused."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.graphql.context import clock
from api.media.verification import MediaVerifier
from schema.media.media import MediaRejection
from schema.media.object_keys import media_id_of, next_key
from storage.formats.sandbox import Decoder
from storage.s3.bucket_rules import BucketSettings, State, apply_settings
from storage.s3.signed_requests import Put
from tests.support.uploads import JPEG, REQUEST, announce, claim, confirm, fresh_slot, only_medium, upload
from tests.support.world import World

WRONG = JPEG[:-1] + b"\x00"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


@pytest.fixture
async def work(world: World, tmp_path: Path) -> AsyncIterator[MediaVerifier]:
    found = await apply_settings(world.store.objects, BucketSettings(origins=(), abort_after_days=30, versioning=False))
    assert found[-1].state is State.ON
    async with Decoder() as decoder:
        yield MediaVerifier(world.store, decoder, tmp_path, clock)


async def record(world: World, id: str) -> dict[str, Any]:
    found = await world.store.mongo.collection("media").find_one({"_id": id})
    assert found
    return found


def test_each_rejection_leads_to_the_next_numbered_key() -> None:
    first = f"originals/med_01a2052e-60ce-7d66-8286-e068eae84c67-{'0' * 64}"
    assert [next_key(first), next_key(next_key(first))] == [f"{first}.2", f"{first}.3"]
    keys = (first, f"{first}.2", f"{first}.x", f"thumbnails{first}", "originals/x")
    assert [media_id_of(key) for key in keys] == [*2 * ["med_01a2052e-60ce-7d66-8286-e068eae84c67"], None, None, None]


async def test_a_put_is_signed_to_write_once(world: World, work: MediaVerifier, http: httpx.AsyncClient) -> None:
    id, photo, slot = await announce(world, JPEG)
    assert {"name": "if-none-match", "value": "*"} in slot["headers"]
    statuses = await asyncio.gather(*(upload(http, slot, JPEG) for _ in range(5)))
    assert sorted(statuses) in ([200, 412, 412, 412, 412], [200, 409, 409, 409, 409])
    bare = {"headers": [each for each in slot["headers"] if each["name"] != "if-none-match"], "url": slot["url"]}
    assert await upload(http, bare, JPEG) == 403
    # A phone that takes the refusal for a fault asks for another slot and learns that nothing is left to send.
    asked = {"media": [{"mediaId": photo["id"]}]}
    for _ in range(2):
        [result] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
        assert (result["hasArrived"], result["slot"], result["refusal"]) == (True, None, None)
    assert await work.do_one()
    assert (await only_medium(world, id))["state"] == "READY"


async def test_a_verified_original_cannot_be_overwritten(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    """The forged PUT is signed for the same key and other bytes. It is refused only because the key is taken."""
    id, photo, slot = await announce(world, JPEG)
    key = (await record(world, photo["id"]))["key"]
    forged = Put(key, len(WRONG), "image/jpeg", hashlib.sha256(WRONG).hexdigest())
    [signed] = await world.store.objects.sign_puts([forged], seconds=60)
    assert await upload(http, slot, JPEG) == 200
    await confirm(world, photo["id"])
    assert await work.do_one()
    given = {"url": signed.url, "headers": [{"name": name, "value": value} for name, value in signed.headers]}
    assert await upload(http, given, WRONG) == 412
    ready = await only_medium(world, id)
    assert (await http.get(ready["original"]["url"])).content == JPEG


async def test_a_form_cannot_change_a_verified_original(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    """A form's policy has no `If-None-Match`. But it fixes key and SHA-256, so only the same bytes are accepted."""
    id, photo, _ = await announce(world, JPEG)
    slot = await fresh_slot(world, photo, form=True)
    fields = {each["name"]: each["value"] for each in slot["fields"]}
    key = fields["key"]

    async def post(body: bytes) -> int:
        return (await http.post(slot["url"], data=fields, files={"file": ("a.jpg", body, "image/jpeg")})).status_code

    assert await post(JPEG) == 204
    await confirm(world, photo["id"])
    assert await work.do_one()
    before = await world.snapshot()
    for forged in (bytes([JPEG[0] ^ 1]) + JPEG[1:], JPEG[:-1], JPEG + b"x", b""):
        assert await post(forged) == 400
    assert await post(JPEG) == 204
    assert await world.snapshot() == before
    found = await world.store.objects.download(key, work.folder / "found")
    assert found
    assert (found.sha256, found.byte_size) == (photo["sha256"], len(JPEG))
    ready = await only_medium(world, id)
    assert (ready["state"], (await http.get(ready["original"]["url"])).content) == ("READY", JPEG)


async def test_rejected_bytes_are_kept_and_replaced_under_another_key(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    id, photo, old = await announce(world, JPEG)
    keys = [(await record(world, photo["id"]))["key"]]
    for _ in range(2):
        await world.store.objects.put(keys[-1], WRONG, "image/jpeg")
        await confirm(world, photo["id"])
        assert await work.do_one()
        assert (await only_medium(world, id))["state"] == "REJECTED"
        keys.append((await record(world, photo["id"]))["key"])
        assert await upload(http, old, JPEG) == 412
        [unmended] = await confirm(world, photo["id"])
        assert unmended["refusal"]["code"] == "NOT_ARRIVED"
    assert keys == [keys[0], f"{keys[0]}.2", f"{keys[0]}.3"]
    assert await upload(http, await fresh_slot(world, photo), JPEG) == 200
    await confirm(world, photo["id"])
    assert await work.do_one()
    ready = await only_medium(world, id)
    assert (ready["state"], ready["rejection"]) == ("READY", None)
    assert (await http.get(ready["original"]["url"])).content == JPEG
    assert [await world.store.objects.size_of(key) for key in keys] == [len(WRONG), len(WRONG), len(JPEG)]


async def test_a_late_worker_cannot_judge_bytes_that_it_did_not_read(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    """The result of the late worker is ignored.

    Meanwhile its lease expired, another worker rejected the bytes, and the phone sent the right bytes.
    """
    id, photo, _ = await announce(world, JPEG)
    await world.store.objects.put((await record(world, photo["id"]))["key"], WRONG, "image/jpeg")
    await confirm(world, photo["id"])
    late = await claim(world, clock(), timedelta(0))
    assert late
    assert await work.do_one()
    assert await upload(http, await fresh_slot(world, photo), JPEG) == 200
    await confirm(world, photo["id"])
    media = world.store.media
    assert await media.reject(late, MediaRejection.DIGEST_MISMATCH) is None
    assert await media.mark_ready(late.id, clock(), None, (), key=late.key) is None
    assert (await only_medium(world, id))["state"] == "UPLOADED"
    assert await work.do_one()
    assert (await only_medium(world, id))["state"] == "READY"


async def test_puts_are_not_signed_write_once_before_the_store_is_probed(world: World) -> None:
    assert world.store.objects.first_write_wins is False
    _, _, slot = await announce(world, JPEG)
    assert "if-none-match" not in {each["name"] for each in slot["headers"]}
