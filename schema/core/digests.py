"""Compute the digest of what a device sent.

The digest is made from one canonical form. So a replay has the same digest, and changed content has a different digest.
"""

import enum
import hashlib
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any

import rfc8785

from schema.core.times import MAX_SAFE_INTEGER, print_instant


def digest_of(sent: Any) -> str:
    """Return the SHA-256 (hexadecimal) of an input record's canonical JSON (RFC 8785).

    Field names are spelled as in GraphQL. Instants are in UTC with milliseconds.
    Omitted fields and null fields are left out. So a field that is added to the contract later does not change the
    digest of what an older phone sends.
    """
    return hashlib.sha256(rfc8785.dumps(canonical(sent))).hexdigest()


def canonical(value: Any) -> Any:
    """Return an input record as JSON values. Leave out null fields."""
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
