"""Make pictures, their EXIF and their chunks."""

import io
import struct
import zlib
from typing import Any

from PIL import Image
from pillow_heif import register_heif_opener

register_heif_opener()

GPS: dict[int, Any] = {1: "N", 2: (25.0, 49.0, 45.18), 3: "E", 4: (114.0, 56.0, 1.0032)}
"""EXIF fields of the position 25.829217, 114.933612, which is in Ganzhou."""


def saved(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def block(gps: dict[int, Any] | None = None, **ifd0: Any) -> bytes:
    exif = Image.Exif()
    exif.update({int(tag.removeprefix("tag_"), 16): value for tag, value in ifd0.items()})
    exif.get_ifd(0x8825).update(gps or {})
    return exif.tobytes()


def png(width: int, height: int, depth: int, colour: int, pixels: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    listed = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), *chunks, (b"IEND", b"")]
    body = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in listed)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def webp_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)


RED, GREEN, BLACK = (220, 30, 30), (30, 200, 30), (0, 0, 0)


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(one - other) <= 6 for one, other in zip(pixel, colour, strict=True))
