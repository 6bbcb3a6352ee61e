"""Limit the size of request bodies, and the time they take to arrive."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.refusal_response import send_refusal
from api.http.waiting_room import WaitingRoom
from schema.core.refusals import Refusal, RefusalCode

BODY_SECONDS = 60.0
"""A phone on a 2G line needs about 50 s for the largest allowed body."""
MAX_DISCARDED_BYTES = 4 * 1024 * 1024
"""How many bytes beyond the limit are read and dropped. If the server cut the connection while the caller still sends,
the caller would see a broken connection and send the body again. The caller would never read the refusal."""
MAX_BODIES = 512
MAX_BODIES_PER_ADDRESS = 256
"""Largest number of requests whose body has not arrived. Each may hold as much as the size limit."""
CLOSE = {"Connection": "close"}
"""Ends the connection. On an open connection, the unread rest of a body would be taken for the next request."""


class BodyLimitMiddleware:
    """Read the whole body of a request before the application sees the request.

    Answer 413 if the body has more than `limit` bytes, 408 if the body takes longer than `seconds` to arrive. Bytes are
    counted as they arrive, because Content-Length may be wrong. `limit` is small, because media never pass through the
    API. This middleware stands outside `ConcurrencyLimitMiddleware`, so slow senders use up no request slots. Unfinished
    bodies have a bound of their own, by address and in sum. Beyond it, the one that has waited longest is answered 408.
    """

    def __init__(
        self, app: ASGIApp, *, limit: int, seconds: float = BODY_SECONDS, room: WaitingRoom | None = None
    ) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds
        self.room = WaitingRoom(MAX_BODIES, MAX_BODIES_PER_ADDRESS) if room is None else room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            if _declared_length(scope) > self.limit + MAX_DISCARDED_BYTES:
                raise _BodyTooLargeError  # noqa: TRY301  the answer is the same as for a body that proves too large
            async with asyncio.timeout(self.seconds) as deadline:
                body = await self._read(scope, receive, deadline)
        except _BodyTooLargeError:
            await send_refusal(body_too_large(self.limit), 413, scope, receive, send, CLOSE)
        except TimeoutError:
            refusal = Refusal(RefusalCode.UNAVAILABLE, "The request did not arrive in time. Send it again.")
            await send_refusal(refusal, 408, scope, receive, send, CLOSE)
        else:
            if body is not None:
                await self.app(scope, replay_body(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive, deadline: asyncio.Timeout) -> bytes | None:
        """Return the body, or None if the caller disconnected. `deadline` can be moved to the present to end the wait."""
        client = scope.get("client")
        self.room.enter(deadline, client[0] if client else "", lambda: deadline.reschedule(0))
        try:
            return await self._collect(receive)
        finally:
            self.room.leave(deadline)

    async def _collect(self, receive: Receive) -> bytes | None:
        chunks, size, has_more = [], 0, True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= self.limit:
                chunks.append(chunk)
            elif size > self.limit + MAX_DISCARDED_BYTES:
                raise _BodyTooLargeError
            has_more = message.get("more_body", False)
        if size > self.limit:
            raise _BodyTooLargeError
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _BodyTooLargeError(Exception):
    """The body exceeds the limit."""


def _declared_length(scope: Scope) -> int:
    """Return Content-Length. Return 0 if the header is missing or malformed, as the bytes are counted anyway."""
    try:
        return int(Headers(scope=scope).get("content-length", "0"))
    except ValueError:
        return 0


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the whole `body` as one message, then the messages of the original `receive`."""
    message: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def replay() -> Message:
        nonlocal message
        if message is None:
            return await receive()
        request, message = message, None
        return request

    return replay


def body_too_large(limit: int) -> Refusal:
    return Refusal(RefusalCode.LIMIT_EXCEEDED, f"The body is larger than {limit // 1024} KiB. Send fewer at once.")
