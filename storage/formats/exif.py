"""What EXIF says: from tag dictionaries, as Pillow reads them, to values that can be trusted to mean something.

Finding and decoding the tags is left to `pictures`; what XMP says, to `xmp`.
"""

import contextlib
import enum
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from numbers import Real
from typing import Any

Tags = Mapping[int, Any]


class ExifPositionProblem(enum.StrEnum):
    """Why a picture has no position that may be used."""

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
    """Degrees, north and east positive, in WGS-84 unless `datum` (as the file names it) says otherwise; metres; UTC."""

    latitude: float
    longitude: float
    altitude_metres: float | None = None
    accuracy_metres: float | None = None
    fixed_at: datetime | None = None
    datum: str | None = None


@dataclass(frozen=True)
class WallTime:
    """What a camera's clock showed, naive, and how many minutes east of Greenwich it was set, where that is said."""

    at: datetime
    offset_minutes: int | None = None

    def instant(self) -> datetime | None:
        """UTC, where the offset is known."""
        if self.offset_minutes is None:
            return None
        return self.at.replace(tzinfo=timezone(timedelta(minutes=self.offset_minutes))).astimezone(UTC)


@dataclass(frozen=True)
class ExifFacts:
    """`orientation` is the stored figure, even one outside 1 to 8; None where there is none.

    `stated` is latitude and longitude as read, also where they must not be used; unsigned without their references.
    """

    orientation: int | None
    make: str | None
    model: str | None
    software: str | None
    taken: WallTime | None
    position: Position | ExifPositionProblem
    stated: tuple[float, float] | None = None


def read_exif(ifd0: Tags, exif: Tags, gps: Tags) -> ExifFacts:
    """Never raises, whatever the tags hold. Tag numbers: CIPA DC-008 (EXIF 3.0)."""
    orientation = ifd0.get(0x0112)
    fits = isinstance(orientation, int) and not isinstance(orientation, bool) and 0 <= orientation <= 0xFFFF
    return ExifFacts(
        orientation=orientation if fits else None,
        make=clean_text(ifd0.get(0x010F)),
        model=clean_text(ifd0.get(0x0110)),
        software=clean_text(ifd0.get(0x0131)),
        taken=_taken(exif),
        # V: the receiver had lost its satellites.
        position=ExifPositionProblem.VOID_FIX if (clean_text(gps.get(9)) or "").upper() == "V" else _position(gps),
        stated=_stated(gps),
    )


def clean_text(value: object) -> str | None:
    """Printable text up to the first NUL, at most 200 characters; None where nothing is left of it."""
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("latin-1")
    if not isinstance(value, str):
        return None
    with contextlib.suppress(UnicodeError):
        # The standard says ASCII, Pillow reads Latin-1, Chinese makers write UTF-8.
        value = value.encode("latin-1").decode()
    return "".join(character for character in value.partition("\0")[0] if character.isprintable()).strip()[:200] or None


_WALL = re.compile(
    r"([0-9]{4})[:/-]([0-9]{2})[:/-]([0-9]{2})[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-])([0-9]{1,2}):?([0-9]{2})", re.ASCII)


def wall_time(text: str | None) -> WallTime | None:
    """Read `2018:07:25 16:34:23` (EXIF) or `2018-07-25T16:34:23.93+02:00` (XMP); None where it is no time."""
    found = _WALL.fullmatch(text or "")
    if not found:
        return None
    *figures, fraction, offset = found.groups()
    year, month, day, hour, minute, second = (int(figure or 0) for figure in figures)
    try:
        at = datetime(year, month, day, hour, minute, second, _micros(fraction))  # noqa: DTZ001  a clock without zone
    except ValueError:
        return None
    # Years beyond these are unset clocks, and would overflow once an offset is applied.
    return WallTime(at, _offset(offset)) if 1900 <= at.year <= 9998 else None


def placed(latitude: float, longitude: float, **more: Any) -> Position | ExifPositionProblem:
    """The position, unless it is off the globe or at 0, 0, where devices put what they don't know."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return ExifPositionProblem.OUT_OF_RANGE
    if abs(latitude) < 1e-6 and abs(longitude) < 1e-6:
        return ExifPositionProblem.NULL_ISLAND
    return Position(round(latitude, 8), round(longitude, 8), **more)


def altitude(metres: float | None, *, below: bool) -> float | None:
    """Metres above the sea, negative where `below`; None outside of what a person can be at with a phone."""
    if metres is None:
        return None
    metres = -abs(metres) if below else metres
    return metres if -12_000 <= metres <= 100_000 else None


def accuracy(metres: float | None) -> float | None:
    """Metres; None for 0, which devices write when they don't know, and for more than the globe is wide."""
    return metres if metres is not None and 0 < metres <= 20_000_000 else None


def angle(degrees: float, minutes: float, seconds: float) -> float | ExifPositionProblem:
    """Degrees from sexagesimal parts, none of them negative."""
    if min(degrees, minutes, seconds) < 0 or minutes > 60 or seconds > 60 or degrees > 180:
        return ExifPositionProblem.OUT_OF_RANGE
    return degrees + minutes / 60 + seconds / 3600


