"""Convert EXIF tag dictionaries, as Pillow reads them, to checked values."""

import contextlib
import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from numbers import Real
from typing import Any

from storage.formats.clocks import WallTime, microseconds, parse_offset, parse_wall_time
from storage.formats.text_encodings import decode_text

Tags = Mapping[int, Any]


class ExifPositionProblem(enum.StrEnum):
    """Why a picture has no usable position."""

    ABSENT = "absent"
    EMPTY = "empty"
    MALFORMED = "malformed"
    NO_REFERENCES = "no_references"
    ZERO_DENOMINATOR = "zero_denominator"
    OUT_OF_RANGE = "out_of_range"
    NULL_ISLAND = "null_island"
    VOID_FIX = "void_fix"


@dataclass(frozen=True)
class Position:
    """A position. Latitude and longitude are in degrees, positive to the north and east.

    `fixed_at` is the time in UTC when the GPS receiver determined the position.
    `datum` is the datum's name as the file states it. None means WGS-84.
    """

    latitude: float
    longitude: float
    altitude_metres: float | None = None
    accuracy_metres: float | None = None
    fixed_at: datetime | None = None
    datum: str | None = None


@dataclass(frozen=True)
class ExifFacts:
    """The checked values of a picture's EXIF tags.

    `orientation` is the stored number, even outside 1 to 8. `stated` is the latitude and longitude in the tags, even if
    they must not be used. They have no sign if the tags don't state the hemisphere.
    """

    orientation: int | None
    make: str | None
    model: str | None
    software: str | None
    taken: WallTime | None
    position: Position | ExifPositionProblem
    stated: tuple[float, float] | None = None


def read_exif(ifd0: Tags, exif: Tags, gps: Tags) -> ExifFacts:
    """Convert the tags. Never raise an error, whatever the tags contain. Tag numbers: CIPA DC-008 (EXIF 3.0)."""
    orientation = ifd0.get(0x0112)
    is_valid = isinstance(orientation, int) and not isinstance(orientation, bool) and 0 <= orientation <= 0xFFFF
    return ExifFacts(
        orientation=orientation if is_valid else None,
        make=clean_text(ifd0.get(0x010F)),
        model=clean_text(ifd0.get(0x0110)),
        software=clean_text(ifd0.get(0x0131)),
        taken=_read_taken(exif),
        # V (void): the receiver had lost its satellites.
        position=ExifPositionProblem.VOID_FIX if (clean_text(gps.get(9)) or "").upper() == "V" else _read_position(gps),
        stated=_read_stated(gps),
    )


def clean_text(value: object) -> str | None:
    """Return the printable text up to the first NUL, at most 200 characters. Return None if no text is left."""
    raw = bytes(value) if isinstance(value, bytes | bytearray) else None
    if isinstance(value, str):
        with contextlib.suppress(UnicodeError):
            raw = value.encode("latin-1")  # Pillow reads Latin-1
    text = decode_text(raw.partition(b"\0")[0]) if raw is not None else value
    if not isinstance(text, str):
        return None
    return "".join(character for character in text.partition("\0")[0] if character.isprintable()).strip()[:200] or None


def make_position(latitude: float, longitude: float, **more: Any) -> Position | ExifPositionProblem:
    """Return a position, or the problem if the position is out of range or at 0, 0.

    Devices write 0, 0 if they don't know the position.
    """
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return ExifPositionProblem.OUT_OF_RANGE
    if abs(latitude) < 1e-6 and abs(longitude) < 1e-6:
        return ExifPositionProblem.NULL_ISLAND
    return Position(round(latitude, 8), round(longitude, 8), **more)


def valid_altitude(metres: float | None, *, below: bool) -> float | None:
    """Return metres above sea level, negative if `below`. Return None if no phone can be so high or low."""
    if metres is None:
        return None
    metres = -abs(metres) if below else metres
    return metres if -12_000 <= metres <= 100_000 else None


def valid_accuracy(metres: float | None) -> float | None:
    """Return an accuracy in metres. Return None for 0, which devices write for an unknown accuracy.

    Also return None for more than half of the earth's circumference.
    """
    return metres if metres is not None and 0 < metres <= 20_000_000 else None


def degrees_of(degrees: float, minutes: float, seconds: float) -> float | ExifPositionProblem:
    """Convert degrees, minutes and seconds to degrees. Return OUT_OF_RANGE if a part is negative or too large."""
    if min(degrees, minutes, seconds) < 0 or minutes > 60 or seconds > 60 or degrees > 180:
        return ExifPositionProblem.OUT_OF_RANGE
    return degrees + minutes / 60 + seconds / 3600


