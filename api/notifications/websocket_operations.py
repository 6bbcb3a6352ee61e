"""Run one subscription of a WebSocket. Map the reason why a stream ended to a close code."""

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
"""A connection is closed if the client has not read a message after this time."""


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
"""Close codes by reason. A stream that ends for one of these reasons sends no `complete`.

So clients of both protocols subscribe again by themselves.
"""


class OperationConnection(Protocol):
    """The part of a connection that its subscriptions use."""

    async def send(self, message: Mapping[str, Any]) -> None: ...
    def end(self, close: Close) -> None: ...
    def remove(self, operation: "Operation") -> None: ...


class Operation:
    """One subscription of a connection. It runs in its own task."""

    def __init__(
        self,
        connection: OperationConnection,
        subscriptions: SubscriptionService,
        authenticated: Authenticated,
        level: int | None,
        id: str,
        message: Mapping[str, Any],
    ) -> None:
        self._connection = connection
        self._subscriptions = subscriptions
        self._authenticated = authenticated
        self._level = level
        self.id = id
        self._message = message
        self._is_closed = False
        self._stream: SubscriptionStream | None = None
        self.task = asyncio.ensure_future(self._run())

    def close(self) -> None:
        """Stop sending and end the stream. A running database command is not cancelled."""
        self._is_closed = True
        if self._stream is not None:
            self._stream.close()

    async def _run(self) -> None:
        tracing.begin(Trace(tracing.correlation_id(None), "subscription"))
        try:
            with suppress(WebSocketDisconnect, OSError):
                await self._stream_results()
        except Exception as error:  # noqa: BLE001  masked and logged: the caller gets a number to quote
            shown = mask_error(error)
            with suppress(WebSocketDisconnect, OSError, RuntimeError):
                await self._send("error", [shown])
        finally:
            self._connection.remove(self)

    async def _stream_results(self) -> None:
        try:
            payload = requests.from_object(self._message.get("payload"))
            subscription = await self._subscriptions.start(payload, self._authenticated, level=self._level)
        except (SubscriptionRejectedError, MalformedRequestError, Refusal) as error:
            await self._send("error", _shown(error))
            return
        async with aclosing(subscription):
            self._stream = subscription.stream
            if self._is_closed:
                subscription.stream.close()
            async for body, _ in subscription.responses():
                await self._send("next", body)
        ended = subscription.stream.ended
        if ended in CLOSED_BY:
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
