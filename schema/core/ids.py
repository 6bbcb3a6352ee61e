"""Compose and check the ids of records. An id is a prefix for the kind of record, such as `obs_`, and a UUIDv7.

The creator of a record makes its id. The id also serves as the idempotency key.
Callers pass in the time and the random bytes, so this module is pure.
"""

import re
import uuid
from datetime import datetime

import strawberry

from schema.core.refusals import Refusal, RefusalCode

PREFIXES = {
    "dev": "device",
    "ses": "session",
    "rev": "revision",
    "evt": "event",
    "ans": "answer to an assignment",
}
"""The kind of record for each id prefix. A subclass of `Node` adds its own prefix when the class is defined."""
_SHAPE = re.compile(r"([a-z]{3})_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def kind_of(id: str) -> str:
    """Return the prefix of an id, such as `obs`.

    Raise `Refusal(BAD_ID)` if the id is malformed or has an unknown prefix.
    """
    match = _SHAPE.fullmatch(id)
    if match is None or match[1] not in PREFIXES:
        raise Refusal(RefusalCode.BAD_ID, "An id is a prefix, such as obs_, and a UUIDv7 in lower case.")
    return match[1]


def validate_id(id: str, prefix: str, *, field: str | None = None) -> str:
    """Return `id`. Raise `Refusal(BAD_ID)` if it is malformed or its prefix is not `prefix`."""
    match = _SHAPE.fullmatch(id)
    if match is None or match[1] != prefix:
        raise Refusal(
            RefusalCode.BAD_ID,
            f"The id of a {PREFIXES.get(prefix, prefix)} is {prefix}_ and a UUIDv7 in lower case.",
            field=field,
        )
    return id


def milliseconds_of(id: str) -> int:
    """Return the creation time in a well-formed id, in milliseconds since 1970.

    The time comes from the creator's clock, and may lie in any year up to 10889.
    """
    return uuid.UUID(id[4:]).int >> 80


def compose(prefix: str, at: datetime, randomness: bytes) -> strawberry.ID:
    """Return a new id: the prefix, and a UUIDv7 (RFC 9562) from the time `at` and 10 random bytes."""
    milliseconds = int(at.timestamp() * 1000)
    bits = milliseconds << 80 | int.from_bytes(randomness[:10], "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return strawberry.ID(f"{prefix}_{uuid.UUID(int=bits)}")
