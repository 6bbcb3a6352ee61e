"""Media: signed for exactly the declared bytes, hashed again after arrival, shown by short-lived links that are logged."""

import base64
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from api.graphql.context import clock
from api.media.verification import PAUSE, MediaVerifier
from api.settings import MIB
from scripts.demo.scenes import draw_scene
from storage.formats.sandbox import Decoder
from tests.support.world import REFUSED, World, draft, medium

pytestmark = pytest.mark.both_drivers

JPEG = draw_scene(1, 640, 480, ["0900"])
REQUEST = f"""
mutation Request($input: RequestUploadsInput!) {{
  requestUploads(input: $input) {{
    ... on RequestUploadsPayload {{
      results {{
        mediaId hasArrived refusal {{ code field }}
        slot {{
          kind url headers {{ name value }} fields {{ name value }} expiresAt
          parts {{ number offset byteSize url headers {{ name value }} hasArrived }}
        }}
      }}
    }}
    {REFUSED}
  }}
}}"""
CONFIRM = f"""
mutation Confirm($input: ConfirmMediaInput!) {{
  confirmMedia(input: $input) {{
    ... on ConfirmMediaPayload {{ results {{ mediaId media {{ id state }} refusal {{ code nextStep }} }} }}
    {REFUSED}
  }}
}}"""
MEDIA = """
query One($id: ID!) {
  observation(id: $id) {
    mediaExpected mediaArrived
    content {
      media {
        id state rejection device sha256 byteSize uploadedAt readyAt
        facts {
          contentType width height orientation displayWidth displayHeight takenAtLocal takenAt takenOffsetMinutes damage
          position { latitude longitude source } positionAbsent
        }
        original: link(rendition: ORIGINAL) { url contentType expiresAt width height }
        large: link(rendition: LARGE) { url contentType width height }
        small: link(rendition: SMALL) { url contentType width height }
      }
    }
  }
}"""


@pytest.fixture
async def work(world: World, tmp_path: Path) -> AsyncIterator[MediaVerifier]:
    async with Decoder() as decoder:
        yield MediaVerifier(world.store, decoder, tmp_path, clock)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def upload(http: httpx.AsyncClient, slot: dict[str, Any], body: bytes, **headers: str) -> int:
    """PUT a body to a slot, with its headers or others in their place; the store's status."""
    given = {each["name"]: each["value"] for each in slot["headers"]} | headers | {"content-length": str(len(body))}
    return (await http.put(slot["url"], content=body, headers=given)).status_code


