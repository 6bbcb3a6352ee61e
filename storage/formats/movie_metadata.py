"""Read the place, time and camera of a video from the tags in its `moov` box. Phones put them in different places."""

import math
import re
from dataclasses import dataclass, field
from typing import BinaryIO

from storage.formats.clocks import WallTime, parse_wall_time
from storage.formats.exif import (
    ExifPositionProblem,
    Position,
    clean_text,
    make_position,
    valid_accuracy,
    valid_altitude,
)
from storage.formats.iso_bmff import Box, BoxFields, TruncatedError, iter_children, read_content
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
    """The tags of a movie. `positions` begins with the most reliable position.

    `texts` has the first text of each key or atom.
    """

    texts: dict[str, str] = field(default_factory=dict)
    positions: list[Position | ExifPositionProblem] = field(default_factory=list)
    taken: WallTime | None = None
    xmp: bytes = b""

    def text(self, *names: str) -> str | None:
        return next((self.texts[name] for name in names if name in self.texts), None)


def read_tags(file: BinaryIO, moov: Box, xmp: bytes) -> MovieTags:
    """Read the tags of a movie. Never raise if boxes are broken. `xmp` is the XMP packet outside `moov`, or empty."""
    tags = MovieTags(xmp=xmp)
    holders = [moov, *(box for box in iter_children(file, moov) if box.kind == b"trak")][:32]
    loci: list[Position | ExifPositionProblem] = []
    for holder in holders:
        for box in iter_children(file, holder):
            if box.kind == b"meta":
                _read_meta(file, box, tags)
            elif box.kind == b"udta":
                _read_user_data(file, box, tags, loci)
    _add_positions(tags, loci)
    packet = read_xmp(tags.xmp)
    tags.positions.append(packet.position)
    taken = tags.text(f"{_APPLE}creationdate", "\xa9day")
    tags.taken = parse_wall_time(taken) or packet.taken
    return tags


def parse_iso_6709(text: str, **more: float | None) -> Position | ExifPositionProblem:
    """Parse a position (ISO 6709, annex H). The number of digits tells whether a value has minutes and seconds."""
    match = _ISO_6709.fullmatch(text.strip())
    if not match:
        return ExifPositionProblem.MALFORMED if text.strip() else ExifPositionProblem.EMPTY
    latitude = _parse_sexagesimal(match[1], match[2], match[3], 2)
    longitude = _parse_sexagesimal(match[4], match[5], match[6], 3)
    if latitude is None or longitude is None:
        return ExifPositionProblem.MALFORMED
    height = float(match[7]) if match[7] else None
    return make_position(
        latitude,
        longitude,
        altitude_metres=valid_altitude(abs(height) if height is not None else None, below=(height or 0) < 0),
        accuracy_metres=more.get("accuracy_metres"),
        datum=match[8],
    )


def _parse_sexagesimal(sign: str, digits: str, fraction: str | None, width: int) -> float | None:
    """Return signed degrees. Return None for a malformed value, and for whole degrees, which are too vague (111 km)."""
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


def _add_positions(tags: MovieTags, loci: list[Position | ExifPositionProblem]) -> None:
    """Add the positions from Apple's key, the QuickTime atom and 3GPP's boxes, in this order.

    The caller adds the position from XMP last.
    """
    key = tags.text(f"{_APPLE}location.ISO6709")
    if key is not None:
        blur = tags.text(f"{_APPLE}location.accuracy.horizontal")
        metres = float(blur) if blur and re.fullmatch(r"[0-9]{1,8}(\.[0-9]{1,9})?", blur, re.ASCII) else None
        tags.positions.append(parse_iso_6709(key, accuracy_metres=valid_accuracy(metres)))
    atom = tags.text("\xa9xyz")
    if atom is not None:
        tags.positions.append(parse_iso_6709(atom))
    tags.positions += loci


def _add_text(tags: MovieTags, name: str, data: bytes) -> None:
    # The standards require UTF-8. Other text stays readable as Latin-1.
    cleaned = clean_text(data)
    if cleaned is not None:
        tags.texts.setdefault(name, cleaned)


def _read_meta(file: BinaryIO, box: Box, tags: MovieTags) -> None:
    """Read the texts in a `meta` box.

    In ISO files, a version number precedes the boxes inside `meta`. In QuickTime files, there is no version number.
    """
    skip = 0 if read_content(file, box, 8)[4:] == b"hdlr" else 4
    parts = {child.kind: child for child in iter_children(file, box, skip)}
    names = _read_keys(read_content(file, parts[b"keys"])) if b"keys" in parts else []
    for item in iter_children(file, parts[b"ilst"]) if b"ilst" in parts else ():
        index = int.from_bytes(item.kind)
        name = names[index - 1] if 0 < index <= len(names) else item.kind.decode("latin-1")
        for data in iter_children(file, item):
            if data.kind == b"data":
                _add_text(tags, name, read_content(file, data, _TEXT_BYTES)[8:])


def _read_keys(data: bytes) -> list[str]:
    fields, names = BoxFields(data), []
    try:
        fields.read(4)
        for _ in range(min(fields.read_number(4), 1000)):
            size = fields.read_number(4)
            fields.read(4)
            names.append(fields.read(max(size - 8, 0)).decode("utf-8", "replace"))
    except TruncatedError:
        pass
    return names


def _read_user_data(file: BinaryIO, udta: Box, tags: MovieTags, loci: list[Position | ExifPositionProblem]) -> None:
    for box in iter_children(file, udta):
        if box.kind == b"meta":
            _read_meta(file, box, tags)
        elif box.kind == b"loci":
            loci.append(_parse_loci(read_content(file, box, _TEXT_BYTES)))
        elif box.kind == b"XMP_" and not tags.xmp:
            tags.xmp = read_content(file, box)
        elif box.kind[:1] == b"\xa9":
            data = read_content(file, box, _TEXT_BYTES)
            # Length, language and text, perhaps repeated in more languages; or a `data` box as in iTunes.
            text = data[16:] if data[4:8] == b"data" else data[4 : 4 + int.from_bytes(data[:2])]
            _add_text(tags, box.kind.decode("latin-1"), text)


def _parse_loci(data: bytes) -> Position | ExifPositionProblem:
    """Parse a `loci` box (3GPP TS 26.244, 8.10): 16.16 fixed-point numbers, longitude first."""
    fields = BoxFields(data)
    try:
        fields.read(6)
        fields.read_text()
        fields.read(1)
        longitude, latitude, height = (fields.read_number(4, signed=True) / 65536 for _ in range(3))
    except TruncatedError:
        return ExifPositionProblem.MALFORMED
    return make_position(latitude, longitude, altitude_metres=valid_altitude(abs(height), below=height < 0))