def _taken(exif: Tags) -> WallTime | None:
    """DateTimeOriginal alone: the other two date tags say when the file was digitised or changed."""
    taken = wall_time(clean_text(exif.get(0x9003)))
    if taken is None:
        return None
    at, offset = taken.at, _offset(clean_text(exif.get(0x9011)))
    fraction = clean_text(exif.get(0x9291)) or ""
    if fraction.isascii() and fraction.isdigit():
        at = at.replace(microsecond=_micros(fraction))
    return WallTime(at, taken.offset_minutes if offset is None else offset)


def _micros(fraction: str | None) -> int:
    """Microseconds of the digits that stand behind a second's point."""
    return int((fraction or "").ljust(6, "0")[:6])


def _offset(text: str | None) -> int | None:
    """Minutes of `+08:00` or `Z`; None for what is no offset of a place on earth."""
    if text == "Z":
        return 0
    found = _OFFSET.fullmatch(text or "")
    if not found:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    minutes = -minutes if found[1] == "-" else minutes
    return minutes if int(found[3]) < 60 and -12 * 60 <= minutes <= 14 * 60 else None


def _position(gps: Tags) -> Position | ExifPositionProblem:
    if not any(tag in gps for tag in (1, 2, 3, 4)):
        return ExifPositionProblem.ABSENT
    latitude, longitude = _angle(gps.get(2)), _angle(gps.get(4))
    north, east = _sign(gps.get(1), "N", "S"), _sign(gps.get(3), "E", "W")
    problems = {part for part in (latitude, longitude) if isinstance(part, ExifPositionProblem)}
    if problems == {ExifPositionProblem.ZERO_DENOMINATOR} and north is None and east is None:
        return ExifPositionProblem.EMPTY  # a GPS block that was laid out and never filled
    if isinstance(latitude, ExifPositionProblem):
        return latitude
    if isinstance(longitude, ExifPositionProblem):
        return longitude
    if north is None or east is None:
        return ExifPositionProblem.NO_REFERENCES
    reference = gps.get(5)
    if isinstance(reference, bytes | bytearray) and len(reference) == 1:
        reference = reference[0]
    return placed(
        latitude * north,
        longitude * east,
        # EXIF 3.0: 1 is below sea level, 3 below the ellipsoid.
        altitude_metres=altitude(_finite(gps.get(6)), below=reference in (1, 3, "1", "3", 0x31, 0x33)),
        accuracy_metres=accuracy(_finite(gps.get(31))),
        fixed_at=_fixed_at(gps.get(29), gps.get(7)),
        datum=clean_text(gps.get(18)),
    )


def _stated(gps: Tags) -> tuple[float, float] | None:
    latitude, longitude = _angle(gps.get(2)), _angle(gps.get(4))
    if isinstance(latitude, ExifPositionProblem) or isinstance(longitude, ExifPositionProblem):
        return None
    return latitude * (_sign(gps.get(1), "N", "S") or 1), longitude * (_sign(gps.get(3), "E", "W") or 1)


def _sign(reference: object, positive: str, negative: str) -> int | None:
    return {positive: 1, negative: -1}.get((clean_text(reference) or "").upper())


def _angle(value: object) -> float | ExifPositionProblem:
    """Degrees of a GPSLatitude or GPSLongitude.

    Zero over zero in any part is no position, as ExifTool and exiv2 have it: what a writer left out is not known.
    """
    parts = value if isinstance(value, tuple | list) else (value,)
    if not parts or parts[0] in (None, "", b""):
        return ExifPositionProblem.EMPTY
    numbers = [_number(part) for part in parts]
    figures = [number for number in numbers if number is not None]
    if len(figures) < len(numbers):
        return ExifPositionProblem.MALFORMED
    if any(math.isnan(figure) for figure in figures):
        return ExifPositionProblem.ZERO_DENOMINATOR
    if any(math.isinf(figure) for figure in figures):
        return ExifPositionProblem.OUT_OF_RANGE
    # Three figures by the standard; fewer are whole only where the last one carries a fraction.
    if len(figures) > 3 or (len(figures) < 3 and figures[-1].is_integer()):
        return ExifPositionProblem.MALFORMED
    degrees, minutes, seconds = (*figures, 0.0, 0.0)[:3]
    return angle(degrees, minutes, seconds)


def _number(value: object) -> float | None:
    """NaN for a zero denominator, infinity for what no float holds, None for what is no number."""
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
    """UTC of GPSDateStamp and GPSTimeStamp (hours, minutes, seconds)."""
    day = wall_time(f"{clean_text(date)} 00:00:00")
    parts = [_finite(part) for part in time] if isinstance(time, tuple | list) else []
    if day is None or len(parts) != 3 or None in parts:
        return None
    hours, minutes, seconds = (part or 0.0 for part in parts)
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds <= 60):
        return None
    return day.at.replace(tzinfo=UTC) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
