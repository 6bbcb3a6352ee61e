"""What surrounds every HTTP request: its trace and access line, security headers, and the order of all middleware.

Admission (size, number, time) is `admission`'s, codings are `compression`'s; what the lines look like is `logs`', what is
counted `metrics`'.
"""

import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.evidence.pack_urls import PATH
from api.http import errors, responses
from api.http.body_limit import BodyLimitMiddleware
from api.http.compression import RequestDecompressionMiddleware, ResponseCompressionMiddleware
from api.http.concurrency_limit import ConcurrencyLimitMiddleware
from api.http.contract_level import HEADER as LEVEL_HEADER
from api.http.contract_level import SUNSET, LevelHeadersMiddleware
from api.notifications.server_sent_events import PATH as STREAMS
from api.settings import Settings
from api.telemetry import tracing
from api.telemetry.metrics import Metrics
from api.telemetry.tracing import Trace
from mobile_contract.levels import Levels

ID_HEADER = "X-Request-Id"
OPERATIONAL = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that answer however busy the server is."""

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
HSTS = "max-age=31536000"

log = structlog.get_logger(__name__)


class Tracing:
    """Give every request a trace, its answer the correlation id, the log a line and the metrics a count.

    An exception that nothing below has answered ends here: masked, logged, a 500 that quotes the id.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        trace = Trace(tracing.correlation_id(Headers(scope=scope).get(ID_HEADER)))
        tracing.begin(trace)
        started = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[ID_HEADER] = trace.correlation_id
            await send(message)

        with self.metrics.track_in_progress():
            try:
                await self.app(scope, receive, answer)
            except Exception as error:  # noqa: BLE001  the last resort: masked, logged with its traceback
                shown = errors.mask_error(error)
                if not status:
                    await responses.error_response([shown])(scope, receive, answer)
        seconds = time.perf_counter() - started
        self.metrics.count_request(trace, status, seconds)
        # The route, never the path: what a stranger types there may be a token.
        route = getattr(scope.get("route"), "path", "none")
        log.info(
            "request",
            method=scope["method"] if scope["method"] in METHODS else "other",
            route=route,
            status=status,
            operation=trace.operation,
            codes=sorted(set(trace.codes)),
            milliseconds=round(seconds * 1000, 1),
        )


class SecurityHeaders:
    """Add the headers that tell browsers what not to do; `https` adds that they shall come by HTTPS only."""

    def __init__(self, app: ASGIApp, *, https: bool = False) -> None:
        self.app = app
        headers = SECURITY_HEADERS | ({"Strict-Transport-Security": HSTS} if https else {})
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self.headers]
            await send(message)

        await self.app(scope, receive, secured)


def middleware(settings: Settings, metrics: Metrics, levels: Levels) -> list[Middleware]:
    """Return all middleware, outermost first: headers and CORS, so that a browser can read every refusal."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "Content-Encoding", "Last-Event-ID", ID_HEADER, LEVEL_HEADER),
        expose_headers=(ID_HEADER, "Retry-After", LEVEL_HEADER, SUNSET),
    )
    return [
        Middleware(SecurityHeaders, https=settings.https),
        *([cors] if settings.cors_origins else []),
        Middleware(LevelHeadersMiddleware, levels=levels),
        Middleware(Tracing, metrics=metrics),
        Middleware(ResponseCompressionMiddleware),
        Middleware(BodyLimitMiddleware, limit=settings.body_limit_bytes),
        Middleware(RequestDecompressionMiddleware, limit=settings.body_limit_bytes),
        Middleware(ConcurrencyLimitMiddleware, exempt=OPERATIONAL, streamed=(PATH, STREAMS)),
    ]
