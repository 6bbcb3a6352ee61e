"""Upload and verify media in a real store, and download packs over HTTP."""

import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import strawberry
from starlette.types import ASGIApp

from api.graphql.context import clock
from api.media.verification import MediaVerifier
from api.server.app import create_app
from schema.accounts.users import Device
from scripts.demo.scenes import draw_scene
from storage.formats.sandbox import Decoder
from tests.support.world import World, draft, medium, new_id

PHOTO = draw_scene(1, 640, 480, ["0900"])
CASE_PACK = (
    "query($id: ID!, $identities: Boolean) { case(id: $id) { pack(identities: $identities) { url expiresAt } } }"
)
OBSERVATION_PACK = CASE_PACK.replace("case(", "observation(")


async def observed(world: World, *bodies: bytes, name: str = "inspector", **fields: Any) -> str:
    """Submit an observation with these media, upload and confirm them, and return its id."""
    media = [medium(body) for body in bodies]
    [result] = await world.submit(name, draft(media=media, **fields))
    assert result["outcome"] == "ACCEPTED", result
    records = await world.store.media.many([each["id"] for each in media])
    bodies_of = dict(zip((each["id"] for each in media), bodies, strict=True))
    for each in records:
        await world.store.objects.put(each.key, bodies_of[each.id], each.content_type)
        await world.store.media.confirm(each.id, clock())
    id: str = result["id"]
    return id


async def verified(world: World, folder: Path) -> None:
    """Let the worker verify all media that are due."""
    async with Decoder() as decoder:
        work = MediaVerifier(world.store, decoder, folder, clock)
        while await work.do_one():
            pass


async def signed_in(world: World, name: str) -> None:
    """Register the device that the person asks from."""
    device_id = world.viewer(name).device_id
    assert device_id
    device = Device(id=strawberry.ID(device_id), name="desk", signed_in_at=clock(), seen_at=clock())
    assert await world.store.users.add_device(world.people[name].id, device, new_id("ses"))


async def address(world: World, name: str, id: str, *, identities: bool = False) -> str:
    """Return the URL of the pack of a case or an observation."""
    await signed_in(world, name)
    kind, asked = ("case", CASE_PACK) if id.startswith("cas_") else ("observation", OBSERVATION_PACK)
    url: str = (await world.ask(name, asked, id=id, identities=identities))[kind]["pack"]["url"]
    return url


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app: ASGIApp = create_app(world.settings, world.store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://small", timeout=60) as client:
        yield client


async def packed(world: World, name: str, id: str, *, identities: bool = False) -> bytes:
    """Download the pack as that person."""
    url = await address(world, name, id, identities=identities)
    async with serving(world) as client:
        answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    return answer.content


def files_of(pack: bytes) -> Mapping[str, bytes]:
    """Return the files of a pack in their order, keyed by name."""
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}
