"""Simulate a bad network with an HTTP proxy.

The proxy passes, loses, halves, doubles or fails requests, and can kill the sender. The caller sets a function that
chooses the fault of each request. `requests` lists every request.
"""

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from api.http.content_encodings import decompress

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Limit of a decompressed request. The API's own limit is lower."""
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
    """A request that went through the proxy, and what happened to it.

    `name` is a GraphQL operation, or `PUT` with a part number; `key` is the path. `body` is empty for a PUT.
    `sent_bytes` and `reply_bytes` count bytes on the wire with headers. `body_bytes` counts the request's body as sent,
    and `digest` is its SHA-256. `began` and `ended` are seconds of the monotonic clock.
    """

    name: str
    key: str
    body: bytes
    fault: NetworkFault
    status: int | None
    sent_bytes: int = 0
    body_bytes: int = 0
    reply_bytes: int = 0
    began: float = 0.0
    ended: float = 0.0
    digest: str = ""

    @property
    def was_stored(self) -> bool:
        """Return whether the server accepted the request, even if the sender didn't learn that."""
        return self.status is not None and self.status < 300

    @property
    def was_answered(self) -> bool:
        """Return whether the proxy sent the whole reply. The sender may have been dead by then."""
        return self.reply_bytes > 0 and self.fault is not NetworkFault.CUT_REPLY


@dataclass(frozen=True)
class IncomingRequest:
    """A request as the proxy read it, possibly cut by a fault."""

    name: str
    path: str
    head: bytes
    body: bytes
    began: float


class FaultyNetwork:
    """A proxy to `upstream` (host and port), on its own port and in its own thread."""

    def __init__(self, upstream: tuple[str, int] | None = None) -> None:
        self.upstream = upstream
        self.requests: list[Request] = []
        self.choose_fault: Callable[[str], NetworkFault] = lambda _: NetworkFault.PASS
        """This function is called with the name of each request, and returns the fault of the request."""
        self.on_reply: Callable[[str, bytes], None] = lambda _name, _reply: None
        """This function is called with name and reply of each operation whose whole reply was sent to the sender."""
        self.aborted_bytes = 0
        """Number of body bytes that arrived from senders that disconnected before the end of the body."""
        self.sender_pid = 0
        """The process that `KILL` and `KILL_AFTER` kill."""
        self.signal = signal.SIGKILL
        self.delay_seconds = 0.0
        """Delay of the faults `LATE` and `ECHO`."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**16), self._loop
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
        """Let every request pass from now on, and forget the recorded ones."""
        self.choose_fault, self.signal, self.requests = (lambda _: NetworkFault.PASS), signal.SIGKILL, []

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task.

        Keep a reference to the task, because the event loop refers to it only weakly.
        """
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
        """Serve one request per connection, so that no bytes are left for a next request."""
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
            fault = self.choose_fault(name)
            if not body and fault is not NetworkFault.LOSE:
                body = await reader.readexactly(length // 2 if fault is NetworkFault.HALVE else length)
            await self._handle(IncomingRequest(name, urlsplit(path).path, head, body, began), fault, writer)
        except asyncio.IncompleteReadError as error:
            self.aborted_bytes += len(error.partial)
        except ConnectionError:
            return  # the sender is gone

    async def _handle(self, incoming: IncomingRequest, fault: NetworkFault, writer: asyncio.StreamWriter) -> None:
        """Apply the fault to the request, and record the request."""
        if fault in {NetworkFault.LOSE, NetworkFault.HALVE, NetworkFault.KILL, NetworkFault.FAIL}:
            self._record(incoming, fault, b"" if fault is NetworkFault.FAIL else None)
            if fault is NetworkFault.KILL:
                os.kill(self.sender_pid, self.signal)
            if fault is NetworkFault.FAIL:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            return
        if fault is NetworkFault.LATE:
            await asyncio.sleep(self.delay_seconds)
        reply = await self._forward(incoming)
        if fault is NetworkFault.TWICE:
            reply = await self._forward(incoming)
        request = self._record(
            incoming, fault, reply
        )  # before the kill: once the sender is dead, tests read the record
        if fault is NetworkFault.KILL_AFTER:
            os.kill(self.sender_pid, self.signal)
        if request.was_answered and request.body:
            self.on_reply(request.name, reply)
        if request.reply_bytes:
            writer.write(reply[: request.reply_bytes])
            await writer.drain()
        if fault is NetworkFault.ECHO:
            writer.close()
            await asyncio.sleep(self.delay_seconds)
            await self._forward(incoming)

    async def _forward(self, incoming: IncomingRequest) -> bytes:
        """Send the request to the server on a new connection, and return the server's reply."""
        assert self.upstream  # noqa: S101  set before anybody learns our address
        reader, writer = await asyncio.open_connection(*self.upstream)
        try:
            head = re.sub(rb"\r\nconnection: [^\r]*", b"\r\nConnection: close", incoming.head, flags=re.IGNORECASE)
            writer.write(head + incoming.body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.transport.abort()

    def _record(self, incoming: IncomingRequest, fault: NetworkFault, reply: bytes | None) -> Request:
        """Record a request.

        `reply` is the server's reply. It is None if the server got no request, and empty if the proxy itself answers
        with an error.
        """
        status = None if reply is None else int(reply.split(b" ", 2)[1]) if reply else 502
        whole = len(reply or b"")
        cuts = {NetworkFault.LOSE_REPLY: 0, NetworkFault.KILL_AFTER: 0, NetworkFault.CUT_REPLY: whole // 2}
        request = Request(
            name=incoming.name,
            key=incoming.path,
            body=b"" if incoming.name.startswith("PUT") else _plain(incoming.body),
            fault=fault,
            status=status,
            sent_bytes=len(incoming.head) + len(incoming.body),
            body_bytes=len(incoming.body),
            reply_bytes=cuts.get(fault, whole),
            began=incoming.began,
            ended=time.monotonic(),
            digest=sha256(incoming.body).hexdigest(),
        )
        self.requests.append(request)
        return request

    def names(self) -> list[str]:
        return [request.name for request in self.requests]

    def inputs(self, operation: str) -> list[Any]:
        """Return the variables of each request that calls this operation."""
        return [json.loads(request.body)["variables"] for request in self.requests if request.name == operation]


def _plain(body: bytes) -> bytes:
    """Decompress a body that the phone compressed."""
    return decompress(body, "zstd", MAX_BODY_BYTES) if body.startswith(_ZSTD) else body
