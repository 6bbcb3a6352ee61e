"""Bodies of requests: long ones are sent in zstd; a server that does not read it gets them plain.

Answers are unpacked by httpx, which asks for zstd and gzip by itself.
"""

import json
from dataclasses import dataclass
from typing import Any

import zstandard

MIN_BYTES = 1024
"""Shorter bodies go plain: they fit a packet either way."""
UNREADABLE_STATUSES = frozenset({400, 415})
"""How servers answer what they can't read: 415 those that know of codings, 400 those that look for JSON right away."""


@dataclass(frozen=True)
class EncodedBody:
    """A request's content, and the headers that say what it is."""

    content: bytes
    headers: dict[str, str]

    @property
    def is_packed(self) -> bool:
        return "Content-Encoding" in self.headers


def encode_body(payload: dict[str, Any], *, packed: bool) -> EncodedBody:
    """The payload as JSON, in zstd where it may be `packed` and that is worth it."""
    content = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json"}
    if packed and len(content) > MIN_BYTES:
        return EncodedBody(zstandard.ZstdCompressor(level=9).compress(content), headers | {"Content-Encoding": "zstd"})
    return EncodedBody(content, headers)
