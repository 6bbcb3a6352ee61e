"""Test the configuration of nginx in docs/operations.md with a real nginx: what it passes on, and what it holds back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.asgi_server import on_a_socket
from tests.support.nginx import PROGRAM, Proxy, proxying
from tests.support.small_schema import until
from tests.support.subscription_clients import ASSIGNMENTS, linked, listening, serving, signed_in
from tests.support.world import World

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="nginx is missing")
NAMES = ("host", "x-forwarded-for", "x-forwarded-proto")


@dataclass
class Upstream:
    """An application that tells what arrives. It answers `/slow` when `gate` is set."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[str] = field(default_factory=list)

    async def tell(self, request: Request) -> Response:
        self.requests.append(request.url.path)
        if request.url.path == "/slow":
            await self.gate.wait()
        return JSONResponse({name: request.headers.getlist(name) for name in NAMES})


@asynccontextmanager
async def told(folder: Path, **changes: str) -> AsyncIterator[tuple[Upstream, Proxy, httpx.AsyncClient]]:
    upstream = Upstream()
    app = Starlette(routes=[Route("/{path:path}", upstream.tell, methods=["GET", "POST"])])
    async with on_a_socket(app) as (host, port), proxying(f"{host}:{port}", folder, changes) as proxy:
        async with httpx.AsyncClient(verify=proxy.trust, timeout=20) as client:
            yield upstream, proxy, client
        upstream.gate.set()


async def test_requests_websockets_and_streams_pass_through_nginx(world: World, tmp_path: Path) -> None:
    signed = await signed_in(world, "inspector")
    async with serving(world) as address, proxying(address, tmp_path) as proxy:
        async with httpx.AsyncClient(verify=proxy.trust) as client:
            asked = {"query": "{ me { user { id } } }"}
            answer = await client.post(f"{proxy.url}/graphql", json=asked, headers={"authorization": signed.header})
        assert answer.json() == {"data": {"me": {"user": {"id": signed.user_id}}}}
        async with linked(proxy.plain_address, signed) as socket:
            await socket.subscribe(ASSIGNMENTS)
            assert (await socket.news())["__typename"] == "StreamPosition"
        async with listening(proxy.plain_address, signed, ASSIGNMENTS) as events:
            assert (await events.news())["__typename"] == "StreamPosition"


async def test_a_caller_can_not_state_an_address_or_scheme_of_their_own(tmp_path: Path) -> None:
    async with told(tmp_path) as (_, proxy, client):
        forged = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "ftp"}
        answers = [
            (await client.get(url, headers=forged)).json() for url in (proxy.url, f"http://{proxy.plain_address}")
        ]
    assert [each["x-forwarded-for"] for each in answers] == [["127.0.0.1"]] * 2
    assert [each["x-forwarded-proto"] for each in answers] == [["https"], ["http"]]
    assert answers[0]["host"] == [httpx.URL(proxy.url).netloc.decode().split(":")[0]]


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost:", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_what_never_ends_is_closed_and_never_passed_on(sent: bytes, tmp_path: Path) -> None:
    changes = {
        "client_header_timeout 20s": "client_header_timeout 100ms",
        "client_body_timeout   60s": "client_body_timeout 100ms",
    }
    async with told(tmp_path, **changes) as (upstream, proxy, client):
        for port in (proxy.plain, proxy.secure):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent if port == proxy.plain else b"")
            left = await asyncio.wait_for(reader.read(), 10)
            assert b" 200 " not in left
            writer.close()
        assert upstream.requests == []
        assert (await client.get(proxy.url)).status_code == 200


async def test_an_address_has_a_bound_on_requests_under_way(tmp_path: Path) -> None:
    async with told(tmp_path, **{"limit_conn connections 400": "limit_conn connections 2"}) as (
        upstream,
        proxy,
        client,
    ):
        held = [asyncio.create_task(client.get(f"{proxy.url}/slow")) for _ in range(2)]
        await until(lambda: len(upstream.requests) == 2)
        assert (await client.get(proxy.url)).status_code == 503
        upstream.gate.set()
        assert [(await each).status_code for each in held] == [200, 200]
        assert (await client.get(proxy.url)).status_code == 200
    assert upstream.requests == ["/slow", "/slow", "/"]


async def test_an_address_has_a_bound_on_its_rate_of_requests(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"rate=50r/s": "rate=1r/m", "burst=400": "burst=4"}
    async with told(tmp_path, **changes) as (upstream, proxy, client):
        answers = [await client.get(proxy.url) for _ in range(7)]
    assert Counter(each.status_code for each in answers) == {200: 5, 503: 2}
    assert len(upstream.requests) == 5


async def test_a_body_that_is_too_large_is_refused_at_once(tmp_path: Path) -> None:
    async with told(tmp_path) as (upstream, proxy, client):
        answers = [await client.post(proxy.url, content=bytes(256 * 1024 + more)) for more in (0, 1)]
    assert [each.status_code for each in answers] == [200, 413]
    assert upstream.requests == ["/"]
