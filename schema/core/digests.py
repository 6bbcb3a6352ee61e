"""Digests: one canonical form for what a device sent, so that a replay is known for the same and a change for another."""

import enum
import hashlib
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any

import rfc8785

from schema.core.times import MAX_SAFE_INTEGER, print_instant


def digest_of(sent: Any) -> str:
    """SHA-256, hexadecimal, of the canonical JSON (RFC 8785) of an input record.

    Names are those of GraphQL; what was left out or null is left out, so that a field which a later contract adds does
    not change the digest of what an older phone sends; instants are in UTC with milliseconds.
    """
    return hashlib.sha256(rfc8785.dumps(canonical(sent))).hexdigest()


def canonical(value: Any) -> Any:
    """Plain JSON of an input record."""
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
