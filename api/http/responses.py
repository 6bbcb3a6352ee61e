"""GraphQL answers over HTTP: which media type a caller gets, which status, and the bytes.

What stands in an answer is left to `transport` and `errors`; the rules are those of the GraphQL over HTTP specification.
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
"""Statuses of a request that did not get as far as execution; every other code is the caller's fault, 400."""

RETRY_AFTER_SECONDS = 2


def qualities(accept: str) -> tuple[tuple[str, float], ...]:
    """Return what an Accept header names, as (media range, quality); malformed parts are passed over."""
    found = []
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            found.append((media, min(max(float(quality), 0.0), 1.0)))
        except ValueError:
            continue
    return tuple(found)


def quality_of(media: str, accept: str) -> float:
    """Return the quality that the most specific matching range gives `media`, 0 where nothing matches."""
    ranges = dict(qualities(accept))
    wider = f"{media.partition('/')[0]}/*"
    return next((ranges[name] for name in (media, wider, "*/*") if name in ranges), 0.0)


@lru_cache(maxsize=256)
def negotiated(accept: str | None) -> str | None:
    """Choose between the two JSON media types; None where the caller takes neither.

    A caller who names neither (`*/*`, or no header) gets `application/json`, which every old client reads.
    """
    if not accept:
        return JSON
    plain, typed = quality_of(JSON, accept), quality_of(GRAPHQL_JSON, accept)
    if typed > plain or (typed == plain > 0 and GRAPHQL_JSON in dict(qualities(accept))):
        return GRAPHQL_JSON
    return JSON if plain else None


@lru_cache(maxsize=256)
def prefers_html(accept: str | None) -> bool:
    """Whether a browser asks for a page."""
    if not accept:
        return False
    return quality_of(HTML, accept) > max(quality_of(JSON, accept), quality_of(GRAPHQL_JSON, accept))


def answer(
    body: Mapping[str, Any], *, media: str | None = JSON, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Print `body` as JSON. Raise `TypeError` where a value is none of JSON's."""
    given = {"Cache-Control": "no-store", "Vary": "Accept"} | dict(headers or {})
    return Response(orjson.dumps(body), status, given, f"{media or JSON}; charset=utf-8")


def request_error(
    errors: Sequence[Mapping[str, Any]],
    *,
    media: str | None = JSON,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer a request that was not executed: errors and no `data`.

    Without a `status`, the first error's code decides. Under `application/json` a well-formed request is answered 200
    whatever the caller's fault was, as the specification asks; faults of the server keep their 5xx.
    """
    code = errors[0]["extensions"]["code"]
    decided = status or STATUS_OF_CODE.get(code, 400)
    if status is None and media != GRAPHQL_JSON and decided < 500:
        decided = 200
    given = dict(headers or {})
    if decided == 401:
        given["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    if decided in {429, 503}:
        given["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer({"errors": errors}, media=media, status=decided, headers=given)
