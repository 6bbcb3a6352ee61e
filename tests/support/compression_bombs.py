"""Make compressed bodies, honest and hostile."""

import json
import zlib

import zstandard

LIMIT = 4000
TEXT = json.dumps({"words": ["明察暗访"] * 200}, ensure_ascii=False).encode()


def zstd_bomb() -> bytes:
    """Return a zstd frame of 32 KiB that unpacks to 1 GiB of zeros.

    The frame doesn't state its size. Nearly every block is a single byte with the number of its repetitions.
    """
    packing = zstandard.ZstdCompressor(write_content_size=False, write_checksum=False).compressobj()
    begun = packing.compress(bytes(1024 * 1024)) + packing.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    block = (1 << 1 | 128 * 1024 << 3).to_bytes(3, "little") + b"\0"
    return begun + block * 8192


def gzip_bomb() -> bytes:
    """Return 64 MiB of zeros, compressed."""
    packing = zlib.compressobj(9, wbits=31)
    block = bytes(1024 * 1024)
    return b"".join(packing.compress(block) for _ in range(64)) + packing.flush()
