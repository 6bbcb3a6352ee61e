"""Compress and decompress bodies in gzip and zstd, in bounded memory, and choose the encoding of an answer."""

import zlib
from functools import lru_cache
from typing import Protocol

import zstandard

from api.http.responses import parse_accept

ENCODINGS = ("zstd", "gzip")
"""In order of preference. zstd gives smaller bodies and takes a fraction of the time."""
ALIASES = {"x-gzip": "gzip"}
MAX_FRAMES = 64
"""Largest number of zstd frames, or gzip members, in one body. A phone that flushes after each line sends a few. A
flood of empty frames is an attack."""
WINDOW_BYTES = 8 * 1024 * 1024
"""The largest window that RFC 9659 lets a zstd sender use."""
INPUT_BYTES = 32
"""How many compressed bytes zstd gets at a time. zstd returns everything that these bytes expand to. The shortest block
has 4 bytes and expands to 128 KiB, so the content exceeds the limit by about 1 MiB at most."""
GZIP_WBITS = 16 + zlib.MAX_WBITS
GZIP_LEVEL = 5
ZSTD_LEVEL = 5


class ContentTooLargeError(Exception):
    """A body expands to more bytes than the limit."""


class BadContentEncodingError(Exception):
    """A body is malformed or incomplete in its encoding."""


class _Decompressor(Protocol):
    """What zlib's and zstandard's decompression objects have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


@lru_cache(maxsize=256)
def negotiate_encoding(accept_encoding: str | None) -> str | None:
    """Return the encoding that an Accept-Encoding header prefers, or None for an uncompressed answer.

    If the caller refuses every encoding, and an uncompressed answer too, the answer is uncompressed. RFC 9110 leaves
    this case to the server.
    """
    if not accept_encoding:
        return None
    qualities = {ALIASES.get(name, name): quality for name, quality in parse_accept(accept_encoding)}
    others = qualities.get("*", 0.0)
    best = max(ENCODINGS, key=lambda name: qualities.get(name, others))  # the first of equals
    quality = qualities.get(best, others)
    return best if quality > 0 and quality >= qualities.get("identity", 0.0) else None


def compress(body: bytes, encoding: str) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    return zlib.compress(body, GZIP_LEVEL, wbits=GZIP_WBITS)


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Decompress a body in one of `ENCODINGS`.

    Raise `ContentTooLargeError` above `limit` bytes, `BadContentEncodingError` if the body is malformed. Any
    compression ratio is allowed, because reading stops at the limit.
    """
    content = bytearray()
    try:
        for _ in range(MAX_FRAMES):
            rest = (_read_zstd_frame if encoding == "zstd" else _read_gzip_member)(body, content, limit)
            if not rest:
                return bytes(content)
            body = rest
    except (zlib.error, zstandard.ZstdError) as error:
        raise BadContentEncodingError from error
    raise BadContentEncodingError


def _read_gzip_member(body: bytes, content: bytearray, limit: int) -> bytes:
    """Decompress one gzip member and append it to `content`. Return the bytes of `body` after the member."""
    decompressor = zlib.decompressobj(GZIP_WBITS)
    content += decompressor.decompress(body, limit - len(content) + 1)
    return _unused_data(decompressor, content, limit)


def _read_zstd_frame(body: bytes, content: bytearray, limit: int) -> bytes:
    """Decompress one zstd frame and append it to `content`. Return the bytes of `body` after the frame."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj(write_size=16 * 1024)
    for start in range(0, len(body), INPUT_BYTES):
        content += decompressor.decompress(body[start : start + INPUT_BYTES])
        if decompressor.eof or len(content) > limit:
            return _unused_data(decompressor, content, limit) + body[start + INPUT_BYTES :]
    return _unused_data(decompressor, content, limit)


def _unused_data(decompressor: _Decompressor, content: bytearray, limit: int) -> bytes:
    if len(content) > limit:
        raise ContentTooLargeError
    if not decompressor.eof:
        raise BadContentEncodingError
    return decompressor.unused_data
