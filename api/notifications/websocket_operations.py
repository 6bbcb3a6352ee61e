"""One subscription of a WebSocket, and with which code a stream's end closes its connection.

The connection itself is `sockets.py`'s.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any, NamedTuple, Protocol

from starlette.websockets import WebSocketDisconnect

from api.accounts.authentication import Authenticated
from api.graphql import requests
from api.graphql.requests import MalformedRequestError
from api.http.errors import caller_error, mask_error, refusal_error
from api.notifications.subscription_session import SubscriptionRejectedError, SubscriptionService
from api.notifications.subscription_stream import SubscriptionStream
from api.telemetry import tracing
from api.telemetry.tracing import Trace
from schema.core.refusals import Refusal
from schema.notifications.subscription_events import EndReason

STALL_SECONDS = 30.0
"""A caller who takes nothing for so long is given up: its side of the line is full."""


class Close(NamedTuple):
    code: int
    reason: str


GOING = Close(1001, "SERVER_STOPPING")
GONE = Close(1000, "")
CLOSED_BY = {
    EndReason.SERVER_STOPPING: GOING,
    EndReason.TOKEN_EXPIRED: Close(4403, "TOKEN_EXPIRED"),
    EndReason.SESSION_ENDED: Close(4403, "SESSION_ENDED"),
}
"""Streams that end so have no `complete`: clients of both protocols then take the subscription up again by themselves."""


class Line(Protocol):
    """What a subscription needs of its connection."""

    async def send(self, message: Mapping[str, Any]) -> None: ...
    def end(self, close: Close) -> None: ...
    def forget(self, operation: "Operation") -> None: ...


class Operation:
    """One subscription of a connection, in a task of its own."""

    def __init__(
        self,
        connection: Line,
        subscribing: SubscriptionService,
        admission: Authenticated,
        level: int | None,
        id: str,
        message: Mapping[str, Any],
    ) -> None:
        self._connection = connection
        self._subscribing = subscribing
        self._admission = admission
        self._level = level
        self.id = id
        self._message = message
        self._is_closed = False
        self._stream: SubscriptionStream | None = None
        self.task = asyncio.ensure_future(self._run())

    def close(self) -> None:
        """Nothing more is sent; what is under way comes to its end."""
        self._is_closed = True
        if self._stream is not None:
            self._stream.close()

    async def _run(self) -> None:
        tracing.begin(Trace(tracing.correlation_id(None), "subscription"))
        try:
            with suppress(WebSocketDisconnect, OSError):
                await self._tell()
        except Exception as error:  # noqa: BLE001  masked and logged: a caller gets a number to quote
            shown = mask_error(error)
            with suppress(WebSocketDisconnect, OSError, RuntimeError):
                await self._send("error", [shown])
        finally:
            self._connection.forget(self)

    async def _tell(self) -> None:
        try:
            payload = requests.from_object(self._message.get("payload"))
            begun = await self._subscribing.begin(payload, self._admission, level=self._level)
        except (SubscriptionRejectedError, MalformedRequestError, Refusal) as error:
            await self._send("error", _shown(error))
            return
        async with aclosing(begun):
            self._stream = begun.stream
            if self._is_closed:
                begun.stream.close()
            async for body, _ in begun.answers():
                await self._send("next", body)
        ended = begun.stream.ended
        if ended in CLOSED_BY:
            # Without `complete`, clients of this protocol take the subscription up again by themselves.
            self._connection.end(CLOSED_BY[ended])
        else:
            await self._send("complete")

    async def _send(self, kind: str, payload: Any = None) -> None:
        if not self._is_closed:
            message = {"id": self.id, "type": kind}
            await self._connection.send(message if payload is None else {**message, "payload": payload})


def _shown(error: Exception) -> list[dict[str, Any]]:
    if isinstance(error, SubscriptionRejectedError):
        return error.shown
    return [refusal_error(error) if isinstance(error, Refusal) else caller_error(str(error))]