def _read_taken(exif: Tags) -> WallTime | None:
    """Read DateTimeOriginal. Ignore the other two date tags, which say when the file was digitised or changed."""
    taken = parse_wall_time(clean_text(exif.get(0x9003)))
    if taken is None:
        return None
    at, offset = taken.at, parse_offset(clean_text(exif.get(0x9011)))
    fraction = clean_text(exif.get(0x9291)) or ""
    if fraction.isascii() and fraction.isdigit():
        at = at.replace(microsecond=microseconds(fraction))
    return WallTime(at, taken.offset_minutes if offset is None else offset)


def _read_position(gps: Tags) -> Position | ExifPositionProblem:
    if not any(tag in gps for tag in (1, 2, 3, 4)):
        return ExifPositionProblem.ABSENT
    latitude, longitude = _read_angle(gps.get(2)), _read_angle(gps.get(4))
    north, east = _sign(gps.get(1), "N", "S"), _sign(gps.get(3), "E", "W")
    problems = {part for part in (latitude, longitude) if isinstance(part, ExifPositionProblem)}
    if problems == {ExifPositionProblem.ZERO_DENOMINATOR} and north is None and east is None:
        return ExifPositionProblem.EMPTY  # the GPS block was created but never filled in
    if isinstance(latitude, ExifPositionProblem):
        return latitude
    if isinstance(longitude, ExifPositionProblem):
        return longitude
    if north is None or east is None:
        return ExifPositionProblem.NO_REFERENCES
    reference = gps.get(5)
    if isinstance(reference, bytes | bytearray) and len(reference) == 1:
        reference = reference[0]
    return make_position(
        latitude * north,
        longitude * east,
        # EXIF 3.0: 1 is below sea level, 3 below the ellipsoid.
        altitude_metres=valid_altitude(_finite(gps.get(6)), below=reference in (1, 3, "1", "3", 0x31, 0x33)),
        accuracy_metres=valid_accuracy(_finite(gps.get(31))),
        fixed_at=_fixed_at(gps.get(29), gps.get(7)),
        datum=clean_text(gps.get(18)),
    )


def _read_stated(gps: Tags) -> tuple[float, float] | None:
    latitude, longitude = _read_angle(gps.get(2)), _read_angle(gps.get(4))
    if isinstance(latitude, ExifPositionProblem) or isinstance(longitude, ExifPositionProblem):
        return None
    return latitude * (_sign(gps.get(1), "N", "S") or 1), longitude * (_sign(gps.get(3), "E", "W") or 1)


def _sign(reference: object, positive: str, negative: str) -> int | None:
    return {positive: 1, negative: -1}.get((clean_text(reference) or "").upper())


def _read_angle(value: object) -> float | ExifPositionProblem:
    """Convert a GPSLatitude or GPSLongitude to degrees.

    0/0 in any part means no position, because the writer left that part out. ExifTool and exiv2 read it in the same
    way.
    """
    parts = value if isinstance(value, tuple | list) else (value,)
    if not parts or parts[0] in (None, "", b""):
        return ExifPositionProblem.EMPTY
    numbers = [_number(part) for part in parts]
    values = [number for number in numbers if number is not None]
    if len(values) < len(numbers):
        return ExifPositionProblem.MALFORMED
    if any(math.isnan(number) for number in values):
        return ExifPositionProblem.ZERO_DENOMINATOR
    if any(math.isinf(number) for number in values):
        return ExifPositionProblem.OUT_OF_RANGE
    # The standard requires three numbers. Fewer are complete only if the last one has a fraction.
    if len(values) > 3 or (len(values) < 3 and values[-1].is_integer()):
        return ExifPositionProblem.MALFORMED
    degrees, minutes, seconds = (*values, 0.0, 0.0)[:3]
    return degrees_of(degrees, minutes, seconds)


def _number(value: object) -> float | None:
    """Convert to a float: NaN for a zero denominator, infinity for an overflow, None if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except ZeroDivisionError:
        return math.nan
    except OverflowError:
        return math.inf


def _finite(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and math.isfinite(number) else None


def _fixed_at(date: object, time: object) -> datetime | None:
    """Combine GPSDateStamp and GPSTimeStamp (hours, minutes, seconds) to a time in UTC."""
    day = parse_wall_time(f"{clean_text(date)} 00:00:00")
    parts = [_finite(part) for part in time] if isinstance(time, tuple | list) else []
    if day is None or len(parts) != 3 or None in parts:
        return None
    hours, minutes, seconds = (part or 0.0 for part in parts)
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds <= 60):
        return None
    return day.at.replace(tzinfo=UTC) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
