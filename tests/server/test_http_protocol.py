"""Test the bound on heads of requests, over real sockets: half a head is closed in time, and keeps nobody out."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api.http.waiting_room import WaitingRoom
from api.server.http_protocol import BoundedHttpProtocol, bounded_protocol
from tests.support.small_schema import until

WHOLE = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def served(gate: asyncio.Event, proxies: str | None = None, **limits: Any) -> AsyncIterator[tuple[Any, ...]]:
    """Serve a route that answers when `gate` is set. Yield the protocol class, the host and the port."""

    async def slow(_: Request) -> Response:
        await gate.wait()
        return PlainTextResponse("done")

    protocol = bounded_protocol(proxies, **limits)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app = Starlette(routes=[Route("/slow", slow)])
        server = uvicorn.Server(uvicorn.Config(app, http=protocol, log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        yield protocol, *listening.getsockname()
        server.should_exit = True
        await serving


async def opened(host: str, port: int, sent: bytes, room: WaitingRoom, waiting: int) -> Streams:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(sent)
    await until(lambda: len(room) == waiting)
    return reader, writer


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET /slow HTTP/1.1\r\nHost:", b"\r\n\r\n"])
async def test_a_head_that_never_ends_is_closed(sent: bytes) -> None:
    async with served(asyncio.Event(), head_seconds=0.05) as (_, host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_half_a_second_head_on_a_kept_connection_is_closed_too() -> None:
    gate = asyncio.Event()
    gate.set()
    async with served(gate, head_seconds=0.3) as (_, host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(WHOLE)
        assert b"done" in await asyncio.wait_for(reader.readuntil(b"done"), 5)
        writer.write(b"\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_request_that_waits_for_its_answer_is_not_closed() -> None:
    gate = asyncio.Event()
    async with served(gate, head_seconds=0.05) as (protocol, host, port):
        reader, writer = await opened(host, port, WHOLE, protocol.room, 0)
        other = await asyncio.open_connection(host, port)
        assert await asyncio.wait_for(other[0].read(), 5) == b"", "the time for a head is over"
        gate.set()
        assert b"done" in await asyncio.wait_for(reader.readuntil(b"done"), 5)
        for each in (writer, other[1]):
            each.close()


async def test_half_heads_of_one_address_keep_nobody_out() -> None:
    gate = asyncio.Event()
    gate.set()
    async with served(gate, room=WaitingRoom(9, 3)) as (protocol, host, port):
        held = [await opened(host, port, b"GET", protocol.room, min(number, 3)) for number in range(1, 5)]
        assert await asyncio.wait_for(held[0][0].read(), 5) == b""
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(WHOLE)
        assert b"done" in await asyncio.wait_for(reader.readuntil(b"done"), 5)
        for _, each in [*held, (reader, writer)]:
            each.close()
        await until(lambda: len(protocol.room) == 0)


async def test_a_trusted_proxy_has_no_bound_of_its_own() -> None:
    async with served(asyncio.Event(), "127.0.0.1", room=WaitingRoom(5, 1)) as (protocol, host, port):
        held = [await opened(host, port, b"GET", protocol.room, min(number, 5)) for number in range(1, 7)]
        assert await asyncio.wait_for(held[0][0].read(), 5) == b"", "the bound in sum holds"
        for _, writer in held:
            writer.close()


def test_two_servers_share_no_places() -> None:
    assert bounded_protocol(None).room is not bounded_protocol(None).room
    assert issubclass(bounded_protocol("*"), BoundedHttpProtocol)
