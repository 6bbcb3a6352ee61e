"""Make ids on the phone: a prefix for the kind, and a UUIDv7.

An item gets its id once, before it is sent, so sending it again does no harm.
"""

import secrets
import time
import uuid
from datetime import datetime


def new_id(prefix: str, at: datetime | None = None) -> str:
    """Return an id such as `obs_0198...` (RFC 9562, UUID version 7).

    Its 48 bits of milliseconds are those of `at`, or of now. The other bits are random.
    """
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp()) * 1000
    bits = milliseconds << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return f"{prefix}_{uuid.UUID(int=bits)}"
