"""Trace and log every HTTP request, add security headers, and put all middleware in order."""

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
"""Paths that must answer when the server is busy."""

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


class TracingMiddleware:
    """Trace every request: add a correlation id to its answer, write a log line, and count the request in the metrics.

    An exception that nothing below has handled ends here. It is masked, logged and answered with a 500.
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

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[ID_HEADER] = trace.correlation_id
            await send(message)

        with self.metrics.track_in_progress():
            try:
                await self.app(scope, receive, send_with_id)
            except Exception as error:  # noqa: BLE001  the last resort: masked and logged with its traceback
                error_shown = errors.mask_error(error)
                if not status:
                    await responses.error_response([error_shown])(scope, receive, send_with_id)
        seconds = time.perf_counter() - started
        self.metrics.count_request(trace, status, seconds)
        # Log the route, never the path: a stranger may have typed a token there.
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


class SecurityHeadersMiddleware:
    """Add the headers that restrict browsers. With `https`, Strict-Transport-Security is one of them."""

    def __init__(self, app: ASGIApp, *, https: bool = False) -> None:
        self.app = app
        headers = SECURITY_HEADERS | ({"Strict-Transport-Security": HSTS} if https else {})
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self.headers]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def build_middleware(settings: Settings, metrics: Metrics, levels: Levels) -> list[Middleware]:
    """Return all middleware, outermost first.

    The middleware for headers and CORS comes first, so that a browser can read every refusal.
    """
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "Content-Encoding", "Last-Event-ID", ID_HEADER, LEVEL_HEADER),
        expose_headers=(ID_HEADER, "Retry-After", LEVEL_HEADER, SUNSET),
    )
    return [
        Middleware(SecurityHeadersMiddleware, https=settings.https),
        *([cors] if settings.cors_origins else []),
        Middleware(LevelHeadersMiddleware, levels=levels),
        Middleware(TracingMiddleware, metrics=metrics),
        Middleware(ResponseCompressionMiddleware),
        Middleware(BodyLimitMiddleware, limit=settings.body_limit_bytes),
        Middleware(RequestDecompressionMiddleware, limit=settings.body_limit_bytes),
        Middleware(ConcurrencyLimitMiddleware, exempt=OPERATIONAL, streamed=(PATH, STREAMS)),
    ]
