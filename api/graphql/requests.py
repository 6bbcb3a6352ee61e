"""Request bodies and parameters, read strictly; what a phone cut wrong inside a draft's text is found, not fatal here.

Executing what was read is left to `transport`, cutting bad drafts out to `salvage`.
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
    """A request is no GraphQL request; `status` and `allow` say so in HTTP's terms."""

    def __init__(self, message: str, status: int = 400, *, allow: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.allow = allow


@dataclass(frozen=True)
class Payload:
    """One GraphQL request; `unfit` are the paths in `variables` whose text holds NUL or half of a surrogate pair.

    `document_id` is the SHA-256, in hexadecimal, of the document; `query` may be empty then.
    """

    query: str
    variables: dict[str, Any]
    operation_name: str | None
    unfit: tuple[Path, ...] = ()
    document_id: str | None = None


def from_body(body: bytes) -> Payload:
    """Read the body of a POST. Raise `MalformedRequestError`, or `Refusal` for a document that is too long."""
    parameters = _json(body, "The body")
    if isinstance(parameters, list):
        raise MalformedRequestError("Send one operation a request: batches are not accepted.")
    if not isinstance(parameters, dict):
        raise MalformedRequestError(
            "The body must be a JSON object with `query` or `documentId`, and optionally `variables` and `operationName`."
        )
    return _payload(parameters, suspicious=b"\\u" in body)


def from_object(parameters: object) -> Payload:
    """Read what came as a part of a message. Raise as `from_body` does."""
    if not isinstance(parameters, dict):
        raise MalformedRequestError("The payload must be a JSON object with `query` or `documentId`.")
    return _payload(parameters, suspicious=True)


def from_query_string(parameters: Mapping[str, str]) -> Payload:
    """Read the query string of a GET, where `variables` and `extensions` are JSON. Raise as `from_body` does."""
    read: dict[str, Any] = dict(parameters)
    for name in ("variables", "extensions"):
        if read.get(name):
            read[name] = _json(read[name].encode(errors="replace"), f"`{name}`")
        else:
            read.pop(name, None)
    return _payload(read, suspicious=True)


def _payload(parameters: dict[str, Any], *, suspicious: bool) -> Payload:
    query, name = parameters.get("query"), parameters.get("operationName")
    for key in ("variables", "extensions"):
        if parameters.get(key) is not None and not isinstance(parameters[key], dict):
            raise MalformedRequestError(f"`{key}` must be a JSON object.")
    document_id = _document_id(parameters)
    if document_id and query is None:
        query = ""
    elif not isinstance(query, str) or not query:
        raise MalformedRequestError("`query` must be a string with a GraphQL document, or `documentId` name one.")
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
    """As the GraphQL over HTTP specification has it (`documentId`), or as Apollo's clients do (`extensions`)."""
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
    """Find texts, and keys, that hold NUL or half of a surrogate pair: no text that can be stored or sent back."""
    rest: list[tuple[Path, Any]] = [((), value)]
    while rest:
        path, found = rest.pop()
        if isinstance(found, str):
            if _is_unfit(found):
                yield path
        elif isinstance(found, dict):
            if any(map(_is_unfit, found)):
                yield path  # and nothing below: the key's own text can't be sent back in a path
                continue
            rest.extend(((*path, key), each) for key, each in found.items())
        elif isinstance(found, list):
            rest.extend(((*path, index), each) for index, each in enumerate(found))


def _is_unfit(text: str) -> bool:
    return _UNFIT.search(text) is not None


def _json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # A phone that cuts a text in the middle of an emoji sends valid JSON with half a surrogate pair, which orjson
        # refuses whole; the standard library reads it, so that only the draft which holds it is refused.
        if b"\\ud" in text.lower():
            return _lenient_json(text, what)
        raise MalformedRequestError(f"{what} is not valid JSON: {error.msg} at character {error.pos}.") from error


def _lenient_json(text: bytes, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError(f"{what} is not valid JSON.") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
