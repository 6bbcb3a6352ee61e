"""Close connections that never finish the head of a request, and bound how many of them wait.

uvicorn waits for a head for ever. Without this, half a line on each of many connections would take all descriptors.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.http.waiting_room import WaitingRoom

HEAD_SECONDS = 20.0
"""Time for the head of a request, from the connection on. A phone on a 2G line needs two seconds."""
MAX_HEADS = 800
MAX_HEADS_PER_ADDRESS = 400
"""Largest number of connections without a complete head. All phones of an office may come from one address."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """The HTTP protocol of one connection. `room` has the connections whose next head is not complete.

    `proxies` are the addresses of trusted proxies. They have no bound of their own, because everybody comes from them.
    """

    room = WaitingRoom(MAX_HEADS, MAX_HEADS_PER_ADDRESS)
    head_seconds = HEAD_SECONDS
    proxies: frozenset[str] = frozenset()
    _timer: asyncio.TimerHandle | None = None
    _is_head_complete = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_answered = self.cycle is None or self.cycle.response_complete
        if is_answered and not self._is_head_complete and self._timer is None and not self.transport.is_closing():
            self._await_head()

    def on_headers_complete(self) -> None:
        self._is_head_complete = True
        self._end_wait()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_head_complete = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_wait()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        host = self.client[0] if self.client else ""
        is_proxy = host in self.proxies or "*" in self.proxies
        self._timer = self.loop.call_later(self.head_seconds, self._close)
        self.room.enter(self, f"proxy {id(self)}" if is_proxy else host, self._close)

    def _end_wait(self) -> None:
        self.room.leave(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._end_wait()
        self.transport.close()


def bounded_protocol(proxies: str | None, **limits: Any) -> type[BoundedHttpProtocol]:
    """Return the protocol for a server behind `proxies`, a list with commas. `limits` replace attributes of the class."""
    named = frozenset(name.strip() for name in (proxies or "").split(",") if name.strip())
    room = WaitingRoom(MAX_HEADS, MAX_HEADS_PER_ADDRESS)
    return type("BoundedHttpProtocol", (BoundedHttpProtocol,), {"room": room, "proxies": named} | limits)
