"""What a video says of where, when and with what it was taken: the tags of `moov`, in every place where phones put them.

Tracks, durations and sizes are left to `movies`; XMP to `xmp`.
"""

import math
import re
from dataclasses import dataclass, field
from typing import BinaryIO

from storage.formats.exif import (
    ExifPositionProblem,
    Position,
    WallTime,
    accuracy,
    altitude,
    clean_text,
    placed,
    wall_time,
)
from storage.formats.iso_bmff import Box, BoxFields, TruncatedError, content, inside
from storage.formats.xmp import read_xmp

_TEXT_BYTES = 4096
_APPLE = "com.apple.quicktime."
_ISO_6709 = re.compile(
    r"([+-])([0-9]{1,6})(\.[0-9]{1,12})?([+-])([0-9]{1,7})(\.[0-9]{1,12})?([+-][0-9]{1,6}(?:\.[0-9]{1,9})?)?"
    r"(?:CRS([^/]{1,40}))?/?",
    re.ASCII,
)


@dataclass
class MovieTags:
    """`positions` in the order in which they are to be believed; `texts` by key or atom, the first of each."""

    texts: dict[str, str] = field(default_factory=dict)
    positions: list[Position | ExifPositionProblem] = field(default_factory=list)
    taken: WallTime | None = None
    xmp: bytes = b""

    def text(self, *names: str) -> str | None:
        return next((self.texts[name] for name in names if name in self.texts), None)


def read_tags(file: BinaryIO, moov: Box, xmp: bytes) -> MovieTags:
    """The tags of a movie; `xmp` is the packet that stands beside `moov`, if any. Never raises on broken boxes."""
    tags = MovieTags(xmp=xmp)
    holders = [moov, *(box for box in inside(file, moov) if box.kind == b"trak")][:32]
    loci: list[Position | ExifPositionProblem] = []
    for holder in holders:
        for box in inside(file, holder):
            if box.kind == b"meta":
                _keep_meta(file, box, tags)
            elif box.kind == b"udta":
                _keep_user_data(file, box, tags, loci)
    _place(tags, loci)
    packet = read_xmp(tags.xmp)
    tags.positions.append(packet.position)
    taken = tags.text(f"{_APPLE}creationdate", "\xa9day")
    tags.taken = wall_time(taken) or packet.taken
    return tags


def iso_6709(text: str, **more: float | None) -> Position | ExifPositionProblem:
    """Degrees, degrees and minutes, or those and seconds, told apart by their number of digits (ISO 6709, annex H)."""
    found = _ISO_6709.fullmatch(text.strip())
    if not found:
        return ExifPositionProblem.MALFORMED if text.strip() else ExifPositionProblem.EMPTY
    latitude = _sexagesimal(found[1], found[2], found[3], 2)
    longitude = _sexagesimal(found[4], found[5], found[6], 3)
    if latitude is None or longitude is None:
        return ExifPositionProblem.MALFORMED
    height = float(found[7]) if found[7] else None
    return placed(
        latitude,
        longitude,
        altitude_metres=altitude(abs(height) if height is not None else None, below=(height or 0) < 0),
        accuracy_metres=more.get("accuracy_metres"),
        datum=found[8],
    )


def _sexagesimal(sign: str, digits: str, fraction: str | None, width: int) -> float | None:
    """Signed degrees; None for figures that say nothing definite, such as a whole degree, which is 111 km."""
    if len(digits) <= width:
        if fraction is None:
            return None
        parts = [float(digits + fraction)]
    elif len(digits) == width + 2:
        parts = [float(digits[:width]), float(digits[width:] + (fraction or ""))]
    elif len(digits) == width + 4:
        parts = [float(digits[:width]), float(digits[width : width + 2]), float(digits[width + 2 :] + (fraction or ""))]
    else:
        return None
    if any(part >= 60 for part in parts[1:]):
        return None
    size = math.fsum(part / 60.0**place for place, part in enumerate(parts))
    return -size if sign == "-" else size


def _place(tags: MovieTags, loci: list[Position | ExifPositionProblem]) -> None:
    """Apple's key, then the QuickTime atom, then 3GPP's box; XMP comes last."""
    key = tags.text(f"{_APPLE}location.ISO6709")
    if key is not None:
        blur = tags.text(f"{_APPLE}location.accuracy.horizontal")
        metres = float(blur) if blur and re.fullmatch(r"[0-9]{1,8}(\.[0-9]{1,9})?", blur, re.ASCII) else None
        tags.positions.append(iso_6709(key, accuracy_metres=accuracy(metres)))
    atom = tags.text("\xa9xyz")
    if atom is not None:
        tags.positions.append(iso_6709(atom))
    tags.positions += loci


def _keep(tags: MovieTags, name: str, data: bytes) -> None:
    # Text by the standards is UTF-8; what isn't stays readable as Latin-1.
    cleaned = clean_text(data)
    if cleaned is not None:
        tags.texts.setdefault(name, cleaned)


def _keep_meta(file: BinaryIO, box: Box, tags: MovieTags) -> None:
    """`keys` and `ilst`: QuickTime's `meta` has no version before its boxes, ISO's has one."""
    skip = 0 if content(file, box, 8)[4:] == b"hdlr" else 4
    parts = {each.kind: each for each in inside(file, box, skip)}
    names = _keys(content(file, parts[b"keys"])) if b"keys" in parts else []
    for item in inside(file, parts[b"ilst"]) if b"ilst" in parts else ():
        index = int.from_bytes(item.kind)
        name = names[index - 1] if 0 < index <= len(names) else item.kind.decode("latin-1")
        for data in inside(file, item):
            if data.kind == b"data":
                _keep(tags, name, content(file, data, _TEXT_BYTES)[8:])


def _keys(data: bytes) -> list[str]:
    fields, names = BoxFields(data), []
    try:
        fields.take(4)
        for _ in range(min(fields.number(4), 1000)):
            size = fields.number(4)
            fields.take(4)
            names.append(fields.take(max(size - 8, 0)).decode("utf-8", "replace"))
    except TruncatedError:
        pass
    return names


def _keep_user_data(file: BinaryIO, udta: Box, tags: MovieTags, loci: list[Position | ExifPositionProblem]) -> None:
    for box in inside(file, udta):
        if box.kind == b"meta":
            _keep_meta(file, box, tags)
        elif box.kind == b"loci":
            loci.append(_loci(content(file, box, _TEXT_BYTES)))
        elif box.kind == b"XMP_" and not tags.xmp:
            tags.xmp = content(file, box)
        elif box.kind[:1] == b"\xa9":
            data = content(file, box, _TEXT_BYTES)
            # Length and language, then the text, and perhaps the same in more languages; or as iTunes has it.
            text = data[16:] if data[4:8] == b"data" else data[4 : 4 + int.from_bytes(data[:2])]
            _keep(tags, box.kind.decode("latin-1"), text)


def _loci(data: bytes) -> Position | ExifPositionProblem:
    """3GPP TS 26.244, 8.10: sixteen bits before and sixteen behind the point, longitude first."""
    fields = BoxFields(data)
    try:
        fields.take(6)
        fields.text()
        fields.take(1)
        longitude, latitude, height = (fields.number(4, signed=True) / 65536 for _ in range(3))
    except TruncatedError:
        return ExifPositionProblem.MALFORMED
    return placed(latitude, longitude, altitude_metres=altitude(abs(height), below=height < 0))
