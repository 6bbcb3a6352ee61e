"""Uploads at once: whatever several requests of one phone meet, one upload is begun and one object made of it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from api.settings import MIB
from tests.test_media import CONFIRM, REQUEST, announce, upload
from tests.world import World


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def test_a_malformed_digest_of_a_part_is_refused_alone(world: World) -> None:
    _, one, _ = await announce(world, bytes(9 * MIB))
    _, two, _ = await announce(world, b"small")
    asked = {"media": [{"mediaId": one["id"], "parts": [{"number": 1, "sha256": "xyz"}]}, {"mediaId": two["id"]}]}
    results = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    assert results[0]["refusal"]["code"] == "BAD_INPUT"
    assert results[1]["slot"]["kind"] == "SINGLE"


async def test_concurrent_confirmations_of_a_large_file(world: World, http: httpx.AsyncClient) -> None:
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
    _, photo, _ = await announce(world, bytes(9 * MIB))
    asked = {"media": [{"mediaId": photo["id"]}]}
    answers = await asyncio.gather(*(world.ask("inspector", REQUEST, input=asked) for _ in range(6)))
    refused = [answer["requestUploads"]["results"][0]["refusal"] for answer in answers]
    assert [each["code"] for each in refused if each] == ["BUSY"] * (len(refused) - refused.count(None))
    objects = world.store.objects
    assert len(objects._client.list_multipart_uploads(Bucket=objects.bucket)["Uploads"]) == 1
