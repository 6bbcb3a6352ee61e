"""Serve subscriptions over WebSocket, by the protocol graphql-transport-ws (https://github.com/enisdenjo/graphql-ws).

The close codes are those of the protocol. Close code 4403 comes with the reason as text. Clients then connect again,
and their function `connectionParams` supplies a new token.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.accounts.authentication import Authenticated
from api.graphql.context import clock
from api.http.contract_level import HEADER, parse_level
from api.http.errors import refusal_error
from api.http.waiting_room import WaitingRoom
from api.notifications.subscription_session import SubscriptionService
from api.notifications.websocket_operations import CLOSED_BY, GOING, GONE, STALL_SECONDS, Close, Operation
from schema.core.refusals import Refusal, RefusalCode
from schema.notifications.subscription_events import EndReason

SUBPROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
GRACE_SECONDS = 5.0
MAX_MESSAGE_BYTES = 64 * 1024
"""Maximum size of a message. The server refuses a larger message without reading all of it into memory."""
MAX_ID_LENGTH = 128
MAX_SUBSCRIPTIONS = 16
MAX_UNAUTHENTICATED = 400
MAX_UNAUTHENTICATED_PER_ADDRESS = 200
"""Maximum number of connections per process that have not signed in. They are closed after `INIT_SECONDS`. Beyond it,
the oldest one is closed, of the address that has most of them."""


class ProtocolViolationError(Exception):
    """Raised if the client violates the protocol or may not connect."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.close = Close(code, reason)


