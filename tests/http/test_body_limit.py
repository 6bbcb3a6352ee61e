"""Test the limit on request bodies over a real socket, because a chunked body declares no length."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from api.http.body_limit import BODY_SECONDS, BodyLimitMiddleware
from api.http.responses import GRAPHQL_JSON
from api.http.waiting_room import WaitingRoom
from tests.support.asgi_server import on_a_socket
from tests.support.small_schema import until


def limited(*, seconds: float = BODY_SECONDS, room: WaitingRoom | None = None) -> ASGIApp:
    """Return an application that limits bodies to 1,000 bytes and answers with the number of bytes it received."""

    async def size(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    return BodyLimitMiddleware(
        Starlette(routes=[Route("/size", size, methods=["POST"])]), limit=1000, seconds=seconds, room=room
    )


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(0, 200), (1000, 200), (1001, 413), (2_000_000, 413), (20_000_000, 413)])
async def test_a_body_over_the_limit_is_refused_with_or_without_a_length(chunked: bool, size: int, status: int) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, size, 400):
            yield b"x" * min(400, size - start)

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk

    async with (
        on_a_socket(limited()) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}") as client,
    ):
        content = stream() if chunked else b"x" * size
        try:
            answer = await client.post("/size", content=content, headers={"accept": GRAPHQL_JSON})
        except (httpx.WriteError, httpx.ReadError):
            # HTTP allows the server to answer and close while the client is still sending.
            assert status == 413
            assert size > 4_000_000
        else:
            assert answer.status_code == status
            if status == 413:
                assert answer.headers["content-type"].startswith(GRAPHQL_JSON)
                (error,) = answer.json()["errors"]
                assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
                assert error["extensions"]["nextStep"] == "FIX_AND_RESEND"
            else:
                assert answer.text == str(size)
                assert "server" not in answer.headers
        after = await client.post("/size", content=b"again")
        assert after.text == "5"


async def test_a_length_over_the_limit_is_refused_before_the_body_is_read() -> None:
    async with on_a_socket(limited()) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nx")
        await writer.drain()
        assert b"413" in await asyncio.wait_for(reader.readline(), 5)
        assert b"LIMIT_EXCEEDED" in await asyncio.wait_for(reader.read(), 5), "the server closes, so read() ends"
        writer.close()


async def test_a_stalled_body_ends_in_408() -> None:
    async with on_a_socket(limited(seconds=0.05)) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx")
        assert b"408" in await asyncio.wait_for(reader.readline(), 5)
        assert b"RETRY_LATER" in await asyncio.wait_for(reader.read(), 5)
        writer.close()


@pytest.mark.parametrize("begun", [b"", b"x"])
async def test_beyond_the_bound_the_oldest_unfinished_body_ends_in_408_and_newcomers_are_served(begun: bytes) -> None:
    room = WaitingRoom(8, 3)
    async with on_a_socket(limited(room=room)) as (host, port):
        held = []
        for _ in range(4):
            connection = await asyncio.open_connection(host, port)
            connection[1].write(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n" + begun)
            held.append(connection)
            await until(partial(_has, room, min(len(held), 3)))
        assert b"408" in await asyncio.wait_for(held[0][0].readline(), 5)
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
            assert (await client.post("/size", content=b"again")).text == "5"
        held[3][1].write(b"0123456789"[len(begun) :])
        assert b"200" in await asyncio.wait_for(held[3][0].readline(), 5)
        for _, writer in held:
            writer.close()
        await until(lambda: len(room) == 0)


def _has(room: WaitingRoom, count: int) -> bool:
    return len(room) == count
