"""Test media: uploads are signed for the declared bytes, arrived bytes are hashed, links are short-lived and logged."""

import base64
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from PIL import Image

from api.graphql.context import clock
from api.media.verification import RETRY_PAUSE, MediaVerifier
from api.settings import MIB
from storage.formats.sandbox import Decoder
from tests.support.redactions import ready_photo
from tests.support.uploads import JPEG, REQUEST, announce, confirm, fresh_slot, only_medium, upload
from tests.support.world import SCHEMA, World

pytestmark = pytest.mark.both_drivers
LINK = "query($id: ID!) { observation(id: $id) { content { media { link(rendition: ORIGINAL) { url } } } } }"


@pytest.fixture
async def work(world: World, tmp_path: Path) -> AsyncIterator[MediaVerifier]:
    async with Decoder() as decoder:
        yield MediaVerifier(world.store, decoder, tmp_path, clock)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def test_a_medium_goes_from_announcement_to_ready(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    id, photo, slot = await announce(world, JPEG)
    assert (await only_medium(world, id))["state"] == "EXPECTED"
    assert (await only_medium(world, id))["mediaArrived"] == 0
    assert slot["kind"] == "SINGLE"
    assert await upload(http, slot, JPEG) == 200
    [confirmed] = await confirm(world, photo["id"])
    assert confirmed["media"]["state"] == "UPLOADED"
    waiting = await only_medium(world, id)
    assert (waiting["mediaArrived"], waiting["original"]) == (1, None)
    assert await work.do_one() is True
    assert await work.do_one() is False
    ready = await only_medium(world, id)
    assert (ready["state"], ready["facts"]["width"], ready["facts"]["height"]) == ("READY", 640, 480)
    original = await http.get(ready["original"]["url"])
    assert (original.content, original.headers["content-type"]) == (JPEG, "image/jpeg")
    for rendition, side in (("large", 640), ("small", 320)):
        link = ready[rendition]
        thumbnail = await http.get(link["url"])
        assert thumbnail.status_code == 200
        assert thumbnail.content[:3] == b"\xff\xd8\xff"
        assert b"Exif" not in thumbnail.content
        assert (link["width"], thumbnail.headers["content-type"]) == (side, "image/jpeg")


async def test_the_store_refuses_bytes_that_were_not_signed(world: World, http: httpx.AsyncClient) -> None:
    """With another size, type or digest nothing is stored."""
    md5 = hashlib.md5(JPEG).hexdigest()  # noqa: S324  a checksum that stores know
    id, photo, slot = await announce(world, JPEG, md5=md5)
    flipped = bytes([JPEG[0] ^ 1]) + JPEG[1:]
    other_digest = {each["name"]: each["value"] for each in medium_headers(flipped)}
    assert await upload(http, slot, flipped) >= 400
    assert await upload(http, slot, flipped, **other_digest) == 403
    assert await upload(http, slot, JPEG + b"x") >= 400
    assert await upload(http, slot, JPEG[:-1]) >= 400
    assert await upload(http, slot, JPEG, **{"content-type": "text/html"}) == 403
    [unconfirmed] = await confirm(world, photo["id"])
    assert unconfirmed["refusal"] == {"code": "NOT_ARRIVED", "nextStep": "RETRY_LATER"}
    assert (await only_medium(world, id))["state"] == "EXPECTED"
    assert await upload(http, slot, JPEG) == 200


def medium_headers(body: bytes) -> list[dict[str, str]]:
    return [
        {"name": "x-amz-checksum-sha256", "value": base64.b64encode(hashlib.sha256(body).digest()).decode()},
        {"name": "content-md5", "value": base64.b64encode(hashlib.md5(body).digest()).decode()},  # noqa: S324
    ]


@pytest.mark.parametrize(
    ("stored", "rejection"), [(JPEG[:-1] + b"\x00", "DIGEST_MISMATCH"), (JPEG + b"more", "SIZE_MISMATCH")]
)
async def test_wrong_bytes_are_rejected_and_can_be_replaced(
    world: World, work: MediaVerifier, http: httpx.AsyncClient, stored: bytes, rejection: str
) -> None:
    """The store did not enforce the signature, but the worker hashes the bytes again."""
    id, photo, _ = await announce(world, JPEG)
    document = await world.store.mongo.collection("media").find_one({"_id": photo["id"]})
    assert document
    await world.store.objects.put(document["key"], stored, "image/jpeg")
    await confirm(world, photo["id"])
    assert await work.do_one()
    rejected = await only_medium(world, id)
    assert (rejected["state"], rejected["rejection"], rejected["original"]) == ("REJECTED", rejection, None)
    [unmended] = await confirm(world, photo["id"])
    assert unmended["refusal"]["code"] == "NOT_ARRIVED"
    assert await upload(http, await fresh_slot(world, photo), JPEG) == 200
    await confirm(world, photo["id"])
    assert await work.do_one()
    mended = await only_medium(world, id)
    assert (mended["state"], mended["rejection"]) == ("READY", None)


async def test_bytes_that_vanish_after_confirmation_are_expected_again(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    id, photo, slot = await announce(world, JPEG)
    await upload(http, slot, JPEG)
    await confirm(world, photo["id"])
    await world.store.objects.drop_bucket()
    await world.store.objects.make_bucket()
    assert await work.do_one()
    assert (await only_medium(world, id))["state"] == "EXPECTED"
    assert await upload(http, slot, JPEG) == 200
    later = MediaVerifier(work.store, work.decoder, work.folder, lambda: clock() + RETRY_PAUSE)
    assert await later.do_one()
    assert (await only_medium(world, id))["state"] == "UPLOADED"


async def test_an_unconfirmed_upload_is_found_by_the_sweep(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    id, _, slot = await announce(world, JPEG)
    await upload(http, slot, JPEG)
    assert await work.do_one() is False
    later = MediaVerifier(work.store, work.decoder, work.folder, lambda: clock() + world.settings.sweep_after)
    assert await later.do_one()
    assert (await only_medium(world, id))["state"] == "UPLOADED"
    assert await later.do_one()
    assert (await only_medium(world, id))["state"] == "READY"


async def test_a_large_file_is_sent_in_parts_and_resumes_where_it_stopped(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    body = JPEG + bytes(17 * MIB)
    id, photo, slot = await announce(world, body)
    assert (slot["kind"], slot["url"]) == ("MULTIPART", None)
    asked = {"media": [{"mediaId": photo["id"]}]}
    [first] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    parts = first["slot"]["parts"]
    assert [part["byteSize"] for part in parts] == [8 * MIB, 8 * MIB, len(body) - 16 * MIB]
    assert await upload(http, parts[0], body[: 8 * MIB]) == 200
    [unconfirmed] = await confirm(world, photo["id"])
    assert unconfirmed["refusal"]["code"] == "NOT_ARRIVED"
    [second] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    assert [part["hasArrived"] for part in second["slot"]["parts"]] == [True, False, False]
    for part in second["slot"]["parts"][1:]:
        start = part["offset"]
        assert await upload(http, part, body[start : start + part["byteSize"] - 1]) >= 400
        assert await upload(http, part, body[start : start + part["byteSize"]]) == 200
    for _ in range(2):
        [confirmed] = await confirm(world, photo["id"])
        assert confirmed["media"]["state"] == "UPLOADED"
    assert await work.do_one()
    ready = await only_medium(world, id)
    assert (ready["state"], ready["sha256"]) == ("READY", hashlib.sha256(body).hexdigest())


async def test_other_peoples_media_can_be_neither_uploaded_nor_confirmed(world: World) -> None:
    _, photo, _ = await announce(world, JPEG)
    before = await world.snapshot()
    for name in ("inspector2", "officer"):
        [confirmed] = await confirm(world, photo["id"], name=name)
        assert confirmed["refusal"]["code"] == "NOT_FOUND"
        [result] = (await world.ask(name, REQUEST, input={"media": [{"mediaId": photo["id"]}]}))["requestUploads"][
            "results"
        ]
        assert (result["refusal"]["code"], result["slot"]) == ("NOT_FOUND", None)
    assert await world.snapshot() == before


async def test_every_link_that_is_given_out_is_logged(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    id, photo, slot = await announce(world, JPEG)
    await upload(http, slot, JPEG)
    await confirm(world, photo["id"])
    await work.do_one()
    assert await world.store.media.find_accesses(photo["id"]) == []
    await only_medium(world, id, "supervisor")
    logged = await world.store.media.find_accesses(photo["id"])
    assert sorted(each["rendition"] for each in logged) == ["LARGE", "ORIGINAL", "SMALL"]
    assert {each["user_id"] for each in logged} == {world.people["supervisor"].id}


async def test_a_link_that_cannot_be_logged_is_not_given_out(world: World) -> None:
    """The collection of accesses accepts no document for a while."""
    id, _ = await ready_photo(world)
    await world.store.mongo.command("collMod", "media_accesses", validator={"is_never_there": True})
    result = await SCHEMA.execute(LINK, variable_values={"id": id}, context_value=world.context("supervisor"))
    assert result.errors
    assert "http" not in str(result.data)
    await world.store.mongo.command("collMod", "media_accesses", validator={})
    assert "http" in str(await world.ask("supervisor", LINK, id=id))


async def test_a_link_names_the_type_that_was_found_in_the_content(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    id, photo, slot = await announce(world, JPEG, contentType="image/png")
    await upload(http, slot, JPEG)
    await confirm(world, photo["id"])
    await work.do_one()
    original = (await only_medium(world, id))["original"]
    assert original["contentType"] == "image/jpeg"
    assert (await http.get(original["url"])).headers["content-type"] == "image/jpeg"


async def test_a_link_expires_and_cannot_be_extended(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    id, photo, slot = await announce(world, JPEG)
    await upload(http, slot, JPEG)
    await confirm(world, photo["id"])
    await work.do_one()
    ready = await only_medium(world, id)
    ends = datetime.fromisoformat(ready["original"]["expiresAt"])
    assert timedelta(0) < ends - datetime.now(UTC) <= timedelta(minutes=5)
    forged = httpx.URL(ready["original"]["url"]).copy_merge_params({"X-Amz-Expires": "86400"})
    assert (await http.get(forged)).status_code == 403
    assert (await http.get(forged.copy_with(query=None))).status_code == 403, "the bucket is private"


async def test_only_people_with_clearance_see_the_device(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    raw, exif = io.BytesIO(), Image.Exif()
    exif[0x010F], exif[0x0110] = "Mingcha", "Test Phone"
    Image.new("RGB", (40, 30)).save(raw, "JPEG", exif=exif)
    id, photo, slot = await announce(world, raw.getvalue())
    await upload(http, slot, raw.getvalue())
    await confirm(world, photo["id"])
    await work.do_one()
    assert (await only_medium(world, id, "officer"))["device"] == "Mingcha / Test Phone"
    assert (await only_medium(world, id, "supervisor"))["device"] is None


async def test_a_damaged_picture_is_kept_with_its_damage_reported(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    half = JPEG[: len(JPEG) // 2]
    id, photo, slot = await announce(world, half)
    await upload(http, slot, half)
    await confirm(world, photo["id"])
    await work.do_one()
    kept = await only_medium(world, id)
    assert (kept["state"], kept["facts"]["damage"]) == ("READY", "TRUNCATED")
    assert (await http.get(kept["original"]["url"])).content == half
