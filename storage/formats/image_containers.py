"""Where JPEG, PNG and WebP files keep their size, EXIF and XMP, and holes in them.

All is found by structure alone, so that a broken picture still tells. HEIF and AVIF are left to `heif`, decoding tags or
pixels to `pictures`; what a tag means, to `exif` and `xmp`.
"""

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

# An EXIF block of 10 MB is legal in PNG and WebP; more than this is an attack or no metadata.
BLOCK_BYTES = 16 * 2**20
_GARBAGE_BYTES = 2**16
_HOLES = {"image/jpeg": bytes(256), "image/webp": bytes(4096)}
"""What no coder writes among pixels, a blank picture's included; what was never written reads as zeros."""
_EXIF_MARK = b"Exif\0\0"
_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_EOI, _SOS, _DHT = 0xD9, 0xDA, 0xC4
_SEQUENTIAL = frozenset({0xC0, 0xC1})
# SOF0 to SOF15 without DHT, JPG and DAC, which lie among them (ITU-T T.81, table B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class Span:
    """A stretch of a file, bytes from its beginning."""

    offset: int
    byte_size: int


@dataclass
class Container:
    """Pixels as coded; `is_cut` when the file ends before its own structure does, `is_hollow` where pixels are lost inside.

    `turn` is the figure by EXIF's counting of how the container itself has the picture turned, which then holds instead
    of EXIF's; None where the container says nothing of it. `shown` is width and height of the part that is to be shown,
    where that is not the whole. `motion` is the video of a motion photo.
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
    """Walk a seekable file of type image/jpeg, image/png or image/webp; never raises but for the disk's own errors."""
    found = Container()
    _WALKS[content_type](file, file.seek(0, os.SEEK_END), found)
    return found


def _walk_jpeg(file: BinaryIO, end: int, found: Container) -> None:
    """Segments up to the scan (ITU-T T.81 B.1.1; EXIF and XMP: APP1)."""
    file.seek(2)
    shortest: list[int] = []
    is_sequential = False
    while (code := _next_marker(file)) != _SOS:
        if code == _EOI:
            found.is_cut = True
            return
        if code <= 0x01 or 0xD0 <= code <= 0xD8:  # stuffing, TEM, RSTn, SOI: no length follows
            continue
        after = file.tell() + int.from_bytes(file.read(2))
        if code in _FRAMES and found.width is None:
            frame = file.read(5)
            found.height, found.width = int.from_bytes(frame[1:3]) or None, int.from_bytes(frame[3:5]) or None
            is_sequential = code in _SEQUENTIAL
        elif code == _DHT:
            shortest += _shortest(file.read(max(after - file.tell(), 0)))
        elif code == 0xE1:
            _keep_app1(file.read(max(after - file.tell(), 0)), found)
        file.seek(min(after, end))
    # Where each table's shortest code means "nothing new", a blank picture is zeros too.
    if is_sequential and any(shortest):
        found.is_hollow = has_hole(file, end, _HOLES["image/jpeg"], until=b"\xff\xd9")


def _shortest(tables: bytes) -> Iterator[int]:
    """What the code of nothing but zeros stands for, in each table of a DHT segment (ITU-T T.81, B.2.4.2)."""
    at = 0
    while at + 17 < len(tables):
        yield tables[at + 17]
        at += 17 + sum(tables[at + 1 : at + 17])


def has_hole(file: BinaryIO, end: int, hole: bytes, until: bytes = b"") -> bool:
    """Whether so many zeros stand between here and `end`, before the mark `until` if there is one."""
    kept = b""
    while file.tell() < end and (data := file.read(min(2**20, end - file.tell()))):
        data = kept + data
        mark, at = data.find(until) if until else -1, data.find(hole)
        if at >= 0 and (mark < 0 or at < mark):
            return True
        if mark >= 0:
            return False
        kept = data[-len(hole) :]
    return False


def _next_marker(file: BinaryIO) -> int:
    """The code of the next marker; EOI too where the file, or the patience with garbage between segments, ends."""
    for _ in range(_GARBAGE_BYTES):
        lead = file.read(1)
        if not lead:
            break
        if lead == b"\xff":
            while lead == b"\xff":
                lead = file.read(1)
            return lead[0] if lead else _EOI
    return _EOI