class SocketEndpoint:
    """An ASGI application for the WebSockets of one path."""

    def __init__(self, subscriptions: SubscriptionService, *, init_seconds: float = INIT_SECONDS) -> None:
        self.subscriptions = subscriptions
        self.init_seconds = init_seconds
        self.unauthenticated = WaitingRoom(MAX_UNAUTHENTICATED, MAX_UNAUTHENTICATED_PER_ADDRESS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        if SUBPROTOCOL not in websocket.scope["subprotocols"]:
            await websocket.accept()
            await websocket.close(4406, "Subprotocol not acceptable")
            return
        await websocket.accept(SUBPROTOCOL)
        with suppress(WebSocketDisconnect, OSError):
            await _Connection(self, websocket).run()


class _Connection:
    def __init__(self, endpoint: SocketEndpoint, websocket: WebSocket) -> None:
        self._subscriptions = endpoint.subscriptions
        self._init_seconds = endpoint.init_seconds
        self._websocket = websocket
        self._authenticated: Authenticated | None = None
        self._level: int | None = None
        self._is_init = False
        self._operations: dict[str, Operation] = {}
        self._running: set[Operation] = set()
        self._writing = asyncio.Lock()
        self._ending: asyncio.Future[Close] = asyncio.get_running_loop().create_future()
        self._quota = ExitStack()
        client = websocket.scope.get("client")
        timeout = Close(4408, "Connection initialisation timeout")
        endpoint.unauthenticated.enter(self, client[0] if client else "", lambda: self.end(timeout))
        self._quota.callback(endpoint.unauthenticated.leave, self)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._init_seconds, self.end, Close(4408, "Connection initialisation timeout"))
        reading = asyncio.ensure_future(self._read())
        stopping = asyncio.ensure_future(self._subscriptions.dispatcher.stopping.wait())
        until: set[asyncio.Future[Any]] = {reading, stopping, self._ending}
        try:
            with self._quota:
                await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
                await self._finish(self._close_of(reading, stopping))
        finally:
            self._timer.cancel()
            for task in (reading, stopping):
                task.cancel()
            await asyncio.wait({reading, stopping})

    def end(self, close: Close) -> None:
        if not self._ending.done():
            self._ending.set_result(close)

    def _close_of(self, reading: "asyncio.Future[Close]", stopping: "asyncio.Future[Any]") -> Close:
        if self._ending.done():
            return self._ending.result()
        if reading.done():
            return reading.result()
        return GOING if stopping.done() else GONE

    async def _finish(self, close: Close) -> None:
        """End all subscriptions, and close the connection.

        Running database commands get `GRACE_SECONDS` to end. If the server stops, the streams end by themselves and
        send the reason.
        """
        operations = list(self._running)
        if close != GOING:
            for operation in operations:
                operation.close()
        if operations:
            _, late = await asyncio.wait({operation.task for operation in operations}, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if close != GONE:
            with suppress(TimeoutError):
                async with asyncio.timeout(
                    GRACE_SECONDS
                ):  # a client that reads nothing does not get the close frame either
                    await self._websocket.close(close.code, close.reason)

    async def _read(self) -> Close:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return GONE
            try:
                await self._handle(_parse(message))
            except ProtocolViolationError as violation:
                return violation.close

    async def _handle(self, message: Mapping[str, Any]) -> None:
        kind = message.get("type")
        if kind == "connection_init":
            await self._init(message.get("payload"))
        elif kind == "ping":
            await self.send({"type": "pong"})
        elif kind == "subscribe":
            await self._subscribe(message)
        elif kind == "complete":
            # From now on the client may use the id again, even if the old stream has not ended yet.
            if operation := self._operations.pop(_id_of(message), None):
                operation.close()
        elif kind != "pong":
            raise ProtocolViolationError(4400, "Unknown message type")

    async def _init(self, payload: Any) -> None:
        if self._is_init:
            raise ProtocolViolationError(4429, "Too many initialisation requests")
        self._is_init = True
        params = {str(name).lower(): value for name, value in payload.items()} if isinstance(payload, dict) else {}
        authorization, level = params.get("authorization"), params.get(HEADER.lower())
        if not isinstance(authorization, str):
            raise ProtocolViolationError(4403, RefusalCode.UNAUTHENTICATED.value)
        try:
            self._level = parse_level(str(level) if level is not None else None)
            self._authenticated = await self._subscriptions.authenticator.authenticate(authorization, clock())
            self._quota.close()
            self._quota.enter_context(self._subscriptions.quota.hold(self._authenticated.viewer.user_id))
        except Refusal as refusal:
            code = 1013 if refusal.code in {RefusalCode.BUSY, RefusalCode.UNAVAILABLE} else 4403
            raise ProtocolViolationError(code, str(refusal.code.value)) from None
        self._timer.cancel()
        left = (self._authenticated.expires_at - clock()).total_seconds()
        # A stream ends itself when the token expires; this timer ends a connection without a stream.
        self._timer = asyncio.get_running_loop().call_later(
            max(left, 0) + 1, self.end, CLOSED_BY[EndReason.TOKEN_EXPIRED]
        )
        await self.send({"type": "connection_ack"})

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        if self._authenticated is None:
            raise ProtocolViolationError(4401, "Unauthorized")
        id = _id_of(message)
        if id in self._operations:
            raise ProtocolViolationError(4409, f"Subscriber for {id} already exists")
        if len(self._running) >= MAX_SUBSCRIPTIONS:
            refusal = Refusal(RefusalCode.LIMIT_EXCEEDED, f"At most {MAX_SUBSCRIPTIONS} subscriptions a connection.")
            await self.send({"id": id, "type": "error", "payload": [refusal_error(refusal)]})
            return
        operation = Operation(self, self._subscriptions, self._authenticated, self._level, id, message)
        self._operations[id] = operation
        self._running.add(operation)

    def remove(self, operation: "Operation") -> None:
        self._running.discard(operation)
        if self._operations.get(operation.id) is operation:
            del self._operations[operation.id]

    async def send(self, message: Mapping[str, Any]) -> None:
        async with self._writing:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await self._websocket.send_text(orjson.dumps(message).decode())
            except TimeoutError:
                self.end(Close(1008, "The client reads no more"))
                raise WebSocketDisconnect(1008) from None


def _parse(message: Mapping[str, Any]) -> Mapping[str, Any]:
    text = message.get("text")
    if text is None:
        raise ProtocolViolationError(4400, "A message must be text")
    try:
        body = orjson.loads(text)
    except ValueError:
        raise ProtocolViolationError(4400, "A message must be JSON") from None
    if not isinstance(body, dict):
        raise ProtocolViolationError(4400, "A message must be a JSON object")
    return body


def _id_of(message: Mapping[str, Any]) -> str:
    id = message.get("id")
    if not isinstance(id, str) or not 1 <= len(id) <= MAX_ID_LENGTH:
        raise ProtocolViolationError(4400, "A message must have an id")
    return id
