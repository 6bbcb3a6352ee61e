"""Content codings: which one an answer is sent in, and bodies read and written in gzip and zstd, in bounded memory.

Which requests and answers that concerns is left to `compression`.
"""

import zlib
from functools import lru_cache
from typing import Protocol

import zstandard

from api.http.responses import qualities

CODINGS = ("zstd", "gzip")
"""In the order of preference: zstd is smaller and takes a fraction of the time."""
ALIASES = {"x-gzip": "gzip"}
MAX_FRAMES = 64
"""Frames of zstd, or members of gzip, in one body; phones that keep lines apart send a few, a flood of empty ones is none."""
WINDOW_BYTES = 8 * 1024 * 1024
"""The largest that RFC 9659 lets a sender of zstd use."""
SIP = 32
"""Bytes that zstd is given at a time. It gives back all that comes of them, and the shortest block, of 4 bytes, makes
128 KiB: so no more than about 1 MiB is there beyond the limit."""
GZIP = 16 + zlib.MAX_WBITS
GZIP_LEVEL = 5
ZSTD_LEVEL = 5


class ContentTooLargeError(Exception):
    """More comes out of a body than is taken."""


class BadContentEncodingError(Exception):
    """A body is not, or not wholly, what its coding says."""


class _Reading(Protocol):
    """One frame or member under way, as both libraries have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


@lru_cache(maxsize=256)
def chosen(accept: str | None) -> str | None:
    """The coding that an Accept-Encoding header asks for most; None for none at all.

    Whoever refuses every coding, also the plain one, gets the plain one: RFC 9110 leaves that to the server.
    """
    if not accept:
        return None
    asked = {ALIASES.get(name, name): quality for name, quality in qualities(accept)}
    others = asked.get("*", 0.0)
    best = max(CODINGS, key=lambda name: asked.get(name, others))  # the first of equals
    quality = asked.get(best, others)
    return best if quality > 0 and quality >= asked.get("identity", 0.0) else None


def encoded(body: bytes, coding: str) -> bytes:
    """The body in one of `CODINGS`."""
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    return zlib.compress(body, GZIP_LEVEL, wbits=GZIP)


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """What a body in one of `CODINGS` holds. Raise `ContentTooLargeError` above `limit` bytes,
    `BadContentEncodingError` for what is no such body.

    How many times larger it becomes is of no matter: reading ends where the limit is passed.
    """
    made = bytearray()
    try:
        for _ in range(MAX_FRAMES):
            rest = (_frame if coding == "zstd" else _member)(body, made, limit)
            if not rest:
                return bytes(made)
            body = rest
    except (zlib.error, zstandard.ZstdError) as error:
        raise BadContentEncodingError from error
    raise BadContentEncodingError


def _member(body: bytes, made: bytearray, limit: int) -> bytes:
    """Read one member of gzip onto `made`; returns what follows it."""
    reading = zlib.decompressobj(GZIP)
    made += reading.decompress(body, limit - len(made) + 1)
    return _ended(reading, made, limit)


def _frame(body: bytes, made: bytearray, limit: int) -> bytes:
    """Read one frame of zstd onto `made`; returns what follows it."""
    reading = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj(write_size=16 * 1024)
    for start in range(0, len(body), SIP):
        made += reading.decompress(body[start : start + SIP])
        if reading.eof or len(made) > limit:
            return _ended(reading, made, limit) + body[start + SIP :]
    return _ended(reading, made, limit)


def _ended(reading: _Reading, made: bytearray, limit: int) -> bytes:
    if len(made) > limit:
        raise ContentTooLargeError
    if not reading.eof:
        raise BadContentEncodingError
    return reading.unused_data
