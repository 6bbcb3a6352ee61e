"""A bad network: an HTTP proxy that passes, loses, halves, doubles or fails requests, and can kill whoever sent them.

What is to happen to which request is a function that the user gives; every request that came is in `requests`.
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
"""Of a request that came packed; the API itself takes less."""
_ZSTD = b"\x28\xb5\x2f\xfd"


class NetworkFault(Enum):
    PASS = "the other side gets it, and the reply comes back"  # noqa: S105  a fate
    LOSE = "the line breaks before the other side has it"
    HALVE = "the line breaks in the middle of the request's body"
    LOSE_REPLY = "the other side gets it, and the line breaks"
    TWICE = "the other side gets it twice, and the second reply comes back"
    CUT_REPLY = "the other side gets it, and half of the reply comes back"
    LATE = "the other side gets it after `seconds`"
    ECHO = "the other side gets it, and once more after `seconds`, behind what was sent since"
    FAIL = "something in between answers 502"
    KILL = "the sender is killed before the other side has it"
    KILL_AFTER = "the other side gets it, and the sender is killed"


@dataclass(frozen=True)
class Request:
    """`name` is a GraphQL operation, or `PUT` with the number of a part; `key` is the object's, whose bytes are not kept.

    `sent` and `answered` are bytes as they travelled, heads included; `carried` those of the request's body alone, and
    `digest` its SHA-256.
    It came at `began` and was through with at `ended`, in seconds of the monotonic clock.
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
        """Whether the other side took it, whatever the sender heard of that."""
        return self.status is not None and self.status < 300

    @property
    def was_told(self) -> bool:
        """Whether the sender was given the whole of the answer; it may have been dead by then."""
        return self.answered > 0 and self.fate is not NetworkFault.CUT_REPLY


@dataclass(frozen=True)
class Came:
    """A request as it was read, as much of it as the line let through."""

    name: str
    path: str
    head: bytes
    body: bytes
    began: float


class BadNetwork:
    """Stands before `upstream` (host and port), on a port and in a thread of its own."""

    def __init__(self, upstream: tuple[str, int] | None = None) -> None:
        self.upstream = upstream
        self.requests: list[Request] = []
        self.fate: Callable[[str], NetworkFault] = lambda _: NetworkFault.PASS
        self.hears: Callable[[str, bytes], None] = lambda _name, _reply: None
        """Given the name and the reply of each operation whose sender was given the whole of it."""
        self.bytes_broken_off = 0
        """Of bodies whose sender was gone before their end."""
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
            # One that was just accepted is not among ours yet.
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(others)
            await asyncio.sleep(0)  # in which the lines that were cut are closed

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def calm(self) -> None:
        """As if nothing had been: all pass, nothing is on record."""
        self.fate, self.signal, self.requests = (lambda _: NetworkFault.PASS), signal.SIGKILL, []

    def _meet_sender(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Held on to until it is done: the loop itself would let go of one that waits."""
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
        """One request a connection: nothing of one is left over for the next."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            began = time.monotonic()
            found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            length = int(found[1]) if found else 0
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
            self._note(came, fate, b"" if fate is NetworkFault.FAIL else None)
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
        noted = self._note(came, fate, reply)  # first: once the sender is dead, the test reads
        if fate is NetworkFault.KILL_AFTER:
            os.kill(self.victim, self.signal)
        if noted.was_told and noted.body:
            self.hears(noted.name, reply)
        if noted.answered:
            writer.write(reply[: noted.answered])
            await writer.drain()
        if fate is NetworkFault.ECHO:
            writer.close()
            await asyncio.sleep(self.seconds)
            await self._forward(came)

    async def _forward(self, came: Came) -> bytes:
        assert self.upstream  # noqa: S101  set before anybody is told our address
        reader, writer = await asyncio.open_connection(*self.upstream)
        try:
            writer.write(
                re.sub(rb"\r\nconnection: [^\r]*", b"\r\nConnection: close", came.head, flags=re.IGNORECASE) + came.body
            )
            await writer.drain()
            return await reader.read()
        finally:
            writer.transport.abort()

    def _note(self, came: Came, fate: NetworkFault, reply: bytes | None) -> Request:
        """`reply` is the other side's; None where it had nothing to answer, empty where we answer ourselves."""
        status = None if reply is None else int(reply.split(b" ", 2)[1]) if reply else 502
        whole = len(reply or b"")
        answered = {NetworkFault.LOSE_REPLY: 0, NetworkFault.KILL_AFTER: 0, NetworkFault.CUT_REPLY: whole // 2}.get(
            fate, whole
        )
        kept = b"" if came.name.startswith("PUT") else _plain(came.body)
        sent = len(came.head) + len(came.body)
        digest = sha256(came.body).hexdigest()
        made = Request(came.name, came.path, kept, fate, status, sent, len(came.body), answered, came.began)
        self.requests.append(replace(made, ended=time.monotonic(), digest=digest))
        return self.requests[-1]

    def names(self) -> list[str]:
        return [each.name for each in self.requests]

    def inputs(self, operation: str) -> list[Any]:
        """What came with each call of an operation."""
        return [json.loads(each.body)["variables"] for each in self.requests if each.name == operation]


def _plain(body: bytes) -> bytes:
    """As it was before the phone packed it."""
    return decompress(body, "zstd", MAX_BODY_BYTES) if body.startswith(_ZSTD) else body
