"""Compress long request bodies with zstd, and send them plain to a server that can't read zstd.

httpx asks for compressed answers and unpacks them itself.
"""

import json
from dataclasses import dataclass
from typing import Any

import zstandard

MIN_BYTES = 1024
"""Shorter bodies stay uncompressed, because they fit into one network packet anyway."""
UNREADABLE_STATUSES = frozenset({400, 415})
"""Statuses of answers to an unreadable body: 415 if the server knows content encodings, 400 if it expects JSON."""


@dataclass(frozen=True)
class EncodedBody:
    """A request's content and its headers."""

    content: bytes
    headers: dict[str, str]

    @property
    def is_packed(self) -> bool:
        return "Content-Encoding" in self.headers


def encode_body(payload: dict[str, Any], *, packed: bool) -> EncodedBody:
    """Encode the payload as JSON. If `packed` is true and the JSON is long enough, compress it with zstd."""
    content = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json"}
    if packed and len(content) > MIN_BYTES:
        return EncodedBody(zstandard.ZstdCompressor(level=9).compress(content), headers | {"Content-Encoding": "zstd"})
    return EncodedBody(content, headers)
