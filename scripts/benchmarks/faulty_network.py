"""Simulate a bad network: an HTTP proxy that passes, loses, halves, doubles or fails requests, and can kill the sender.

The user passes a function that picks the fault of each request. `requests` lists every request.
"""

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from api.http.content_encodings import decompress

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Limit of a decompressed request; the API's own limit is lower."""
_ZSTD = b"\x28\xb5\x2f\xfd"


class NetworkFault(Enum):
    PASS = "the server gets it, and the reply comes back"  # noqa: S105  a fault
    LOSE = "the connection breaks before the server gets it"
    HALVE = "the connection breaks in the middle of the request's body"
    LOSE_REPLY = "the server gets it, and the connection breaks"
    TWICE = "the server gets it twice, and the second reply comes back"
    CUT_REPLY = "the server gets it, and half of the reply comes back"
    LATE = "the server gets it after `seconds`"
    ECHO = "the server gets it, and once more after `seconds`, behind later requests"
    FAIL = "a proxy in between answers 502"
    KILL = "the sender is killed before the server gets it"
    KILL_AFTER = "the server gets it, and the sender is killed"


@dataclass(frozen=True)
class Request:
    """`name` is a GraphQL operation, or `PUT` with a part number; `key` is the path. The body of a PUT is not kept.

    `sent` and `answered` count bytes on the wire with headers; `carried` counts the request's body, `digest` is its SHA-256.
    `began` and `ended` are seconds of the monotonic clock.
    """

    name: str
    key: str
    body: bytes
    fate: NetworkFault
    status: int | None
    sent: int = 0
    carried: int = 0
    answered: int = 0
    began: float = 0.0
    ended: float = 0.0
    digest: str = ""

    @property
    def was_stored(self) -> bool:
        """Whether the server accepted it, even if the sender didn't learn that."""
        return self.status is not None and self.status < 300

    @property
    def was_told(self) -> bool:
        """Whether the whole reply went to the sender, which may have been dead by then."""
        return self.answered > 0 and self.fate is not NetworkFault.CUT_REPLY


@dataclass(frozen=True)
class Came:
    """A request as the proxy read it, possibly cut by a fault."""

    name: str
    path: str
    head: bytes
    body: bytes
    began: float


class BadNetwork:
    """A proxy to `upstream` (host and port), on its own port and in its own thread."""

    def __init__(self, upstream: tuple[str, int] | None = None) -> None:
        self.upstream = upstream
        self.requests: list[Request] = []
        self.fate: Callable[[str], NetworkFault] = lambda _: NetworkFault.PASS
        self.hears: Callable[[str, bytes], None] = lambda _name, _reply: None
        """Called with name and reply of each operation whose reply went to the sender whole."""
        self.bytes_broken_off = 0
        """Body bytes of senders that disconnected before the end."""
        self.victim = 0
        self.signal = signal.SIGKILL
        self.seconds = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._meet_sender, "127.0.0.1", 0, limit=2**16), self._loop
        ).result()
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        async def stop() -> None:
            self._server.close()
            # A connection that was just accepted is not in `_tasks` yet.
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(others)
            await asyncio.sleep(0)  # lets aborted connections close

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def calm(self) -> None:
        """Reset: every request passes, and none is recorded."""
        self.fate, self.signal, self.requests = (lambda _: NetworkFault.PASS), signal.SIGKILL, []

    def _meet_sender(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task. We hold the task until it is done, because the event loop holds it only weakly."""
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)

        def done(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                writer.transport.abort()
            else:
                writer.close()

        task.add_done_callback(done)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request a connection, so that no bytes are left for the next."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            began = time.monotonic()
            content_length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            length = int(content_length[1]) if content_length else 0
            method, path, _ = (word.decode() for word in head.split(b" ", 2))
            query = parse_qs(urlsplit(path).query)
            name = f"{method} {query['partNumber'][0]}" if "partNumber" in query else method
            body = b""
            if method == "POST":
                body = await reader.readexactly(length)
                name = str(json.loads(_plain(body))["operationName"])
            fate = self.fate(name)
            if not body and fate is not NetworkFault.LOSE:
                body = await reader.readexactly(length // 2 if fate is NetworkFault.HALVE else length)
            await self._meet(Came(name, urlsplit(path).path, head, body, began), fate, writer)
        except asyncio.IncompleteReadError as broken:
            self.bytes_broken_off += len(broken.partial)
        except ConnectionError:
            return  # the sender is gone

    async def _meet(self, came: Came, fate: NetworkFault, writer: asyncio.StreamWriter) -> None:
        if fate in {NetworkFault.LOSE, NetworkFault.HALVE, NetworkFault.KILL, NetworkFault.FAIL}:
            self._record(came, fate, b"" if fate is NetworkFault.FAIL else None)
            if fate is NetworkFault.KILL:
                os.kill(self.victim, self.signal)
            if fate is NetworkFault.FAIL:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            return
        if fate is NetworkFault.LATE:
            await asyncio.sleep(self.seconds)
        reply = await self._forward(came)
        if fate is NetworkFault.TWICE:
            reply = await self._forward(came)
        request = self._record(came, fate, reply)  # first: once the sender is dead, the test reads the record
        if fate is NetworkFault.KILL_AFTER:
            os.kill(self.victim, self.signal)
        if request.was_told and request.body:
            self.hears(request.name, reply)
        if request.answered:
            writer.write(reply[: request.answered])
            await writer.drain()
        if fate is NetworkFault.ECHO:
            writer.close()
            await asyncio.sleep(self.seconds)
            await self._forward(came)

    async def _forward(self, came: Came) -> bytes:
        assert self.upstream  # noqa: S101  set before anybody learns our address
        reader, writer = await asyncio.open_connection(*self.upstream)
        try:
            writer.write(
                re.sub(rb"\r\nconnection: [^\r]*", b"\r\nConnection: close", came.head, flags=re.IGNORECASE) + came.body
            )
            await writer.drain()
            return await reader.read()
        finally:
            writer.transport.abort()

    def _record(self, came: Came, fate: NetworkFault, reply: bytes | None) -> Request:
        """`reply` is the server's; None if the server got no request, empty if the proxy answers itself."""
        status = None if reply is None else int(reply.split(b" ", 2)[1]) if reply else 502
        whole = len(reply or b"")
        answered = {NetworkFault.LOSE_REPLY: 0, NetworkFault.KILL_AFTER: 0, NetworkFault.CUT_REPLY: whole // 2}.get(
            fate, whole
        )
        kept = b"" if came.name.startswith("PUT") else _plain(came.body)
        sent = len(came.head) + len(came.body)
        digest = sha256(came.body).hexdigest()
        request = Request(came.name, came.path, kept, fate, status, sent, len(came.body), answered, came.began)
        self.requests.append(replace(request, ended=time.monotonic(), digest=digest))
        return self.requests[-1]

    def names(self) -> list[str]:
        return [request.name for request in self.requests]

    def inputs(self, operation: str) -> list[Any]:
        """Return the variables of each call of an operation."""
        return [json.loads(request.body)["variables"] for request in self.requests if request.name == operation]


def _plain(body: bytes) -> bytes:
    """Decompress a body that the phone compressed."""
    return decompress(body, "zstd", MAX_BODY_BYTES) if body.startswith(_ZSTD) else body
