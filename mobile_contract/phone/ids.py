"""Make ids on the phone: a prefix for the kind, and a UUIDv7.

An item gets its id before it is first sent. So the server recognises the item if it is sent again.
"""

import secrets
import time
import uuid
from datetime import datetime


def new_id(prefix: str, at: datetime | None = None) -> str:
    """Return an id such as `obs_0198...` (RFC 9562, UUID version 7).

    The 48-bit timestamp of the id is `at`, cut to whole seconds, or the current time in milliseconds.
    The other bits are random, except those of the version and variant.
    """
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp()) * 1000
    bits = milliseconds << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return f"{prefix}_{uuid.UUID(int=bits)}"
