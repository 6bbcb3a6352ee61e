"""Digest what a device sent, in one canonical form: a replay has the same digest, changed content another."""

import enum
import hashlib
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any

import rfc8785

from schema.core.times import MAX_SAFE_INTEGER, print_instant


def digest_of(sent: Any) -> str:
    """Return the SHA-256 (hexadecimal) of an input record's canonical JSON (RFC 8785).

    Names are those of GraphQL. Instants are in UTC with milliseconds.
    Omitted and null fields are left out, so a field that a later contract adds does not change an older phone's digest.
    """
    return hashlib.sha256(rfc8785.dumps(canonical(sent))).hexdigest()


def canonical(value: Any) -> Any:
    """Return an input record as plain JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((_camel(field.name), canonical(getattr(value, field.name))) for field in fields(value))
        return {name: inner for name, inner in pairs if inner is not None}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case enum.Enum():
            return value.value
        case datetime():
            return print_instant(value)
        case date():
            return value.isoformat()
        case int() if abs(value) > MAX_SAFE_INTEGER:
            return str(value)  # beyond what JSON numbers carry
        case _:
            return value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
