"""Serve HTTP locally, record the requests, and answer them as the test decides."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send


@dataclass
class ReceivedCall:
    """One request as it was received."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server that records all calls. `pause` may delay a call. Then `answer` gives the status and body."""

    address: str = ""
    calls: list[ReceivedCall] = field(default_factory=list)
    answer: Callable[[ReceivedCall], tuple[int, Any]] = lambda _: (200, {})
    pause: Callable[[ReceivedCall], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        call = ReceivedCall(request.url.path, dict(request.headers), await request.body())
        self.calls.append(call)
        if self.pause:
            await self.pause(call)
        status, body = self.answer(call)
        response: Response = JSONResponse(body, status)
        if status in {301, 302, 307}:
            response = Response(status_code=status, headers={"location": body})
        await response(scope, receive, send)


@asynccontextmanager
async def receiving(**secure: Any) -> AsyncIterator[Receiver]:
    """Serve a receiver until the block ends; `secure` are uvicorn's settings for TLS."""
    receiver = Receiver()
    listener = socket.create_server(("127.0.0.1", 0))
    receiver.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(receiver, log_config=None, lifespan="off", **secure))
    running = asyncio.ensure_future(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield receiver
    finally:
        server.should_exit = True
        await running
