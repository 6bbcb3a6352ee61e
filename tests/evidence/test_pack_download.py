"""Test pack downloads: short-lived addresses, logging, limits, and packs that are whole or visibly broken."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message

from api.evidence import pack_download
from api.evidence.pack_urls import PATH, PackAddress, read_address
from api.graphql.context import clock
from api.server.app import create_app
from schema.core.refusals import Refusal
from schema.evidence import packs as vocabulary
from scripts.stored_zip import BadZipError
from scripts.verify import verify_pack
from storage.s3.client import ObjectStore
from tests.support.asgi_server import on_a_socket
from tests.support.packs import PHOTO, address, files_of, observed, packed, serving, signed_in, verified
from tests.support.world import World, draft, new_id

REVISE = """
mutation($input: ReviseObservationInput!) {
  reviseObservation(input: $input) { ... on ReviseObservationPayload { observation { revision } } ... on Refused { code } }
}"""


def manifest_of(pack: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files_of(pack)["manifest.json"])
    return found


async def test_a_record_that_the_viewer_cannot_see_has_no_pack(world: World, tmp_path: Path) -> None:
    id = await observed(world, PHOTO)
    case = await world.open_case("officer", id)
    for name in ("neighbour", "neighbour_supervisor", "liaison", "admin", "monitor", "inspector2"):
        await signed_in(world, name)
        viewer = world.viewer(name)
        for wanted in (id, case["id"], new_id("cas"), world.units["360703"].id, world.people["inspector"].id):
            given = PackAddress(
                wanted, viewer.user_id, viewer.device_id, identities=True, expires=int(clock().timestamp()) + 60
            )
            async with serving(world) as client:
                answer = await client.get(given.path(world.keys.packs_secret))
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND"), name
    assert await world.store.mongo.collection("media_accesses").find({}) == []


async def test_an_altered_or_expired_pack_address_is_refused(world: World) -> None:
    secret, now = world.keys.packs_secret, clock()
    given = PackAddress(new_id("cas"), new_id("usr"), None, identities=False, expires=int(now.timestamp()) + 5)
    text = given.path(secret).removeprefix(PATH)
    assert read_address(text, secret, now) == given
    bad = [text[:-1], text + "A", "", "A", "é", text.replace(text[30], "A" if text[30] != "A" else "B"), "A" * 5000]
    for each in bad:
        with pytest.raises(Refusal):
            read_address(each, secret, now)
    with pytest.raises(Refusal, match="expired"):
        read_address(text, secret, now + timedelta(seconds=6))
    with pytest.raises(Refusal):
        read_address(text, world.keys.cursor_secret, now)
    async with serving(world) as client:
        assert (await client.get(PATH + "nonsense")).status_code == 404
        assert (await client.post(PATH + text)).status_code == 405


async def test_a_revoked_device_downloads_nothing(world: World) -> None:
    id = await observed(world)
    url = await address(world, "inspector", id)
    no_device = PackAddress(
        id, world.people["inspector"].id, None, identities=False, expires=int(clock().timestamp()) + 60
    )
    async with serving(world) as client:
        assert (await client.get(no_device.path(world.keys.packs_secret))).status_code == 404
    assert await world.store.users.revoke_device(world.people["inspector"].id, world.devices["inspector"], clock())
    async with serving(world) as client:
        assert (await client.get(url)).status_code == 404


async def test_every_original_in_a_downloaded_pack_is_logged(world: World, tmp_path: Path) -> None:
    id = await observed(world, PHOTO, PHOTO + b"!")
    await verified(world, tmp_path)
    url = await address(world, "supervisor", id)
    assert await world.store.mongo.collection("media_accesses").find({}) == [], "an address gives out nothing"
    async with serving(world) as client:
        await client.get(url)
    accesses = await world.store.mongo.collection("media_accesses").find({})
    assert {each["media_id"] for each in accesses} == {
        each["id"] for each in manifest_of(await _again(world, id))["media"]
    }
    told = {(each["rendition"], each["user_id"], each["pack_of"], each["identities"]) for each in accesses}
    assert told == {("ORIGINAL", world.people["supervisor"].id, id, False)}
    stored = ("_id", "media_id", "rendition", "user_id", "device_id", "at", "pack_of", "identities")
    assert {tuple(each) for each in accesses} == {stored}


async def _again(world: World, id: str) -> bytes:
    return await packed(world, "supervisor", id)


async def test_a_case_with_too_many_entries_has_no_pack_but_its_observations_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The observation has two media and three revisions. Each medium counts once, however often it was corrected."""
    id = await observed(world, PHOTO, PHOTO)
    for _ in range(2):
        correction = {"id": new_id("rev"), "reason": "x", "content": draft(id=id)}
        await world.ask("inspector", REVISE, input=correction)
    case = await world.open_case("officer", id)
    of_case, of_observation = [await address(world, "officer", each) for each in (case["id"], id)]
    answers = []
    async with serving(world) as client:
        for limit, url in ((5, of_case), (4, of_case), (4, of_observation)):
            monkeypatch.setattr("api.evidence.pack_content.MAX_ENTRIES", limit)
            answers.append(await client.get(url))
    assert [answer.status_code for answer in answers] == [200, 413, 200]
    assert answers[1].json()["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert vocabulary.MAX_ENTRIES >= 1000


async def test_concurrent_downloads_are_limited_per_person_and_overall(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each caller reads the head of the answer, and then nothing more until it disconnects."""
    assert (pack_download.MAX_AT_ONCE, pack_download.MAX_PER_PERSON) == (8, 2)
    id = await observed(world, PHOTO)
    await verified(world, tmp_path)
    urls = {name: await address(world, name, id) for name in ("supervisor", "clerk", "officer")}
    monkeypatch.setattr(pack_download, "MAX_AT_ONCE", pack_download.MAX_PER_PERSON + 1)
    app = create_app(world.settings, world.store)
    leave = asyncio.Event()
    begun = asyncio.Semaphore(0)

    async def slow(url: str) -> None:
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                begun.release()
                await asyncio.Event().wait()

        scope = {
            "type": "http",
            "method": "GET",
            "path": url,
            "headers": [],
            "query_string": b"",
            "http_version": "1.1",
        }
        await app({**scope, "scheme": "http", "server": ("small", 80), "client": ("127.0.0.1", 1)}, receive, send)

    async def hold(name: str, times: int) -> list[asyncio.Task[None]]:
        callers = [asyncio.create_task(slow(urls[name])) for _ in range(times)]
        async with asyncio.timeout(30):
            for _ in callers:
                await begun.acquire()
        return callers

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://small", timeout=60) as client:

        async def refused(name: str) -> str:
            answer = await client.get(urls[name])
            [error] = answer.json()["errors"]
            told = error["extensions"]
            assert (answer.status_code, told["code"], told["nextStep"]) == (503, "BUSY", "RETRY_LATER")
            assert int(answer.headers["retry-after"]) > 0
            return str(error["message"])

        held = await hold("supervisor", pack_download.MAX_PER_PERSON)
        logged = await world.store.mongo.collection("media_accesses").count({})
        assert "already fetching packs" in await refused("supervisor")
        assert (await client.get(urls["clerk"])).status_code == 200, "others don't wait for a slow one"
        held += await hold("clerk", 1)
        assert "already fetching packs" not in await refused("officer")
        assert await world.store.mongo.collection("media_accesses").count({}) == logged + 2, "of the two of the clerk"
        assert (await client.get("/healthz")).status_code == 200
        leave.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*held)
        for url in urls.values():
            assert (await client.get(url)).status_code == 200


async def test_a_store_failure_during_a_download_leaves_a_visibly_broken_pack(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets an answer that breaks off before its end."""
    id = await observed(world, PHOTO, PHOTO + b"!")
    await verified(world, tmp_path)
    url = await address(world, "supervisor", id)
    reading, asked = ObjectStore.open, 0

    def failing(self: ObjectStore, key: str) -> Any:
        nonlocal asked
        asked += 1
        return reading(self, key) if asked == 1 else reading(replaced, key)

    replaced = ObjectStore(
        endpoint="http://127.0.0.1:9", public_endpoint="http://127.0.0.1:9", bucket="none", access_key="a",
        secret_key="b", region="c",
    )  # fmt: skip
    monkeypatch.setattr(ObjectStore, "open", failing)
    ended: list[bool] = []

    async def taken() -> AsyncIterator[bytes]:
        sent: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
        bodies: list[bytes] = []

        async def receive() -> Message:
            if not sent:
                await asyncio.Event().wait()
            return sent.pop()

        async def send(message: Message) -> None:
            bodies.append(message.get("body", b""))
            if message["type"] == "http.response.body":
                ended.append(not message.get("more_body", False))

        scope = {
            "type": "http",
            "method": "GET",
            "path": url,
            "headers": [],
            "query_string": b"",
            "http_version": "1.1",
        }
        app = create_app(world.settings, world.store)
        await app({**scope, "scheme": "http", "server": ("small", 80), "client": ("127.0.0.1", 1)}, receive, send)
        for body in bodies:
            yield body

    whole = b"".join([piece async for piece in taken()])
    replaced.close()
    assert PHOTO[:1000] in whole
    assert True not in ended
    with pytest.raises(BadZipError, match="cut off"):
        verify_pack(io.BytesIO(whole))


async def test_the_evidence_keys_are_published(world: World, tmp_path: Path) -> None:
    id = await observed(world)
    pack = await packed(world, "inspector", id)
    async with serving(world) as client:
        keys = (await client.get("/.well-known/evidence-keys.json")).json()["keys"]
        tokens = (await client.get("/.well-known/jwks.json")).json()["keys"]
    assert [key["fingerprint"] for key in keys] == [manifest_of(pack)["key"]["fingerprint"]]
    assert keys[0]["publicKey"].encode() == files_of(pack)["evidence-key.pem"]
    assert keys[0]["publicKey"] not in str(tokens)


async def test_a_running_server_delivers_a_pack_after_another_caller_disconnects(world: World) -> None:
    id = await observed(world)
    path = await address(world, "inspector", id, identities=True)
    async with (
        on_a_socket(create_app(world.settings, world.store)) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=60) as client,
    ):
        async with client.stream("GET", path) as answer:
            assert answer.status_code == 200
        answer = await client.get(path)
        assert answer.headers["content-disposition"] == f'attachment; filename="mingcha-{id}.zip"'
        assert "1 of 1 recomputed" in verify_pack(io.BytesIO(answer.content))
        assert (await client.get(path[:-2])).status_code == 404
