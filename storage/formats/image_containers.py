"""Find the size, EXIF, XMP and holes (parts never written) of JPEG, PNG and WebP files.

Only the structure is read, and nothing is decoded, so that broken pictures can be read too.
"""

import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

# An EXIF block of 10 MB is legal in PNG and WebP. A block larger than this is an attack or not metadata.
BLOCK_BYTES = 16 * 2**20
_GARBAGE_BYTES = 2**16
_HOLES = {"image/jpeg": bytes(256), "image/webp": bytes(4096)}
"""Runs of zeros that no encoder writes among pixels, even in a blank picture.

Parts of a file that were never written read as zeros.
"""
_EXIF_MARK = re.compile(rb".{0,4}?Exif\0.", re.DOTALL | re.IGNORECASE)
"""What precedes an EXIF block in JPEG. Some writers put other bytes before it, or another second byte after it."""
_TIFF_HEADS = (b"II*\0", b"MM\0*")
_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_EOI, _SOS, _DHT = 0xD9, 0xDA, 0xC4
_SEQUENTIAL = frozenset({0xC0, 0xC1})
# SOF0 to SOF15 without DHT, JPG and DAC, whose codes lie between them (ITU-T T.81, table B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class Span:
    """A byte range of a file."""

    offset: int
    byte_size: int


@dataclass
class Container:
    """What the structure of a picture file says. `width` and `height` are encoded pixels.

    `is_cut` is true if the file ends before its structure does. `is_hollow` is true if pixel data inside is missing.
    `turn` is the orientation that the container states, as an EXIF number, or None. It overrides the EXIF tag.
    `shown` is the width and height of the visible part, or None if all is visible.
    `motion` is the video of a motion photo.
    """

    width: int | None = None
    height: int | None = None
    exif: bytes = b""
    xmp: bytes = b""
    is_cut: bool = False
    is_hollow: bool = False
    turn: int | None = None
    shown: tuple[int, int] | None = None
    motion: Span | None = None


def scan(file: BinaryIO, content_type: str) -> Container:
    """Read the structure of a seekable image/jpeg, image/png or image/webp file. Raise only errors of the disk."""
    container = Container()
    _WALKS[content_type](file, file.seek(0, os.SEEK_END), container)
    return container


def _walk_jpeg(file: BinaryIO, end: int, container: Container) -> None:
    """Walk the segments up to the pixels (ITU-T T.81 B.1.1). EXIF and XMP are in APP1 segments."""
    file.seek(2)
    shortest: list[int] = []
    is_sequential = False
    while (code := _next_marker(file)) != _SOS:
        if code == _EOI:
            container.is_cut = True
            return
        if code <= 0x01 or 0xD0 <= code <= 0xD8:  # stuffing, TEM, RSTn, SOI: no length follows
            continue
        after = file.tell() + int.from_bytes(file.read(2))
        if code in _FRAMES and container.width is None:
            frame = file.read(5)
            container.height, container.width = int.from_bytes(frame[1:3]) or None, int.from_bytes(frame[3:5]) or None
            is_sequential = code in _SEQUENTIAL
        elif code == _DHT:
            shortest += _shortest_codes(file.read(max(after - file.tell(), 0)))
        elif code == 0xE1:
            _read_app1(file.read(max(after - file.tell(), 0)), container)
        file.seek(min(after, end))
    # If each table's shortest code means "nothing new", a blank picture is all zeros too.
    if is_sequential and any(shortest):
        container.is_hollow = has_hole(file, end, _HOLES["image/jpeg"], until=b"\xff\xd9")


def _shortest_codes(tables: bytes) -> Iterator[int]:
    """Yield the value whose code is all zeros, for each Huffman table in a DHT segment (ITU-T T.81, B.2.4.2)."""
    at = 0
    while at + 17 < len(tables):
        yield tables[at + 17]
        at += 17 + sum(tables[at + 1 : at + 17])


def has_hole(file: BinaryIO, end: int, hole: bytes, until: bytes = b"") -> bool:
    """Return whether the bytes `hole` occur between the file's position and `end`.

    If the bytes `until` occur there, search only before them.
    """
    rest = b""
    while file.tell() < end and (data := file.read(min(2**20, end - file.tell()))):
        data = rest + data
        mark, at = data.find(until) if until else -1, data.find(hole)
        if at >= 0 and (mark < 0 or at < mark):
            return True
        if mark >= 0:
            return False
        rest = data[-len(hole) :]
    return False


def _next_marker(file: BinaryIO) -> int:
    """Return the code of the next marker, or EOI if the file ends or too much garbage lies between two segments."""
    for _ in range(_GARBAGE_BYTES):
        lead = file.read(1)
        if not lead:
            break
        if lead == b"\xff":
            while lead == b"\xff":
                lead = file.read(1)
            return lead[0] if lead else _EOI
    return _EOI


