"""Parse GraphQL requests strictly.

If a text in the variables can't be stored, such as half of an emoji, the request is not refused here. The path of the
text is returned in `Payload.unfit`, so that only the draft with that text is refused.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from schema.core.refusals import Refusal, RefusalCode

Path = tuple[str | int, ...]
MAX_QUERY_LENGTH = 32 * 1024
_UNFIT = re.compile("[\0\ud800-\udfff]")
_SHA256 = re.compile("sha256:[0-9a-f]{64}")


class MalformedRequestError(ValueError):
    """The request is not a GraphQL request. The HTTP answer has this `status` and, in its Allow header, `allow`."""

    def __init__(self, message: str, status: int = 400, *, allow: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.allow = allow


@dataclass(frozen=True)
class Payload:
    """One GraphQL request.

    `unfit` lists where in `variables` a text contains NUL or half of a surrogate pair. `document_id` is the SHA-256 of
    a trusted document, in hexadecimal. If `document_id` is set, `query` may be empty.
    """

    query: str
    variables: dict[str, Any]
    operation_name: str | None
    unfit: tuple[Path, ...] = ()
    document_id: str | None = None


def from_body(body: bytes) -> Payload:
    """Parse the body of a POST. Raise `MalformedRequestError`, or `Refusal` if the document is too long."""
    parameters = _parse_json(body, "The body")
    if isinstance(parameters, list):
        raise MalformedRequestError("Send one operation a request: batches are not accepted.")
    if not isinstance(parameters, dict):
        raise MalformedRequestError(
            "The body must be a JSON object with `query` or `documentId`, and optionally `variables` and `operationName`."
        )
    return _make_payload(parameters, suspicious=b"\\u" in body)


def from_object(parameters: object) -> Payload:
    """Parse the payload of a WebSocket message. Raise as `from_body` does."""
    if not isinstance(parameters, dict):
        raise MalformedRequestError("The payload must be a JSON object with `query` or `documentId`.")
    return _make_payload(parameters, suspicious=True)


def from_query_string(parameters: Mapping[str, str]) -> Payload:
    """Parse the query string of a GET. `variables` and `extensions` are JSON texts. Raise as `from_body` does."""
    parsed: dict[str, Any] = dict(parameters)
    for name in ("variables", "extensions"):
        if parsed.get(name):
            parsed[name] = _parse_json(parsed[name].encode(errors="replace"), f"`{name}`")
        else:
            parsed.pop(name, None)
    return _make_payload(parsed, suspicious=True)


def _make_payload(parameters: dict[str, Any], *, suspicious: bool) -> Payload:
    query, name = parameters.get("query"), parameters.get("operationName")
    for key in ("variables", "extensions"):
        if parameters.get(key) is not None and not isinstance(parameters[key], dict):
            raise MalformedRequestError(f"`{key}` must be a JSON object.")
    document_id = _document_id(parameters)
    if document_id and query is None:
        query = ""
    elif not isinstance(query, str) or not query:
        raise MalformedRequestError("Send a GraphQL document in `query`, or name one by `documentId`.")
    if len(query) > MAX_QUERY_LENGTH:
        raise Refusal(
            RefusalCode.LIMIT_EXCEEDED,
            f"The document is longer than {MAX_QUERY_LENGTH} characters: send values as variables.",
        )
    if name is not None and not isinstance(name, str):
        raise MalformedRequestError("`operationName` must be a string.")
    if suspicious and any(_is_unfit(text) for text in (query, name) if text):
        raise MalformedRequestError("The document holds NUL or half of a surrogate pair.")
    variables = parameters.get("variables") or {}
    unfit = tuple(unfit_paths(variables)) if suspicious else ()
    return Payload(query, variables, name or None, unfit, document_id)


def _document_id(parameters: dict[str, Any]) -> str | None:
    """Return the id in `documentId` (GraphQL over HTTP) or `extensions.persistedQuery` (Apollo's clients), or None."""
    if (id := parameters.get("documentId")) is not None:
        if not isinstance(id, str) or not _SHA256.fullmatch(id):
            raise MalformedRequestError("`documentId` must be `sha256:` and 64 lower-case hexadecimal digits.")
        return id.removeprefix("sha256:")
    persisted = (parameters.get("extensions") or {}).get("persistedQuery")
    if persisted is None:
        return None
    id = persisted.get("sha256Hash") if isinstance(persisted, dict) and persisted.get("version") == 1 else None
    if not isinstance(id, str) or not _SHA256.fullmatch(f"sha256:{id}"):
        raise MalformedRequestError(
            "`extensions.persistedQuery` must hold version 1 and `sha256Hash`, 64 hexadecimal digits."
        )
    return id


def unfit_paths(value: Any) -> Iterator[Path]:
    """Yield the paths of texts and keys that contain NUL or half of a surrogate pair.

    Such texts can't be stored or sent back.
    """
    rest: list[tuple[Path, Any]] = [((), value)]
    while rest:
        path, node = rest.pop()
        if isinstance(node, str):
            if _is_unfit(node):
                yield path
        elif isinstance(node, dict):
            if any(map(_is_unfit, node)):
                yield path  # and nothing below: the key's text can't be sent back in a path
                continue
            rest.extend(((*path, key), child) for key, child in node.items())
        elif isinstance(node, list):
            rest.extend(((*path, index), child) for index, child in enumerate(node))


def _is_unfit(text: str) -> bool:
    return _UNFIT.search(text) is not None


def _parse_json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # A phone that cuts a text inside an emoji sends valid JSON with half of a surrogate pair. orjson refuses the whole
        # body; the standard library reads it, so that only the draft at fault is refused.
        if b"\\ud" in text.lower():
            return _parse_json_leniently(text, what)
        raise MalformedRequestError(f"{what} is not valid JSON: {error.msg} at character {error.pos}.") from error


def _parse_json_leniently(text: bytes, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError(f"{what} is not valid JSON.") from error


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)