def _keep_app1(payload: bytes, found: Container) -> None:
    if payload.startswith(_EXIF_MARK) and len(found.exif) < BLOCK_BYTES:
        # A block of more than 64 KiB goes on in the next segment.
        found.exif += payload[len(_EXIF_MARK) :]
    elif payload.startswith(_XMP_MARK) and not found.xmp:
        found.xmp = payload[len(_XMP_MARK) :]


def _walk_png(file: BinaryIO, end: int, found: Container) -> None:
    """Chunks to IEND (PNG, third edition, 5.3); metadata may stand behind the pixels."""
    at = 8
    while at + 8 <= end:
        file.seek(at)
        length, kind = int.from_bytes(file.read(4)), file.read(4)
        if kind == b"IEND":
            return
        if kind == b"IHDR":
            header = file.read(8)
            found.width, found.height = int.from_bytes(header[:4]) or None, int.from_bytes(header[4:]) or None
        elif kind == b"eXIf" and length <= BLOCK_BYTES:
            found.exif = file.read(length)
        elif kind in {b"tEXt", b"zTXt", b"iTXt"} and length <= BLOCK_BYTES:
            _keep_text(kind, file.read(length), found)
        at += length + 12
    found.is_cut = True


def _keep_text(kind: bytes, chunk: bytes, found: Container) -> None:
    """XMP, and EXIF as ImageMagick wrote it before PNG had a chunk for it."""
    keyword, _, rest = chunk.partition(b"\0")
    if keyword == b"XML:com.adobe.xmp" and kind == b"iTXt" and len(rest) >= 2:
        text = rest[2:].split(b"\0", 2)[-1]
        found.xmp = _inflated(text) if rest[0] else text
    elif keyword in {b"Raw profile type exif", b"Raw profile type APP1"} and kind != b"iTXt" and not found.exif:
        words = (_inflated(rest[1:]) if kind == b"zTXt" else rest).split()
        try:
            profile = bytes.fromhex(b"".join(words[2:]).decode("ascii"))  # name, length, then hexadecimal lines
        except ValueError:
            return
        if profile.startswith(_EXIF_MARK):
            found.exif = profile[len(_EXIF_MARK) :]


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, BLOCK_BYTES)
    except zlib.error:
        return b""


def _walk_webp(file: BinaryIO, end: int, found: Container) -> None:
    """RIFF chunks (RFC 9649)."""
    file.seek(4)
    riff_end = 8 + int.from_bytes(file.read(4), "little")
    found.is_cut = riff_end > end
    at = 12
    while at + 8 <= min(end, riff_end):
        file.seek(at)
        kind, length = file.read(4), int.from_bytes(file.read(4), "little")
        if kind in {b"VP8X", b"VP8 ", b"VP8L"} and found.width is None:
            _keep_webp_size(kind, file.read(10), found)
        elif kind == b"EXIF" and length <= BLOCK_BYTES:
            found.exif = file.read(length)
        elif kind == b"XMP " and length <= BLOCK_BYTES:
            found.xmp = file.read(length)
        if kind in {b"VP8 ", b"VP8L"}:
            file.seek(at + 8)
            found.is_hollow = found.is_hollow or has_hole(file, min(at + 8 + length, end), _HOLES["image/webp"])
        at += 8 + length + length % 2


def _keep_webp_size(kind: bytes, head: bytes, found: Container) -> None:
    if len(head) < 10:
        return
    if kind == b"VP8X":
        found.width, found.height = 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    elif kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        packed = int.from_bytes(head[6:10], "little")
        found.width, found.height = packed & 0x3FFF, packed >> 16 & 0x3FFF
    elif kind == b"VP8L" and head[0] == 0x2F:
        packed = int.from_bytes(head[1:5], "little")
        found.width, found.height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1


_WALKS: dict[str, Callable[[BinaryIO, int, Container], None]] = {
    "image/jpeg": _walk_jpeg,
    "image/png": _walk_png,
    "image/webp": _walk_webp,
}
