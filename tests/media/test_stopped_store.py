"""Test uploads while the object store does not answer: phones are told soon to try again, and nothing is lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from api.settings import MIB
from storage.embedded.engines import Addresses
from storage.s3.client import ObjectStore
from storage.s3.time_budget import SECONDS
from tests.support.uploads import ABORT, JPEG, announce, confirm, fresh_slot, upload
from tests.support.world import REFUSED, World

SLACK_SECONDS = 1.5
"""Time for everything but the object store, on a machine that runs other tests too."""
MANY = 40
"""More media than there are threads for calls of one process."""
REQUEST = f"""
mutation Request($input: RequestUploadsInput!) {{
  requestUploads(input: $input) {{
    ... on RequestUploadsPayload {{ results {{ mediaId slot {{ kind }} refusal {{ code nextStep }} }} }}
    {REFUSED}
  }}
}}"""


@asynccontextmanager
async def silent_address() -> AsyncIterator[str]:
    """Listen on a port, accept every connection and never answer, as a stopped process does."""
    stopped = asyncio.Event()

    async def keep_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stopped.wait()
        writer.close()

    server = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        stopped.set()
        server.close()


@asynccontextmanager
async def stopped_store(world: World, engines: Addresses, how: str) -> AsyncIterator[None]:
    """Put an address that does not answer in the place of the object store's."""
    live = world.store.objects
    async with silent_address() as silent:
        world.store.objects = ObjectStore(
            endpoint=silent if how == "silent" else "http://127.0.0.1:1",
            public_endpoint=live.public_endpoint,
            bucket=live.bucket,
            access_key=engines.s3_access_key,
            secret_key=engines.s3_secret_key,
            region=engines.s3_region,
        )
        try:
            yield
        finally:
            world.store.objects.close()
            world.store.objects = live


@pytest.mark.parametrize("how", ["silent", "refusing"])
async def test_a_phone_is_told_within_seconds_to_retry_and_nothing_is_lost(
    world: World, engines: Addresses, how: str
) -> None:
    large = bytes(range(256)) * (9 * MIB // 256)
    _, in_parts, _ = await announce(world, large)
    slot = await fresh_slot(world, in_parts)
    _, whole, put = await announce(world, JPEG)
    others = [(await announce(world, b"%d" % number))[1]["id"] for number in range(MANY)]
    async with httpx.AsyncClient(timeout=30) as http:
        assert await upload(http, put, JPEG) == 200
        before = await world.snapshot()
        async with stopped_store(world, engines, how):
            began = time.monotonic()
            confirmed = await confirm(world, whole["id"], *others)
            confirming, began = time.monotonic() - began, time.monotonic()
            asked = await world.ask("inspector", REQUEST, input={"media": [{"mediaId": in_parts["id"]}]})
            asking, began = time.monotonic() - began, time.monotonic()
            aborted = await world.ask("inspector", ABORT, input={"mediaIds": [in_parts["id"]]})
            aborting = time.monotonic() - began
        told = [*confirmed, *asked["requestUploads"]["results"], *aborted["abortUploads"]["results"]]
        assert {(each["refusal"]["code"], each["refusal"]["nextStep"]) for each in told} == {
            ("UNAVAILABLE", "RETRY_LATER")
        }
        assert max(confirming, asking, aborting) < SECONDS + SLACK_SECONDS
        assert _without_use(await world.snapshot()) == _without_use(before)
        [again] = await confirm(world, whole["id"])
        assert again["media"]["state"] == "UPLOADED"
        renewed = await fresh_slot(world, in_parts)
    assert [part["number"] for part in renewed["parts"]] == [part["number"] for part in slot["parts"]]


async def test_slots_are_signed_while_the_store_is_stopped(world: World, engines: Addresses) -> None:
    """Phones can't use these slots yet, but asking for them must not wait for the store."""
    _, photo, _ = await announce(world, JPEG)
    async with stopped_store(world, engines, "silent"):
        assert (await fresh_slot(world, photo))["kind"] == "SINGLE"


def _without_use(snapshot: dict[str, list[dict[str, object]]]) -> dict[str, list[dict[str, object]]]:
    """Leave out when slots were last issued, which a refused request for slots records."""
    return {
        name: [{key: value for key, value in document.items() if key != "upload_used_at"} for document in documents]
        for name, documents in snapshot.items()
    }
