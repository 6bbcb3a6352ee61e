"""A bad network for tests: an HTTP proxy that passes, loses, halves or fails requests, and can kill whoever sent them.

What is to happen to which request is a function that the test gives; every request that came is in `requests`.
"""

import asyncio
import json
import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, urlsplit

import zstandard


class Fate(Enum):
    PASS = "the other side gets it, and the reply comes back"
    LOSE = "the line breaks before the other side has it"
    HALVE = "the line breaks in the middle of the request's body"
    LOSE_REPLY = "the other side gets it, and the line breaks"
    TWICE = "the other side gets it twice, and the second reply comes back"
    CUT_REPLY = "the other side gets it, and half of the reply comes back"
    LATE = "the other side gets it after `seconds`"
    FAIL = "something in between answers 502"
    KILL = "the sender is killed before the other side has it"
    KILL_AFTER = "the other side gets it, and the sender is killed"


@dataclass(frozen=True)
class Request:
    """`name` is a GraphQL operation, or `PUT` with the number of a part; `key` is the object's."""

    name: str
    key: str
    body: bytes
    fate: Fate
    status: int | None

    @property
    def was_stored(self) -> bool:
        """Whether the other side took it, whatever the sender heard of that."""
        return self.status is not None and self.status < 300


class BadNetwork:
    """Stands before `upstream` (host and port), on a port and in a thread of its own."""

    def __init__(self, upstream: tuple[str, int] | None = None) -> None:
        self.upstream = upstream
        self.requests: list[Request] = []
        self.fate: Callable[[str], Fate] = lambda _: Fate.PASS
        self.victim = 0
        self.signal = signal.SIGKILL
        self.seconds = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**16), self._loop
        ).result()
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        async def stop() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def calm(self) -> None:
        """As if nothing had been: all pass, nothing is on record."""
        self.fate, self.signal, self.requests = (lambda _: Fate.PASS), signal.SIGKILL, []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: nothing of one is left over for the next."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            length = int(found[1]) if found else 0
            path = head.split(b" ", 2)[1].decode()
            query = parse_qs(urlsplit(path).query)
            method = head.split(b" ", 1)[0].decode()
            name = f"{method} {query['partNumber'][0]}" if "partNumber" in query else method
            begun = b""
            if head.startswith(b"POST"):
                begun = await reader.readexactly(length)
                name = str(json.loads(_plain(begun))["operationName"])
            fate = self.fate(name)
            if fate in {Fate.LOSE, Fate.HALVE}:
                await reader.readexactly(0 if fate is Fate.LOSE or begun else length // 2)
                self._note(name, path, begun, fate, None)
                return
            body = begun or await reader.readexactly(length)
            if fate is Fate.LATE:
                await asyncio.sleep(self.seconds)
            if fate is Fate.KILL:
                self._kill(name, path, body, fate, None)
                return
            if fate is Fate.FAIL:
                self._note(name, path, body, fate, 502)
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
                return
            reply = await self._forward(head, body)
            if fate is Fate.TWICE:
                reply = await self._forward(head, body)
            status = int(reply.split(b" ", 2)[1])
            if fate is Fate.KILL_AFTER:
                self._kill(name, path, body, fate, status)
                return
            self._note(name, path, body, fate, status)
            if fate in {Fate.PASS, Fate.LATE, Fate.TWICE, Fate.CUT_REPLY}:
                writer.write(reply[: len(reply) // 2] if fate is Fate.CUT_REPLY else reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the sender is gone
        finally:
            writer.close()

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        assert self.upstream
        reader, writer = await asyncio.open_connection(*self.upstream)
        try:
            writer.write(re.sub(rb"\r\nconnection: [^\r]*", b"\r\nConnection: close", head, flags=re.IGNORECASE) + body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()

    def _note(self, name: str, path: str, body: bytes, fate: Fate, status: int | None) -> None:
        self.requests.append(Request(name, urlsplit(path).path, _plain(body), fate, status))

    def _kill(self, name: str, path: str, body: bytes, fate: Fate, status: int | None) -> None:
        """On record first: once the sender is dead, the test reads."""
        self._note(name, path, body, fate, status)
        os.kill(self.victim, self.signal)

    def names(self) -> list[str]:
        return [each.name for each in self.requests]

    def inputs(self, operation: str) -> list[Any]:
        """What came with each call of an operation."""
        return [json.loads(each.body)["variables"] for each in self.requests if each.name == operation]


def _plain(body: bytes) -> bytes:
    """As it was before the phone packed it."""
    return zstandard.ZstdDecompressor().decompress(body) if body.startswith(zstandard.FRAME_HEADER) else body


def once(name: str, fate: Fate) -> Callable[[str], Fate]:
    """That fate for the first request of that name; the others pass."""
    left = [name]

    def decide(came: str) -> Fate:
        if left and came == left[0]:
            left.clear()
            return fate
        return Fate.PASS

    return decide


def nth(number: int, fate: Fate) -> Callable[[str], Fate]:
    """That fate for the request of that number, 1 for the first; the others pass."""
    count = iter(range(1, 1_000_000))
    return lambda _: fate if next(count) == number else Fate.PASS
