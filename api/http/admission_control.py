"""Admission of requests: bodies are capped and read within a time, requests under way are bounded in number and time.

Everything here is answered as a typed error, as GraphQL's are; limits on what a document asks for are `limits`'.
"""

import asyncio
from collections.abc import Mapping

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import errors, responses
from schema.core.refusals import Refusal, RefusalCode

BODY_SECONDS = 60.0
"""A phone on a 2G line needs about 50 s for the largest body that is taken."""
MAX_DISCARDED_BYTES = 4 * 1024 * 1024
"""So much of a body that is too large is read on and dropped: a caller cut off while it sends sees a broken line and
sends again, instead of the answer that tells it not to."""
REQUEST_SECONDS = 30.0
MAX_CONCURRENT = 256
CLOSE = {"Connection": "close"}
"""The rest of a body that was not read can't be told from the next request."""


log = structlog.get_logger(__name__)


class BodyLimitMiddleware:
    """Read each body whole before the application sees the request; 413 above `limit` bytes, 408 above `seconds`.

    Bodies are counted as they come, whatever their header says. Nothing here takes large ones: media never pass the
    API. Reading stands outside of `ConcurrencyLimitMiddleware`, so that slow senders take no turn away.
    """

    def __init__(self, app: ASGIApp, *, limit: int, seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            if _declared(scope) > self.limit + MAX_DISCARDED_BYTES:
                raise _BodyTooLargeError  # noqa: TRY301  the same answer as for a body that turns out to be
            async with asyncio.timeout(self.seconds):
                body = await self._read(receive)
        except _BodyTooLargeError:
            await refuse(too_large(self.limit), 413, scope, receive, send, CLOSE)
        except TimeoutError:
            refusal = Refusal(RefusalCode.UNAVAILABLE, "The request did not arrive in time. Send it again.")
            await refuse(refusal, 408, scope, receive, send, CLOSE)
        else:
            if body is not None:
                await self.app(scope, replayed(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the body, or None when the caller went away."""
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= self.limit:
                chunks.append(chunk)
            elif size > self.limit + MAX_DISCARDED_BYTES:
                raise _BodyTooLargeError
            more = message.get("more_body", False)
        if size > self.limit:
            raise _BodyTooLargeError
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _declared(scope: Scope) -> int:
    """The length that the header gives; 0 where it is none: the bytes are counted anyway."""
    try:
        return int(Headers(scope=scope).get("content-length", "0"))
    except ValueError:
        return 0


class _BodyTooLargeError(Exception):
    """The body exceeds the limit."""


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, and then what the server has to say."""
    message: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def replay() -> Message:
        nonlocal message
        if message is None:
            return await receive()
        given, message = message, None
        return given

    return replay


class ConcurrencyLimitMiddleware:
    """Let at most `most` requests be under way at once; beyond, and after `seconds`, answer 503 and Retry-After.

    A request that takes too long is answered but not cancelled, and keeps its place until it ends, which the time
    limits of what it waits for bring about. Cancelling it could leave a transaction half talked through; and PyMongo's
    asynchronous client, cancelled while it looks for a server and the loop is late, can keep its lock for good.
    Whether the request took effect is open: its caller sends it again, ids make that safe.
    Paths that begin as one in `streamed` answer for as long as it takes, and bound their number themselves.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most: int = MAX_CONCURRENT,
        seconds: float = REQUEST_SECONDS,
        exempt: frozenset[str] = frozenset(),
        streamed: tuple[str, ...] = (),
    ) -> None:
        self.app = app
        self.most = most
        self.seconds = seconds
        self.exempt = exempt
        self.streamed = streamed
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.exempt or scope["path"].startswith(self.streamed):
            await self.app(scope, receive, send)
            return
        if self.under_way >= self.most:
            await refuse(Refusal(RefusalCode.BUSY), 503, scope, receive, send)
            return
        reply = _Reply(send)
        self.under_way += 1
        turn = asyncio.ensure_future(self.app(scope, receive, reply.send))
        turn.add_done_callback(self._leave)
        try:
            done, _ = await asyncio.wait({turn}, timeout=self.seconds)
        except asyncio.CancelledError:
            turn.cancel()  # the server is going down
            raise
        if done:
            await turn
            return
        turn.add_done_callback(_note)
        reply.is_cut = True
        if not reply.has_begun:
            refusal = Refusal(RefusalCode.UNAVAILABLE, "This took too long. It may have worked: send it again.")
            await refuse(refusal, 503, scope, receive, send)

    def _leave(self, _: asyncio.Future[None]) -> None:
        self.under_way -= 1


class _Reply:
    """A `send` that can be cut: what comes later is dropped."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False
        self.is_cut = False

    async def send(self, message: Message) -> None:
        if not self.is_cut:
            self.has_begun = True
            await self._send(message)


def _note(turn: asyncio.Future[None]) -> None:
    """Of a request that has been answered already, an exception has nobody else to be told to."""
    if not turn.cancelled() and (error := turn.exception()):
        log.error("fault", field=None, exc_info=error)


def too_large(limit: int) -> Refusal:
    return Refusal(RefusalCode.LIMIT_EXCEEDED, f"The body is larger than {limit // 1024} KiB. Send fewer at once.")


async def refuse(
    refusal: Refusal,
    status: int,
    scope: Scope,
    receive: Receive,
    send: Send,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer as GraphQL's errors are answered."""
    media = responses.negotiated(Headers(scope=scope).get("accept"))
    response = responses.request_error([errors.refused(refusal)], media=media, status=status, headers=headers)
    await response(scope, receive, send)