def _read_app1(payload: bytes, container: Container) -> None:
    if (mark := _EXIF_MARK.match(payload)) and len(container.exif) < BLOCK_BYTES:
        # A block of more than 64 KiB continues in the next segment.
        container.exif += payload[mark.end() :]
    elif payload.startswith(_XMP_MARK) and not container.xmp:
        container.xmp = payload[len(_XMP_MARK) :]


def _walk_png(file: BinaryIO, end: int, container: Container) -> None:
    """Walk all chunks up to IEND (PNG, third edition, 5.3), because metadata may follow the pixels."""
    at = 8
    while at + 8 <= end:
        file.seek(at)
        length, kind = int.from_bytes(file.read(4)), file.read(4)
        if kind == b"IEND":
            return
        if kind == b"IHDR":
            header = file.read(8)
            container.width, container.height = int.from_bytes(header[:4]) or None, int.from_bytes(header[4:]) or None
        elif kind == b"eXIf" and length <= BLOCK_BYTES:
            container.exif = file.read(length)
        elif kind in {b"tEXt", b"zTXt", b"iTXt"} and length <= BLOCK_BYTES:
            _read_text(kind, file.read(length), container)
        at += length + 12
    container.is_cut = True


def _read_text(kind: bytes, chunk: bytes, container: Container) -> None:
    """Read XMP from a text chunk, and EXIF and XMP in the form that ImageMagick wrote before PNG had an EXIF chunk."""
    keyword, _, rest = chunk.partition(b"\0")
    if not keyword.startswith((b"XML:com.adobe.xmp", b"Raw profile type ")):
        return
    if kind == b"iTXt":  # a flag, a method, a language and a translated keyword
        packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    else:
        packed, text = kind == b"zTXt", rest[1:] if kind == b"zTXt" else rest
    text = _inflate(text) if packed else text
    if keyword == b"XML:com.adobe.xmp":
        container.xmp = text
    else:
        _read_raw_profile(text, container)


def _read_raw_profile(text: bytes, container: Container) -> None:
    """Read EXIF or XMP from a name, a length and hexadecimal lines. EXIF stands with or without JPEG's mark."""
    try:
        profile = bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
    except ValueError:
        return
    if mark := _EXIF_MARK.match(profile):
        container.exif = container.exif or profile[mark.end() :]
    elif profile.startswith(_TIFF_HEADS):
        container.exif = container.exif or profile
    elif b"xmpmeta" in profile or b"rdf:RDF" in profile:
        container.xmp = container.xmp or profile.removeprefix(_XMP_MARK)


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, BLOCK_BYTES)
    except zlib.error:
        return b""


def _walk_webp(file: BinaryIO, end: int, container: Container) -> None:
    """Walk the RIFF chunks (RFC 9649)."""
    file.seek(4)
    riff_end = 8 + int.from_bytes(file.read(4), "little")
    container.is_cut = riff_end > end
    at = 12
    while at + 8 <= min(end, riff_end):
        file.seek(at)
        kind, length = file.read(4), int.from_bytes(file.read(4), "little")
        if kind in {b"VP8X", b"VP8 ", b"VP8L"} and container.width is None:
            _read_webp_size(kind, file.read(10), container)
        elif kind == b"EXIF" and length <= BLOCK_BYTES:
            container.exif = file.read(length)
        elif kind == b"XMP " and length <= BLOCK_BYTES:
            container.xmp = file.read(length)
        if kind in {b"VP8 ", b"VP8L"}:
            file.seek(at + 8)
            container.is_hollow = container.is_hollow or has_hole(file, min(at + 8 + length, end), _HOLES["image/webp"])
        at += 8 + length + length % 2


def _read_webp_size(kind: bytes, head: bytes, container: Container) -> None:
    if len(head) < 10:
        return
    if kind == b"VP8X":
        container.width, container.height = (
            1 + int.from_bytes(head[4:7], "little"),
            1 + int.from_bytes(head[7:10], "little"),
        )
    elif kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        packed = int.from_bytes(head[6:10], "little")
        container.width, container.height = packed & 0x3FFF, packed >> 16 & 0x3FFF
    elif kind == b"VP8L" and head[0] == 0x2F:
        packed = int.from_bytes(head[1:5], "little")
        container.width, container.height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1


_WALKS: dict[str, Callable[[BinaryIO, int, Container], None]] = {
    "image/jpeg": _walk_jpeg,
    "image/png": _walk_png,
    "image/webp": _walk_webp,
}
