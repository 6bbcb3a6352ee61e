"""Read in an XMP packet where and when a picture was taken."""

import re
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from storage.formats.clocks import WallTime, parse_wall_time
from storage.formats.exif import (
    ExifPositionProblem,
    Position,
    clean_text,
    degrees_of,
    make_position,
    valid_accuracy,
    valid_altitude,
)

_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_CAMERA = "{http://ns.google.com/photos/1.0/camera/}"
_ITEM = "{http://ns.google.com/photos/1.0/container/item/}"
_LIMIT_BYTES = 4 * 2**20
_ROOT_END = re.compile(rb"</(?:[\w.-]+:)?(?:xmpmeta|xapmeta)\s*>")

# "48,53.32358N", "48,53,19.4N", "48.88873N", "+48.88873", and "48.88873" with a separate reference.
_FIGURE = r"([0-9]{1,3}(?:\.[0-9]{1,15})?)"
_COORDINATE = re.compile(rf"([+-])?{_FIGURE}(?:,{_FIGURE})?(?:,{_FIGURE})?\s*([NSEWnsew])?", re.ASCII)
_RATIONAL = re.compile(r"([+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?)(?:/([0-9]{1,15}))?", re.ASCII)


@dataclass(frozen=True)
class XmpFacts:
    """The values of an XMP packet. `stated` is the latitude and longitude of a position that the packet marks as void.

    `motion_bytes` is the distance from the end of the file to the beginning of a motion photo's video.
    """

    position: Position | ExifPositionProblem = ExifPositionProblem.ABSENT
    taken: WallTime | None = None
    stated: tuple[float, float] | None = None
    motion_bytes: int | None = None


def read_xmp(packet: bytes) -> XmpFacts:
    """Read an XMP packet (properties of XMP part 2, ISO 16684-1). Never raise.

    A packet that is malformed, has a DTD or is larger than 4 MiB counts as empty.
    """
    rdf = _find_rdf(packet)
    properties = _read_properties(rdf)
    position: Position | ExifPositionProblem = _read_position(properties)
    stated = None
    if isinstance(position, Position) and properties.get(f"{_EXIF}GPSStatus", "").upper() == "V":
        stated = (position.latitude, position.longitude)
        position = ExifPositionProblem.VOID_FIX
    return XmpFacts(
        position=position,
        stated=stated,
        motion_bytes=_read_motion_bytes(rdf, properties),
        taken=parse_wall_time(properties.get(f"{_EXIF}DateTimeOriginal"))
        or parse_wall_time(properties.get(f"{_PHOTOSHOP}DateCreated")),
    )


def _find_rdf(packet: bytes) -> Any:
    """Parse the packet and return its RDF element, or None if the packet can't be read."""
    packet = packet.strip(b"\0 \t\r\n")
    if not packet or len(packet) > _LIMIT_BYTES:
        return None
    root = _parse(packet)
    if root is None and (end := _ROOT_END.search(packet)):
        root = _parse(packet[: end.end()])  # a writer left the tail of a longer packet behind a shorter one
    if root is None:
        return None
    return root if root.tag == f"{_RDF}RDF" else root.find(f"{_RDF}RDF")


def _parse(packet: bytes) -> Any:
    try:
        return defusedxml.ElementTree.fromstring(packet, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None


def _read_properties(rdf: Any) -> dict[str, str]:
    """Return the simple properties of the picture itself.

    Leave out the more deeply nested ones of ingredients and regions.
    """
    properties: dict[str, str] = {}
    for description in [] if rdf is None else rdf.findall(f"{_RDF}Description"):
        simple = [*description.attrib.items(), *((child.tag, child.text) for child in description if not len(child))]
        for name, text in simple:
            cleaned = clean_text(text)
            if cleaned:
                properties.setdefault(name, cleaned)
    return properties


def _read_position(properties: dict[str, str]) -> Position | ExifPositionProblem:
    def of(name: str) -> str | None:
        return properties.get(f"{_EXIF}GPS{name}")

    if of("Latitude") is None and of("Longitude") is None:
        return ExifPositionProblem.ABSENT
    latitude = _parse_coordinate(of("Latitude"), of("LatitudeRef"), "N", "S")
    if isinstance(latitude, ExifPositionProblem):
        return latitude
    longitude = _parse_coordinate(of("Longitude"), of("LongitudeRef"), "E", "W")
    if isinstance(longitude, ExifPositionProblem):
        return longitude
    fixed = parse_wall_time(of("TimeStamp"))
    return make_position(
        latitude,
        longitude,
        altitude_metres=valid_altitude(_parse_rational(of("Altitude")), below=of("AltitudeRef") in {"1", "3"}),
        accuracy_metres=valid_accuracy(_parse_rational(of("HPositioningError"))),
        fixed_at=fixed.instant() if fixed else None,
        datum=of("MapDatum"),
    )


def _read_motion_bytes(rdf: Any, properties: dict[str, str]) -> int | None:
    """Return the distance from the end of the file to a motion photo's video, by Google's camera schema.

    The first two versions of the schema state this distance. Later versions list the parts of the file.
    """
    for name in ("MicroVideoOffset", "MotionPhotoOffset"):
        offset = properties.get(f"{_CAMERA}{name}", "")
        if re.fullmatch(r"[0-9]{1,12}", offset, re.ASCII):
            return int(offset)
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


def _parse_coordinate(
    text: str | None, reference: str | None, positive: str, negative: str
) -> float | ExifPositionProblem:
    """Return signed degrees. A letter, a reference or a sign must state the hemisphere."""
    if text is None:
        return ExifPositionProblem.EMPTY
    match = _COORDINATE.fullmatch(text)
    if not match:
        return ExifPositionProblem.MALFORMED
    sign, degrees, minutes, seconds, letter = match.groups()
    side = (letter or reference or {"+": positive, "-": negative}.get(sign, "")).upper()
    # A whole degree is 111 km, and "-48.9N" contradicts itself.
    if (minutes is None and "." not in degrees) or (sign and (letter or reference)):
        return ExifPositionProblem.MALFORMED
    if side not in {positive, negative}:
        return ExifPositionProblem.NO_REFERENCES
    size = degrees_of(float(degrees), float(minutes or 0), float(seconds or 0))
    return -size if side == negative and not isinstance(size, ExifPositionProblem) else size


def _parse_rational(text: str | None) -> float | None:
    match = _RATIONAL.fullmatch(text or "")
    if not match:
        return None
    denominator = int(match[2] or 1)
    return float(match[1]) / denominator if denominator else None
