"""Ids: a prefix for the kind and a UUIDv7, made on the phone, once, before anything is sent.

The id is what makes a replay harmless; keeping it is the outbox's work.
"""

import secrets
import time
import uuid
from datetime import datetime


def new_id(prefix: str, at: datetime | None = None) -> str:
    """Such as `obs_0198...` (RFC 9562, UUID version 7: 48 bits of milliseconds, of now unless given, then chance)."""
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp()) * 1000
    bits = milliseconds << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return f"{prefix}_{uuid.UUID(int=bits)}"
