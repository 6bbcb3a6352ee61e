"""Answer over HTTP: negotiate the media type, choose the status, print JSON.

The rules are those of the GraphQL over HTTP specification.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from starlette.responses import Response

GRAPHQL_JSON = "application/graphql-response+json"
JSON = "application/json"
HTML = "text/html"

STATUS_OF_CODE = {
    "UNAUTHENTICATED": 401,
    "SESSION_ENDED": 401,
    "FORBIDDEN": 403,
    "TOO_MANY_ATTEMPTS": 429,
    "INTERNAL": 500,
    "BUSY": 503,
    "UNAVAILABLE": 503,
}
"""HTTP statuses of requests that were not executed, by refusal code. Every other code means a mistake of the caller,
and has status 400."""

RETRY_AFTER_SECONDS = 2


def parse_accept(accept: str) -> tuple[tuple[str, float], ...]:
    """Return the (media range, quality) pairs of an Accept header. Malformed parts are skipped."""
    ranges = []
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            ranges.append((media_range, min(max(float(quality), 0.0), 1.0)))
        except ValueError:
            continue
    return tuple(ranges)


def quality_of(media_type: str, accept: str) -> float:
    """Return the quality that the most specific matching range gives to `media_type`, or 0 if no range matches."""
    ranges = dict(parse_accept(accept))
    wider = f"{media_type.partition('/')[0]}/*"
    return next((ranges[name] for name in (media_type, wider, "*/*") if name in ranges), 0.0)


@lru_cache(maxsize=256)
def negotiate_media_type(accept: str | None) -> str | None:
    """Return one of the two JSON media types, or None if the caller accepts neither.

    A caller that names neither (`*/*`, or no header) gets `application/json`, which every old client reads.
    """
    if not accept:
        return JSON
    plain, graphql = quality_of(JSON, accept), quality_of(GRAPHQL_JSON, accept)
    if graphql > plain or (graphql == plain > 0 and GRAPHQL_JSON in dict(parse_accept(accept))):
        return GRAPHQL_JSON
    return JSON if plain else None


@lru_cache(maxsize=256)
def prefers_html(accept: str | None) -> bool:
    """Whether the caller is a browser that asks for a page."""
    if not accept:
        return False
    return quality_of(HTML, accept) > max(quality_of(JSON, accept), quality_of(GRAPHQL_JSON, accept))


def json_response(
    body: Mapping[str, Any],
    *,
    media_type: str | None = JSON,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return `body` as a JSON response. Raise `TypeError` for a value that JSON can't hold."""
    all_headers = {"Cache-Control": "no-store", "Vary": "Accept"} | dict(headers or {})
    return Response(orjson.dumps(body), status, all_headers, f"{media_type or JSON}; charset=utf-8")


def error_response(
    errors: Sequence[Mapping[str, Any]],
    *,
    media_type: str | None = JSON,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the response to a request that was not executed. It has errors and no `data`.

    If no `status` is given, the code of the first error decides. With `application/json`, a caller's mistake has status
    200, as the specification asks. Faults of the server keep their status 5xx.
    """
    code = errors[0]["extensions"]["code"]
    final_status = status or STATUS_OF_CODE.get(code, 400)
    if status is None and media_type != GRAPHQL_JSON and final_status < 500:
        final_status = 200
    all_headers = dict(headers or {})
    if final_status == 401:
        all_headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    if final_status in {429, 503}:
        all_headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return json_response({"errors": errors}, media_type=media_type, status=final_status, headers=all_headers)