async def announce(world: World, body: bytes, **fields: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """An observation with one medium: (its id, the medium, its upload slot)."""
    photo = medium(body, **fields)
    [result] = await world.submit("inspector", draft(media=[photo]))
    return result["id"], photo, result["uploads"][0]


async def renewed(world: World, photo: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A fresh slot of a medium."""
    asked = {"media": [{"mediaId": photo["id"]} | fields]}
    [result] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    slot: dict[str, Any] = result["slot"]
    return slot


async def confirm(world: World, *ids: str, name: str = "inspector") -> list[dict[str, Any]]:
    answer = await world.ask(name, CONFIRM, input={"mediaIds": list(ids)})
    results: list[dict[str, Any]] = answer["confirmMedia"]["results"]
    return results


async def the_media(world: World, observation_id: str, name: str = "inspector") -> dict[str, Any]:
    answer = await world.ask(name, MEDIA, id=observation_id)
    [found] = answer["observation"]["content"]["media"]
    return dict(found) | {key: answer["observation"][key] for key in ("mediaExpected", "mediaArrived")}


async def test_from_announcement_to_ready(world: World, work: MediaVerifier, http: httpx.AsyncClient) -> None:
    id, photo, slot = await announce(world, JPEG)
    assert (await the_media(world, id))["state"] == "EXPECTED"
    assert (await the_media(world, id))["mediaArrived"] == 0
    assert slot["kind"] == "SINGLE"
    assert await upload(http, slot, JPEG) == 200
    [confirmed] = await confirm(world, photo["id"])
    assert confirmed["media"]["state"] == "UPLOADED"
    waiting = await the_media(world, id)
    assert (waiting["mediaArrived"], waiting["original"]) == (1, None)
    assert await work.do_one() is True
    assert await work.do_one() is False
    ready = await the_media(world, id)
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


async def test_the_store_refuses_other_bytes(world: World, http: httpx.AsyncClient) -> None:
    """Another size, type or digest than was signed: nothing is stored."""
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
    assert (await the_media(world, id))["state"] == "EXPECTED"
    assert await upload(http, slot, JPEG) == 200


def medium_headers(body: bytes) -> list[dict[str, str]]:
    return [
        {"name": "x-amz-checksum-sha256", "value": base64.b64encode(hashlib.sha256(body).digest()).decode()},
        {"name": "content-md5", "value": base64.b64encode(hashlib.md5(body).digest()).decode()},  # noqa: S324
    ]


@pytest.mark.parametrize(
    ("stored", "rejection"), [(JPEG[:-1] + b"\x00", "DIGEST_MISMATCH"), (JPEG + b"more", "SIZE_MISMATCH")]
)
async def test_wrong_bytes_are_never_ready(
    world: World, work: MediaVerifier, http: httpx.AsyncClient, stored: bytes, rejection: str
) -> None:
    """A store that does not hold to the signature: the worker hashes again."""
    id, photo, _ = await announce(world, JPEG)
    document = await world.store.mongo.collection("media").find_one({"_id": photo["id"]})
    assert document
    await world.store.objects.put(document["key"], stored, "image/jpeg")
    await confirm(world, photo["id"])
    assert await work.do_one()
    rejected = await the_media(world, id)
    assert (rejected["state"], rejected["rejection"], rejected["original"]) == ("REJECTED", rejection, None)
    [unmended] = await confirm(world, photo["id"])
    assert unmended["refusal"]["code"] == "NOT_ARRIVED"
    assert await upload(http, await renewed(world, photo), JPEG) == 200
    await confirm(world, photo["id"])
    assert await work.do_one()
    mended = await the_media(world, id)
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
    assert (await the_media(world, id))["state"] == "EXPECTED"
    assert await upload(http, slot, JPEG) == 200
    later = MediaVerifier(work.store, work.decoder, work.folder, lambda: clock() + PAUSE)
    assert await later.do_one()
    assert (await the_media(world, id))["state"] == "UPLOADED"


async def test_what_nobody_confirmed_is_found_by_the_sweep(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    id, _, slot = await announce(world, JPEG)
    await upload(http, slot, JPEG)
    assert await work.do_one() is False
    later = MediaVerifier(work.store, work.decoder, work.folder, lambda: clock() + world.settings.sweep_after)
    assert await later.do_one()
    assert (await the_media(world, id))["state"] == "UPLOADED"
    assert await later.do_one()
    assert (await the_media(world, id))["state"] == "READY"


async def test_a_large_file_goes_in_parts_and_goes_on_where_it_stopped(
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
    ready = await the_media(world, id)
    assert (ready["state"], ready["sha256"]) == ("READY", hashlib.sha256(body).hexdigest())


async def test_media_of_another_person_can_be_neither_uploaded_nor_confirmed(world: World) -> None:
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


async def test_every_link_is_logged_before_it_is_given(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    id, photo, slot = await announce(world, JPEG)
    await upload(http, slot, JPEG)
    await confirm(world, photo["id"])
    await work.do_one()
    assert await world.store.media.accesses(photo["id"]) == []
    await the_media(world, id, "supervisor")
    logged = await world.store.media.accesses(photo["id"])
    assert sorted(each["rendition"] for each in logged) == ["LARGE", "ORIGINAL", "SMALL"]
    assert {each["user_id"] for each in logged} == {world.people["supervisor"].id}


async def test_a_link_ends(world: World, work: MediaVerifier, http: httpx.AsyncClient) -> None:
    id, photo, slot = await announce(world, JPEG)
    await upload(http, slot, JPEG)
    await confirm(world, photo["id"])
    await work.do_one()
    ready = await the_media(world, id)
    ends = datetime.fromisoformat(ready["original"]["expiresAt"])
    assert timedelta(0) < ends - datetime.now(UTC) <= timedelta(seconds=world.settings.link_seconds)
    forged = httpx.URL(ready["original"]["url"]).copy_merge_params({"X-Amz-Expires": "86400"})
    assert (await http.get(forged)).status_code == 403


async def test_what_the_device_is_shows_to_the_cleared_alone(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    raw, exif = io.BytesIO(), Image.Exif()
    exif[0x010F], exif[0x0110] = "Mingcha", "Test Phone"
    Image.new("RGB", (40, 30)).save(raw, "JPEG", exif=exif)
    id, photo, slot = await announce(world, raw.getvalue())
    await upload(http, slot, raw.getvalue())
    await confirm(world, photo["id"])
    await work.do_one()
    assert (await the_media(world, id, "officer"))["device"] == "Mingcha / Test Phone"
    assert (await the_media(world, id, "supervisor"))["device"] is None


async def test_a_damaged_picture_is_kept_and_says_so(
    world: World, work: MediaVerifier, http: httpx.AsyncClient
) -> None:
    half = JPEG[: len(JPEG) // 2]
    id, photo, slot = await announce(world, half)
    await upload(http, slot, half)
    await confirm(world, photo["id"])
    await work.do_one()
    kept = await the_media(world, id)
    assert (kept["state"], kept["facts"]["damage"]) == ("READY", "TRUNCATED")
    assert (await http.get(kept["original"]["url"])).content == half
