"""Subscriptions over WebSocket, by the graphql-transport-ws protocol: https://github.com/enisdenjo/graphql-ws.

What a subscription is, is left to `subscribing.py`. Close codes are the protocol's; 4403 carries the reason as text, after
which its clients come again with what `connectionParams` gives them then.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.accounts.authentication import Authenticated
from api.graphql.context import clock
from api.http.contract_level import HEADER, parse_level
from api.http.errors import refusal_error
from api.notifications.subscription_session import SubscriptionService
from api.notifications.websocket_operations import CLOSED_BY, GOING, GONE, STALL_SECONDS, Close, Operation
from schema.core.refusals import Refusal, RefusalCode
from schema.notifications.subscription_events import EndReason

SUBPROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
GRACE_SECONDS = 5.0
MAX_MESSAGE_BYTES = 64 * 1024
"""In bytes; `serve.py` has the server refuse longer ones before they are held in memory."""
MAX_ID_LENGTH = 128
MAX_SUBSCRIPTIONS = 16
MAX_UNAUTHENTICATED = 200
"""Connections that have not signed in, in each process: ten seconds each."""


class ProtocolViolationError(Exception):
    """The caller broke the protocol, or may not speak it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.close = Close(code, reason)


class SocketEndpoint:
    """An ASGI application for the WebSockets of one path."""

    def __init__(self, subscribing: SubscriptionService, *, init_seconds: float = INIT_SECONDS) -> None:
        self.subscribing = subscribing
        self.init_seconds = init_seconds
        self.strangers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        if self.strangers >= MAX_UNAUTHENTICATED:
            await websocket.close()
            return
        if SUBPROTOCOL not in websocket.scope["subprotocols"]:
            await websocket.accept()
            await websocket.close(4406, "Subprotocol not acceptable")
            return
        await websocket.accept(SUBPROTOCOL)
        with suppress(WebSocketDisconnect, OSError):
            await _Connection(self, websocket).run()

    @contextmanager
    def admitting(self) -> Iterator[None]:
        """Count a connection that has not said yet whose it is."""
        self.strangers += 1
        try:
            yield
        finally:
            self.strangers -= 1


class _Connection:
    def __init__(self, endpoint: SocketEndpoint, websocket: WebSocket) -> None:
        self._subscribing = endpoint.subscribing
        self._init_seconds = endpoint.init_seconds
        self._websocket = websocket
        self._admission: Authenticated | None = None
        self._level: int | None = None
        self._is_init = False
        self._operations: dict[str, Operation] = {}
        self._under_way: set[Operation] = set()
        self._seat = ExitStack()
        self._seat.enter_context(endpoint.admitting())
        self._writing = asyncio.Lock()
        self._ending: asyncio.Future[Close] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._init_seconds, self.end, Close(4408, "Connection initialisation timeout"))
        reading = asyncio.ensure_future(self._read())
        stopping = asyncio.ensure_future(self._subscribing.board.stopping.wait())
        until: set[asyncio.Future[Any]] = {reading, stopping, self._ending}
        try:
            with self._seat:
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
        """Let what talks to the database come to its end; a stopping server's streams say good-bye first."""
        operations = list(self._under_way)
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
                async with asyncio.timeout(GRACE_SECONDS):  # a line that is full takes no good-bye either
                    await self._websocket.close(close.code, close.reason)

    async def _read(self) -> Close:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return GONE
            try:
                await self._take(_parsed(message))
            except ProtocolViolationError as broken:
                return broken.close

    async def _take(self, message: Mapping[str, Any]) -> None:
        kind = message.get("type")
        if kind == "connection_init":
            await self._init(message.get("payload"))
        elif kind == "ping":
            await self.send({"type": "pong"})
        elif kind == "subscribe":
            await self._subscribe(message)
        elif kind == "complete":
            # The id is free from now on, also while its stream comes to its end.
            if operation := self._operations.pop(_id_of(message), None):
                operation.close()
        elif kind != "pong":
            raise ProtocolViolationError(4400, "Unknown message type")

    async def _init(self, payload: Any) -> None:
        if self._is_init:
            raise ProtocolViolationError(4429, "Too many initialisation requests")
        self._is_init = True
        given = {str(name).lower(): value for name, value in payload.items()} if isinstance(payload, dict) else {}
        authorization, level = given.get("authorization"), given.get(HEADER.lower())
        if not isinstance(authorization, str):
            raise ProtocolViolationError(4403, RefusalCode.UNAUTHENTICATED.value)
        try:
            self._level = parse_level(str(level) if level is not None else None)
            self._admission = await self._subscribing.authenticator.authenticate(authorization, clock())
            self._seat.close()
            self._seat.enter_context(self._subscribing.seats.taking(self._admission.viewer.user_id))
        except Refusal as refusal:
            code = 1013 if refusal.code in {RefusalCode.BUSY, RefusalCode.UNAVAILABLE} else 4403
            raise ProtocolViolationError(code, str(refusal.code.value)) from None
        self._timer.cancel()
        left = (self._admission.expires_at - clock()).total_seconds()
        # Streams say so themselves; this is for a connection without one.
        self._timer = asyncio.get_running_loop().call_later(
            max(left, 0) + 1, self.end, CLOSED_BY[EndReason.TOKEN_EXPIRED]
        )
        await self.send({"type": "connection_ack"})

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        if self._admission is None:
            raise ProtocolViolationError(4401, "Unauthorized")
        id = _id_of(message)
        if id in self._operations:
            raise ProtocolViolationError(4409, f"Subscriber for {id} already exists")
        if len(self._under_way) >= MAX_SUBSCRIPTIONS:
            shown = Refusal(RefusalCode.LIMIT_EXCEEDED, f"At most {MAX_SUBSCRIPTIONS} subscriptions a connection.")
            await self.send({"id": id, "type": "error", "payload": [refusal_error(shown)]})
            return
        operation = Operation(self, self._subscribing, self._admission, self._level, id, message)
        self._operations[id] = operation
        self._under_way.add(operation)

    def forget(self, operation: "Operation") -> None:
        self._under_way.discard(operation)
        if self._operations.get(operation.id) is operation:
            del self._operations[operation.id]

    async def send(self, message: Mapping[str, Any]) -> None:
        async with self._writing:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await self._websocket.send_text(orjson.dumps(message).decode())
            except TimeoutError:
                self.end(Close(1008, "Nothing is taken any more"))
                raise WebSocketDisconnect(1008) from None


def _parsed(message: Mapping[str, Any]) -> Mapping[str, Any]:
    text = message.get("text")
    if text is None:
        raise ProtocolViolationError(4400, "Messages are texts")
    try:
        found = orjson.loads(text)
    except ValueError:
        raise ProtocolViolationError(4400, "Messages are JSON") from None
    if not isinstance(found, dict):
        raise ProtocolViolationError(4400, "Messages are JSON objects")
    return found


def _id_of(message: Mapping[str, Any]) -> str:
    id = message.get("id")
    if not isinstance(id, str) or not 1 <= len(id) <= MAX_ID_LENGTH:
        raise ProtocolViolationError(4400, "Name the subscription by an id")
    return id
