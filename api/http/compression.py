"""Decompress request bodies and compress answers, by middleware."""

from collections.abc import Awaitable, Callable

import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.body_limit import body_too_large, replay_body
from api.http.content_encodings import (
    ALIASES,
    ENCODINGS,
    BadContentEncodingError,
    ContentTooLargeError,
    compress,
    decompress,
    negotiate_encoding,
)
from api.http.refusal_response import send_refusal
from api.telemetry import tracing
from schema.core.refusals import Refusal, RefusalCode

MIN_BYTES = 500
"""A smaller answer is not compressed, because it fits into one packet anyway."""
MAX_BYTES = 8 * 1024 * 1024
"""A larger answer is not compressed, because the caller would wait too long for the first byte."""
MIN_THREAD_BYTES = 128 * 1024
"""Larger answers are compressed in a thread, so that other requests don't wait."""
COMPRESSIBLE_TYPES = frozenset(
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
"""The media types that are compressed, which are text only. Pictures and packs are compressed already. Event streams
are left out, because an event must not wait for the next one."""
ACCEPTED = ", ".join(ENCODINGS)


class RequestDecompressionMiddleware:
    """Decompress the body of a request that has a Content-Encoding.

    Answer 415 for an unknown encoding or several encodings at once, 413 above `limit` bytes, 400 for a malformed body.
    `BodyLimitMiddleware` must stand outside, so that the body arrives in one message.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        encodings = Headers(scope=scope).getlist("content-encoding") if scope["type"] == "http" else []
        if not encodings:
            await self.app(scope, receive, send)
            return
        encoding = ",".join(encodings).strip().lower() or "identity"
        encoding = ALIASES.get(encoding, encoding)
        if encoding not in {*ENCODINGS, "identity"}:
            refusal = Refusal(RefusalCode.BAD_INPUT, f"Send the body plain, or in one of: {ACCEPTED}.")
            await send_refusal(refusal, 415, scope, receive, send, {"Accept-Encoding": ACCEPTED})
            return
        message = await receive()
        if message["type"] != "http.request":
            return  # the caller disconnected
        body: bytes = message.get("body", b"")
        try:
            if body and encoding != "identity":
                body = decompress(body, encoding, self.limit)
        except ContentTooLargeError:
            await send_refusal(body_too_large(self.limit), 413, scope, receive, send)
        except BadContentEncodingError:
            refusal = Refusal(RefusalCode.BAD_INPUT, f"The body is not valid {encoding}, or breaks off.")
            await send_refusal(refusal, 400, scope, receive, send)
        else:
            # Change the scope in place: outer middleware reads the route from the same scope.
            headers = [pair for pair in scope["headers"] if pair[0] not in {b"content-encoding", b"content-length"}]
            scope["headers"] = [*headers, (b"content-length", str(len(body)).encode())]
            await self.app(scope, replay_body(body, receive), send)


class ResponseCompressionMiddleware:
    """Compress text answers in the encoding that the caller prefers.

    An answer with tokens (`Trace.is_secret`) is not compressed. The length of a compressed text shows how much of it
    repeats. An attacker who chooses a part of the text can use this to guess the rest (the BREACH attack). Other
    answers are safe, because a foreign page can't make a browser send a bearer token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        encoding = negotiate_encoding(",".join(Headers(scope=scope).getlist("accept-encoding")))
        await self.app(scope, receive, _Response(send, None if scope["method"] == "HEAD" else encoding).send)


class _Response:
    """A response that can be compressed.

    If the body can be compressed, the headers are held back until the whole body has come. Other responses pass
    through.
    """

    def __init__(self, send: Send, encoding: str | None) -> None:
        self._send: Callable[[Message], Awaitable[None]] = send
        self._encoding = encoding
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").partition(";")[0].strip().lower() in COMPRESSIBLE_TYPES:
                headers.add_vary_header("Accept-Encoding")
                if self._encoding and _is_worth_compressing(message["status"], headers):
                    self._start = message
                    return
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start, self._encoding or "")
            return
        await self._send(message)

    async def _finish(self, start: Message, encoding: str) -> None:
        body = bytes(self._body)
        if not tracing.current().is_secret:
            in_thread = len(body) > MIN_THREAD_BYTES
            compressed = await anyio.to_thread.run_sync(compress, body, encoding) if in_thread else None
            compressed = compressed or compress(body, encoding)
            if len(compressed) < len(body):
                body = compressed
                headers = MutableHeaders(scope=start)
                headers["Content-Encoding"] = encoding
                headers["Content-Length"] = str(len(body))
                if headers.get("etag", "W/").startswith('"'):
                    # The content is the same but its bytes are not, so the tag must be a weak one.
                    headers["ETag"] = f"W/{headers['etag']}"
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _is_worth_compressing(status: int, headers: Headers) -> bool:
    if status in {204, 206, 304} or "content-encoding" in headers:
        return False
    if "no-transform" in headers.get("cache-control", ""):
        return False
    size = headers.get("content-length", "")
    return size.isdigit() and MIN_BYTES <= int(size) <= MAX_BYTES
