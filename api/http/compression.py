"""Compressed requests and answers, as middleware: what a caller can read, and nothing that is compressed already.

How a coding is read and written is left to `codings`; bodies come whole, and within the limit, from `admission`.
"""

from collections.abc import Awaitable, Callable

import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.admission_control import refuse, replayed, too_large
from api.http.content_encodings import (
    ALIASES,
    CODINGS,
    BadContentEncodingError,
    ContentTooLargeError,
    chosen,
    decoded,
    encoded,
)
from api.telemetry import tracing
from schema.core.refusals import Refusal, RefusalCode

MIN_BYTES = 500
"""Of an answer; a smaller one fits a packet either way."""
MAX_BYTES = 8 * 1024 * 1024
"""Of an answer; a larger one would be held too long to be worth it."""
ASIDE_BYTES = 128 * 1024
"""Above these a thread compresses, so that others' requests don't wait for it."""
COMPRESSED = frozenset(
    {
        "application/graphql-response+json",
        "application/javascript",
        "application/json",
        "image/svg+xml",
        "text/css",
        "text/html",
        "text/javascript",
        "text/plain",
    }
)
"""Texts. Pictures and packs are compressed in themselves; streams of events must not wait for one another."""
ACCEPTED = ", ".join(CODINGS)


class CompressedRequests:
    """Hand the application the body that a Content-Encoding hides, of `limit` bytes at most.

    415 for a coding that is not read here, or several on top of one another; 413 for what becomes too large, 400 for
    what can't be read to its end.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = Headers(scope=scope).getlist("content-encoding") if scope["type"] == "http" else []
        if not named:
            await self.app(scope, receive, send)
            return
        coding = ",".join(named).strip().lower() or "identity"
        coding = ALIASES.get(coding, coding)
        if coding not in {*CODINGS, "identity"}:
            refusal = Refusal(RefusalCode.BAD_INPUT, f"Bodies come plain or in one of: {ACCEPTED}.")
            await refuse(refusal, 415, scope, receive, send, {"Accept-Encoding": ACCEPTED})
            return
        message = await receive()
        if message["type"] != "http.request":
            return  # the caller went away
        body: bytes = message.get("body", b"")
        try:
            if body and coding != "identity":
                body = decoded(body, coding, self.limit)
        except ContentTooLargeError:
            await refuse(too_large(self.limit), 413, scope, receive, send)
        except BadContentEncodingError:
            refusal = Refusal(RefusalCode.BAD_INPUT, f"The body is no whole {coding}.")
            await refuse(refusal, 400, scope, receive, send)
        else:
            # In place: whoever stands further out reads the route from the same scope.
            kept = [pair for pair in scope["headers"] if pair[0] not in {b"content-encoding", b"content-length"}]
            scope["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
            await self.app(scope, replayed(body, receive), send)


class CompressedAnswers:
    """Send texts in the coding that the caller prefers, and say that it decided.

    An answer that was marked as secret (`Trace.is_secret`: it holds tokens) stays as it is: the length of a compressed
    text tells how much of it repeats, and callers choose a part of it. Elsewhere nobody can play that game, for a
    stranger's page can't make a browser send somebody's token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wanted = chosen(",".join(Headers(scope=scope).getlist("accept-encoding")))
        await self.app(scope, receive, _Answer(send, None if scope["method"] == "HEAD" else wanted).send)


class _Answer:
    """Holds the beginning back until the body has come, where it may be compressed; passes all else through."""

    def __init__(self, send: Send, coding: str | None) -> None:
        self._send: Callable[[Message], Awaitable[None]] = send
        self._coding = coding
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").partition(";")[0].strip().lower() in COMPRESSED:
                headers.add_vary_header("Accept-Encoding")
                if self._coding and _fits(message["status"], headers):
                    self._start = message
                    return
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start, self._coding or "")
            return
        await self._send(message)

    async def _finish(self, start: Message, coding: str) -> None:
        body = bytes(self._body)
        if not tracing.current().is_secret:
            made = await anyio.to_thread.run_sync(encoded, body, coding) if len(body) > ASIDE_BYTES else None
            made = made or encoded(body, coding)
            if len(made) < len(body):
                body = made
                headers = MutableHeaders(scope=start)
                headers["Content-Encoding"] = coding
                headers["Content-Length"] = str(len(body))
                if headers.get("etag", "W/").startswith('"'):
                    # Equal in what it says, no longer in every byte.
                    headers["ETag"] = f"W/{headers['etag']}"
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _fits(status: int, headers: Headers) -> bool:
    """Whether the body is whole, plain, and of a size that is worth it."""
    if status in {204, 206, 304} or "content-encoding" in headers:
        return False
    if "no-transform" in headers.get("cache-control", ""):
        return False
    size = headers.get("content-length", "")
    return size.isdigit() and MIN_BYTES <= int(size) <= MAX_BYTES
