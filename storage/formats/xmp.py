"""What an XMP packet says of where and when a picture was taken.

Finding the packet is left to `containers`; which source wins, to `pictures`.
"""

import re
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from storage.formats.exif import (
    ExifPositionProblem,
    Position,
    WallTime,
    accuracy,
    altitude,
    angle,
    clean_text,
    placed,
    wall_time,
)

_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_CAMERA = "{http://ns.google.com/photos/1.0/camera/}"
_ITEM = "{http://ns.google.com/photos/1.0/container/item/}"
_LIMIT_BYTES = 4 * 2**20

# "48,53.32358N", "48,53,19.4N", "48.88873N", "+48.88873", and "48.88873" beside a reference of its own.
_FIGURE = r"([0-9]{1,3}(?:\.[0-9]{1,15})?)"
_COORDINATE = re.compile(rf"([+-])?{_FIGURE}(?:,{_FIGURE})?(?:,{_FIGURE})?\s*([NSEWnsew])?", re.ASCII)
_RATIONAL = re.compile(r"([+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?)(?:/([0-9]{1,15}))?", re.ASCII)


@dataclass(frozen=True)
class XmpFacts:
    """What the packet holds; `position` is `ABSENT` where it names none.

    `stated` is the position where it is void; `motion_bytes` before the file's end a motion photo's video begins.
    """

    position: Position | ExifPositionProblem = ExifPositionProblem.ABSENT
    taken: WallTime | None = None
    stated: tuple[float, float] | None = None
    motion_bytes: int | None = None


def read_xmp(packet: bytes) -> XmpFacts:
    """Never raises; garbage, entities, and more than 4 MiB say nothing. Properties: XMP part 2 (ISO 16684-1)."""
    rdf = _rdf(packet)
    properties = _properties(rdf)
    position: Position | ExifPositionProblem = _position(properties)
    stated = None
    if isinstance(position, Position) and properties.get(f"{_EXIF}GPSStatus", "").upper() == "V":
        stated = (position.latitude, position.longitude)
        position = ExifPositionProblem.VOID_FIX
    return XmpFacts(
        position=position,
        stated=stated,
        motion_bytes=_motion_bytes(rdf, properties),
        taken=wall_time(properties.get(f"{_EXIF}DateTimeOriginal"))
        or wall_time(properties.get(f"{_PHOTOSHOP}DateCreated")),
    )


def _rdf(packet: bytes) -> Any:
    """The element that holds all; None where there is none that can be read."""
    packet = packet.strip(b"\0 \t\r\n")
    if not packet or len(packet) > _LIMIT_BYTES:
        return None
    try:
        root: Any = defusedxml.ElementTree.fromstring(packet, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    return root if root.tag == f"{_RDF}RDF" else root.find(f"{_RDF}RDF")


def _properties(rdf: Any) -> dict[str, str]:
    """Simple properties of the picture itself: those of its ingredients and regions lie deeper, and are not its own."""
    found: dict[str, str] = {}
    for description in [] if rdf is None else rdf.findall(f"{_RDF}Description"):
        simple = [*description.attrib.items(), *((child.tag, child.text) for child in description if not len(child))]
        for name, text in simple:
            cleaned = clean_text(text)
            if cleaned:
                found.setdefault(name, cleaned)
    return found


def _position(properties: dict[str, str]) -> Position | ExifPositionProblem:
    def of(name: str) -> str | None:
        return properties.get(f"{_EXIF}GPS{name}")

    if of("Latitude") is None and of("Longitude") is None:
        return ExifPositionProblem.ABSENT
    latitude = _coordinate(of("Latitude"), of("LatitudeRef"), "N", "S")
    if isinstance(latitude, ExifPositionProblem):
        return latitude
    longitude = _coordinate(of("Longitude"), of("LongitudeRef"), "E", "W")
    if isinstance(longitude, ExifPositionProblem):
        return longitude
    fixed = wall_time(of("TimeStamp"))
    return placed(
        latitude,
        longitude,
        altitude_metres=altitude(_rational(of("Altitude")), below=of("AltitudeRef") in {"1", "3"}),
        accuracy_metres=accuracy(_rational(of("HPositioningError"))),
        fixed_at=fixed.instant() if fixed else None,
        datum=of("MapDatum"),
    )


def _motion_bytes(rdf: Any, properties: dict[str, str]) -> int | None:
    """By Google's camera schema: an offset in its first two versions, then a directory of what lies in the file."""
    for name in ("MicroVideoOffset", "MotionPhotoOffset"):
        figure = properties.get(f"{_CAMERA}{name}", "")
        if re.fullmatch(r"[0-9]{1,12}", figure, re.ASCII):
            return int(figure)
    behind: int | None = None
    for item in () if rdf is None else rdf.iter():
        if item.get(f"{_ITEM}Mime") is None:
            continue
        if item.get(f"{_ITEM}Semantic") == "MotionPhoto":
            behind = 0
        length = item.get(f"{_ITEM}Length", "0")
        if behind is not None and re.fullmatch(r"[0-9]{1,12}", length, re.ASCII):
            behind += int(length)
    return behind


def _coordinate(text: str | None, reference: str | None, positive: str, negative: str) -> float | ExifPositionProblem:
    """Signed degrees; the hemisphere must be stated by letter, reference or sign."""
    if text is None:
        return ExifPositionProblem.EMPTY
    found = _COORDINATE.fullmatch(text)
    if not found:
        return ExifPositionProblem.MALFORMED
    sign, degrees, minutes, seconds, letter = found.groups()
    side = (letter or reference or {"+": positive, "-": negative}.get(sign, "")).upper()
    # A whole degree is 111 km, and "-48.9N" says two things.
    if (minutes is None and "." not in degrees) or (sign and (letter or reference)):
        return ExifPositionProblem.MALFORMED
    if side not in {positive, negative}:
        return ExifPositionProblem.NO_REFERENCES
    size = angle(float(degrees), float(minutes or 0), float(seconds or 0))
    return -size if side == negative and not isinstance(size, ExifPositionProblem) else size


def _rational(text: str | None) -> float | None:
    found = _RATIONAL.fullmatch(text or "")
    if not found:
        return None
    denominator = int(found[2] or 1)
    return float(found[1]) / denominator if denominator else None
