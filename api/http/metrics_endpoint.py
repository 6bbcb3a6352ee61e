"""Serve the metrics to operators."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api.http.operator_access import is_operator
from api.telemetry.metrics import Metrics


class MetricsEndpoint:
    """Answer `/metrics` to operators. Tell other callers how to authenticate."""

    def __init__(self, metrics: Metrics, token: str | None) -> None:
        self.metrics = metrics
        self.token = token

    async def respond(self, request: Request) -> Response:
        if not is_operator(request, self.token):
            advice = (
                "Send the metrics token as a bearer token."
                if self.token
                else "Ask from this machine, or set a metrics token."
            )
            return PlainTextResponse(f"{advice}\n", 403)
        text, content_type = self.metrics.render()
        return Response(text, media_type=content_type, headers={"Cache-Control": "no-store"})
