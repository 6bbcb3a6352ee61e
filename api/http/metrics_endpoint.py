"""Serve the metrics to operators."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api.http.operator_access import is_operator
from api.telemetry.metrics import Metrics


class MetricsEndpoint:
    """Answers `/metrics` to operators; to others a sentence that says how to become one."""

    def __init__(self, metrics: Metrics, token: str | None) -> None:
        self.metrics = metrics
        self.token = token

    async def respond(self, request: Request) -> Response:
        if not is_operator(request, self.token):
            how = "with the metrics token as a bearer" if self.token else "from this machine, or set a metrics token"
            return PlainTextResponse(f"Ask {how}.\n", 403)
        text, content_type = self.metrics.printed()
        return Response(text, media_type=content_type, headers={"Cache-Control": "no-store"})
