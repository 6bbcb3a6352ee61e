"""Serve an ASGI application on a loopback port, in a thread or in the test's own event loop."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from tests.support.small_schema import until


@contextmanager
def serving(app: Starlette, lifespan: Literal["off", "on"] = "off") -> Iterator[str]:
    """Serve `app` in a thread until the block ends, and yield its URL. Its lifespan runs if it is on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan=lifespan))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + 10
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@asynccontextmanager
async def on_a_socket(app: ASGIApp) -> AsyncIterator[tuple[str, int]]:
    """Serve `app` in this event loop until the block ends, and yield its host and port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        yield listening.getsockname()
        server.should_exit = True
        await serving
