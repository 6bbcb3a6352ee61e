"""Test uploads in parts: an upload begins once despite concurrent requests, can be aborted, and becomes one object."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

import api.media.uploads
from api.graphql.context import clock
from api.media.upload_cleanup import SAFE_AGE, sweep_uploads
from api.settings import MIB
from schema.media.media import MediaState
from storage.media.upload_completion import complete_upload
from storage.s3 import multipart
from storage.s3.client import ObjectStore
from tests.support.uploads import ABORT, CONFIRM, JPEG, REQUEST, announce, confirm, fresh_slot, only_medium, upload
from tests.support.world import World, medium, new_id

pytestmark = pytest.mark.both_drivers


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def test_a_malformed_part_digest_refuses_only_its_medium(world: World) -> None:
    _, one, _ = await announce(world, bytes(9 * MIB))
    _, two, _ = await announce(world, b"small")
    asked = {"media": [{"mediaId": one["id"], "parts": [{"number": 1, "sha256": "xyz"}]}, {"mediaId": two["id"]}]}
    results = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    assert results[0]["refusal"]["code"] == "BAD_INPUT"
    assert results[1]["slot"]["kind"] == "SINGLE"


async def test_a_part_digest_that_the_phone_gives_is_enforced(world: World, http: httpx.AsyncClient) -> None:
    body = bytes(range(256)) * (9 * MIB // 256)
    _, photo, _ = await announce(world, body)
    part = {"number": 1, "sha256": hashlib.sha256(body[: 8 * MIB]).hexdigest()}
    asked = {"media": [{"mediaId": photo["id"], "parts": [part]}]}
    [result] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    slot = result["slot"]["parts"][0]
    assert await upload(http, slot, bytes(8 * MIB)) >= 400
    assert await upload(http, slot, body[: 8 * MIB]) == 200


async def test_an_open_upload_keeps_its_part_size_when_the_setting_changes(
    world: World, http: httpx.AsyncClient
) -> None:
    """With another part size, arrived parts would be sent again.

    Arrived parts of the old size with numbers beyond the new last part would corrupt the file.
    """
    body = bytes(range(256)) * (17 * MIB // 256)
    _, photo, _ = await announce(world, body)
    asked = {"media": [{"mediaId": photo["id"]}]}
    [first] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    cut = [(each["offset"], each["byteSize"]) for each in first["slot"]["parts"]]
    assert len(cut) == 3
    assert await upload(http, first["slot"]["parts"][2], body[16 * MIB :]) == 200
    world.settings = replace(world.settings, part_bytes=10 * MIB)
    [again] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    assert [(each["offset"], each["byteSize"]) for each in again["slot"]["parts"]] == cut
    assert [each["hasArrived"] for each in again["slot"]["parts"]] == [False, False, True]
    for part in again["slot"]["parts"][:2]:
        assert await upload(http, part, body[part["offset"] : part["offset"] + part["byteSize"]]) == 200
    [confirmed] = await confirm(world, photo["id"])
    assert confirmed["media"]["state"] == "UPLOADED"
    _, other, _ = await announce(world, body[1:])
    [fresh] = (await world.ask("inspector", REQUEST, input={"media": [{"mediaId": other["id"]}]}))["requestUploads"][
        "results"
    ]
    assert len(fresh["slot"]["parts"]) == 2


async def parts_of(world: World, photo: dict[str, Any], part_bytes: int | None) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = (await fresh_slot(world, photo, partBytes=part_bytes))["parts"]
    assert len({part["number"] for part in parts}) == len(parts)
    return parts


async def test_a_phone_can_choose_the_part_size_until_a_part_has_arrived(world: World, http: httpx.AsyncClient) -> None:
    """Before a part has arrived, the phone can change the size. Late parts of the old size are then refused."""
    body = bytes(range(256)) * (17 * MIB // 256)
    _, photo, _ = await announce(world, body)
    first = await parts_of(world, photo, 5 * MIB)
    assert [part["byteSize"] for part in first] == [5 * MIB, 5 * MIB, 5 * MIB, 2 * MIB]
    assert [part["url"].split("?")[0] for part in await parts_of(world, photo, None)] == 4 * [
        first[0]["url"].split("?")[0]
    ]
    again = await parts_of(world, photo, 16 * MIB)
    assert [part["byteSize"] for part in again] == [16 * MIB, MIB]
    assert await upload(http, first[3], body[15 * MIB :]) == 404
    assert len(await open_uploads(world.store.objects)) == 1
    assert await upload(http, again[1], body[16 * MIB :]) == 200
    for wanted in (5 * MIB, None, 64 * MIB):
        kept = await parts_of(world, photo, wanted)
        assert [(part["byteSize"], part["hasArrived"]) for part in kept] == [(16 * MIB, False), (MIB, True)]
    assert await upload(http, kept[0], body[: 16 * MIB]) == 200
    [confirmed] = await confirm(world, photo["id"])
    assert confirmed["media"]["state"] == "UPLOADED"


async def test_an_upload_never_has_more_parts_than_a_store_joins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.media.uploads, "MAX_PARTS", 3)
    _, photo, _ = await announce(world, bytes(30 * MIB))
    assert [part["byteSize"] for part in await parts_of(world, photo, 5 * MIB)] == 3 * [10 * MIB]


async def test_an_invalid_part_size_is_refused_and_changes_nothing(world: World) -> None:
    _, photo, _ = await announce(world, bytes(9 * MIB))
    fresh = medium(b"fresh")
    announced = {name: value for name, value in fresh.items() if name != "id"} | {"observationId": new_id("obs")}
    before = await world.snapshot()
    for wrong in (0, -1, 5 * MIB - 1, 64 * MIB + 1):
        asked = [
            {"mediaId": photo["id"], "partBytes": wrong},
            {"mediaId": fresh["id"], "announcement": announced, "partBytes": wrong},
        ]
        results = (await world.ask("inspector", REQUEST, input={"media": asked}))["requestUploads"]["results"]
        assert [(each["refusal"], each["slot"]) for each in results] == [
            ({"code": "BAD_INPUT", "field": f"media.{index}.partBytes"}, None) for index in range(2)
        ]
    assert await world.snapshot() == before
    assert await open_uploads(world.store.objects) == []


async def test_concurrent_confirmations_of_a_large_file_all_succeed(world: World, http: httpx.AsyncClient) -> None:
    body = bytes(range(256)) * (9 * MIB // 256)
    _, photo, _ = await announce(world, body)
    asked = {"media": [{"mediaId": photo["id"]}]}
    [first] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    for part in first["slot"]["parts"]:
        start = part["offset"]
        assert await upload(http, part, body[start : start + part["byteSize"]]) == 200
    answers = await asyncio.gather(
        *(world.ask("inspector", CONFIRM, input={"mediaIds": [photo["id"]]}) for _ in range(8))
    )
    states = [answer["confirmMedia"]["results"][0] for answer in answers]
    assert all(each["media"] and each["media"]["state"] == "UPLOADED" for each in states)


async def test_concurrent_requests_begin_one_upload(world: World) -> None:
    """The phone tries the others again.

    On a busy machine, the object store may be too slow for some of them. The sweep then ends what they began.
    """
    _, photo, _ = await announce(world, bytes(9 * MIB))
    asked = {"media": [{"mediaId": photo["id"]}]}
    answers = await asyncio.gather(*(world.ask("inspector", REQUEST, input=asked) for _ in range(6)))
    refused = [answer["requestUploads"]["results"][0]["refusal"] for answer in answers]
    assert {each["code"] for each in refused if each} <= {"BUSY", "UNAVAILABLE"}
    await sweep_uploads(world.store, clock() + 2 * SAFE_AGE, unused_for=timedelta(days=7))
    kept = await world.store.mongo.collection("media").find_one({"_id": photo["id"]})
    assert kept
    assert [each.upload_id for each in await open_uploads(world.store.objects)] == [kept["upload_id"]]


async def open_uploads(objects: ObjectStore) -> list[multipart.OpenUpload]:
    return await multipart.list_open(objects, "", begun_before=clock() + timedelta(minutes=1))


async def abort(world: World, *ids: str, name: str = "inspector") -> list[dict[str, Any]]:
    answer = await world.ask(name, ABORT, input={"mediaIds": list(ids)})
    results: list[dict[str, Any]] = answer["abortUploads"]["results"]
    return results


async def test_an_aborted_upload_can_begin_again(world: World, http: httpx.AsyncClient) -> None:
    body = bytes(range(256)) * (9 * MIB // 256)
    id, photo, _ = await announce(world, body)
    slot = await fresh_slot(world, photo)
    assert await upload(http, slot["parts"][0], body[: 8 * MIB]) == 200
    for _ in range(2):
        [aborted] = await abort(world, photo["id"])
        assert aborted == {
            "mediaId": photo["id"],
            "media": {"id": photo["id"], "state": "EXPECTED"},
            "refusal": None,
        }
        assert await open_uploads(world.store.objects) == []
    assert await upload(http, slot["parts"][0], body[: 8 * MIB]) == 404
    slot = await fresh_slot(world, photo)
    assert [part["hasArrived"] for part in slot["parts"]] == [False, False]
    for part in slot["parts"]:
        start = part["offset"]
        assert await upload(http, part, body[start : start + part["byteSize"]]) == 200
    await confirm(world, photo["id"])
    assert (await only_medium(world, id))["state"] == "UPLOADED"


async def test_a_complete_upload_is_joined_and_not_requested_again(world: World, http: httpx.AsyncClient) -> None:
    """This is also true if the API was killed after it joined the parts and before it stored the new state."""
    body = bytes(range(256)) * (9 * MIB // 256)
    asked = []
    for joined in (False, True):
        _, photo, _ = await announce(world, body)
        slot = await fresh_slot(world, photo)
        for part in slot["parts"]:
            start = part["offset"]
            assert await upload(http, part, body[start : start + part["byteSize"]]) == 200
        if joined:
            [media] = await world.store.media.many([photo["id"]])
            assert await complete_upload(world.store.objects, media)
            assert media.state is MediaState.EXPECTED
        asked.append({"mediaId": photo["id"]})
    results = (await world.ask("inspector", REQUEST, input={"media": asked}))["requestUploads"]["results"]
    assert [(each["hasArrived"], each["slot"]) for each in results] == 2 * [(True, None)]
    states = {each.state for each in await world.store.media.many([each["mediaId"] for each in asked])}
    assert states == {MediaState.UPLOADED}


async def test_each_medium_of_an_abort_is_judged_on_its_own(world: World, http: httpx.AsyncClient) -> None:
    """A medium does not change if it is another person's or has arrived. Unknown and malformed ids are refused."""
    _, open_one, _ = await announce(world, bytes(9 * MIB))
    await fresh_slot(world, open_one)
    _, arrived, slot = await announce(world, JPEG)
    await upload(http, slot, JPEG)
    await confirm(world, arrived["id"])
    before = await world.snapshot()
    [theirs] = await abort(world, open_one["id"], name="inspector2")
    results = await abort(world, medium()["id"], "med_x", arrived["id"])
    codes = [theirs["refusal"]["code"], *(each["refusal"]["code"] for each in results)]
    assert codes == ["NOT_FOUND", "NOT_FOUND", "BAD_ID", "WRONG_STATE"]
    for ids in ([], [open_one["id"]] * 51):
        answer = await world.ask("inspector", ABORT, input={"mediaIds": ids})
        assert answer["abortUploads"]["code"] == "LIMIT_EXCEEDED"
    assert await world.snapshot() == before
    assert len(await open_uploads(world.store.objects)) == 1
    [aborted] = await abort(world, open_one["id"])
    assert aborted["refusal"] is None


async def test_an_abort_during_the_confirmation_loses_nothing(world: World, http: httpx.AsyncClient) -> None:
    """Either the parts are joined first and the medium has arrived, or it is EXPECTED and a new upload begins."""
    for number in range(4):
        body = bytes([number]) * 9 * MIB  # bytes that have arrived once would not be sent again
        id, photo, _ = await announce(world, body)
        slot = await fresh_slot(world, photo)
        for part in slot["parts"]:
            start = part["offset"]
            assert await upload(http, part, body[start : start + part["byteSize"]]) == 200
        await asyncio.gather(abort(world, photo["id"]), confirm(world, photo["id"]), abort(world, photo["id"]))
        state = (await only_medium(world, id))["state"]
        there = await world.store.objects.size_of(f"originals/{photo['id']}-{photo['sha256']}")
        if there is None:
            assert state == "EXPECTED"
            assert [part["hasArrived"] for part in (await fresh_slot(world, photo))["parts"]] == [False, False]
        else:
            await confirm(world, photo["id"])
            assert (await only_medium(world, id))["state"] == "UPLOADED"
