"""Test XMP packets: positions and dates in every form that writers use, and malformed packets."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.formats.clocks import WallTime
from storage.formats.exif import ExifPositionProblem, Position
from storage.formats.xmp import XmpFacts, read_xmp

NOTHING = XmpFacts()


def wall(clock: str, offset_minutes: int | None = None) -> WallTime:
    return WallTime(datetime.fromisoformat(clock), offset_minutes)


def packet(attributes: str = "", elements: str = "", beside: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/">
<rdf:Description rdf:about="" {attributes}>{elements}</rdf:Description>{beside}
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def at(latitude: str, longitude: str, more: str = "") -> Position | ExifPositionProblem:
    return read_xmp(packet(f'exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}" {more}')).position


def test_attributes_and_elements_read_the_same() -> None:
    properties = {
        "GPSLatitude": "48,53.323582N",
        "GPSLongitude": "21,2.595070E",
        "GPSAltitude": "324145/1000",
        "GPSAltitudeRef": "0",
        "GPSHPositioningError": "5",
        "GPSTimeStamp": "2011-03-12T14:36:10Z",
        "DateTimeOriginal": "2011-03-12T15:36:11.25+01:00",
    }
    attributes = " ".join(f'exif:{name}="{value}"' for name, value in properties.items())
    elements = "".join(f"<exif:{name}>{value}</exif:{name}>" for name, value in properties.items())
    fixed = datetime(2011, 3, 12, 14, 36, 10, tzinfo=UTC)
    expected = XmpFacts(
        Position(48.88872637, 21.04325117, 324.145, 5.0, fixed),
        wall("2011-03-12T15:36:11.25", 60),
    )
    assert read_xmp(packet(attributes)) == expected
    assert read_xmp(packet(elements=elements)) == expected
    bare = packet(attributes).split(b">", 2)[2].split(b"</x:xmpmeta>")[0]
    assert bare.startswith(b"<rdf:RDF")
    assert read_xmp(bare + b"\0\0") == expected


@pytest.mark.parametrize(
    ("latitude", "longitude", "degrees"),
    [
        ("25,49,45.18N", "114,56,1.0032E", (25.82921667, 114.933612)),
        ("25,49.753S", "114,56.01672w", (-25.82921667, -114.933612)),
        ("25.829217N", "114.933612E", (25.829217, 114.933612)),
        ("-25.829217", "+114.933612", (-25.829217, 114.933612)),
        ("25,0N", "114,0.0E", (25, 114)),
    ],
)
def test_every_coordinate_format_is_read(latitude: str, longitude: str, degrees: tuple[float, float]) -> None:
    assert at(latitude, longitude) == Position(*degrees)


def test_separate_reference_properties_are_applied() -> None:
    more = 'exif:GPSLatitudeRef="S" exif:GPSLongitudeRef="E" exif:GPSAltitude="12.5" exif:GPSAltitudeRef="1"'
    assert at("25.5", "114.5", more) == Position(-25.5, 114.5, -12.5)


@pytest.mark.parametrize(
    ("latitude", "longitude", "problem"),
    [
        ("25.829217", "114.933612", ExifPositionProblem.NO_REFERENCES),
        ("25.8E", "114.9N", ExifPositionProblem.NO_REFERENCES),
        ("25N", "114E", ExifPositionProblem.MALFORMED),
        ("-25.8N", "114.9E", ExifPositionProblem.MALFORMED),
        ("25/1,49/1,45/1N", "114.9E", ExifPositionProblem.MALFORMED),
        ("nanN", "114.9E", ExifPositionProblem.MALFORMED),
        ("1e1N", "114.9E", ExifPositionProblem.MALFORMED),
        ("٢٥.٨N", "114.9E", ExifPositionProblem.MALFORMED),
        ("95.5N", "114.9E", ExifPositionProblem.OUT_OF_RANGE),
        ("25.5N", "180,0.1E", ExifPositionProblem.OUT_OF_RANGE),
        ("25,75.0N", "114.9E", ExifPositionProblem.OUT_OF_RANGE),
        ("0,0.0N", "0,0.0E", ExifPositionProblem.NULL_ISLAND),
    ],
)
def test_an_invalid_position_is_reported_with_its_reason(
    latitude: str, longitude: str, problem: ExifPositionProblem
) -> None:
    assert at(latitude, longitude) is problem


def test_a_position_needs_latitude_and_longitude() -> None:
    assert read_xmp(packet('exif:GPSLatitude="25.8N"')).position is ExifPositionProblem.EMPTY
    assert read_xmp(packet('exif:GPSLongitude="114.9E"')).position is ExifPositionProblem.EMPTY


def test_a_position_survives_malformed_altitude_accuracy_and_time() -> None:
    more = 'exif:GPSAltitude="7/0" exif:GPSHPositioningError="x" exif:GPSTimeStamp="12:00"'
    assert at("25.5N", "114.5E", more) == Position(25.5, 114.5)


def test_exif_dates_come_before_photoshop_dates() -> None:
    assert read_xmp(packet('photoshop:DateCreated="2011-03-12T15:36"')).taken == wall("2011-03-12T15:36:00")
    both = 'exif:DateTimeOriginal="2011-03-12T15:36:11Z" photoshop:DateCreated="2001-01-01T00:00:00"'
    assert read_xmp(packet(both)).taken == wall("2011-03-12T15:36:11", 0)
    assert read_xmp(packet('exif:DateTimeOriginal="2011-03-12"')).taken is None


def test_the_position_of_an_ingredient_is_ignored() -> None:
    deep = (
        '<xmpMM:Pantry><rdf:Bag><rdf:li><rdf:Description exif:GPSLatitude="48.5N" exif:GPSLongitude="2.5E">'
        "<exif:GPSAltitude>1</exif:GPSAltitude></rdf:Description></rdf:li></rdf:Bag></xmpMM:Pantry>"
    )
    assert read_xmp(packet(elements=deep)) == NOTHING
    beside = '<rdf:Description exif:GPSLatitude="25.5N" exif:GPSLongitude="114.5E"/>'
    assert read_xmp(packet(elements=deep, beside=beside)).position == Position(25.5, 114.5)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\0\0\0",
        b"<",
        b"<x:xmpmeta>",
        packet()[:200],
        packet().replace(b"rdf:RDF", b"rdf:RDG"),
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b"\xff\xfe" + packet(),
        b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>" * 100_000,
        packet() + b" " * 5 * 2**20 + b"<",
    ],
    ids=range(12),
)
def test_a_malformed_packet_yields_no_facts(garbage: bytes) -> None:
    assert read_xmp(garbage) == NOTHING


@pytest.mark.parametrize(
    "tail",
    [
        b'li>\n</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>',
        b'<?xpacket end="w"?>',
        b"\0\0 more",
        b"\xff\xff",
    ],
    ids=range(4),
)
def test_the_tail_of_a_longer_packet_is_ignored(tail: bytes) -> None:
    whole = packet('exif:GPSLatitude="25,51.3N" exif:GPSLongitude="114,42.68333E"')
    assert read_xmp(whole + tail) == read_xmp(whole)
    assert read_xmp(whole).position == Position(25.855, 114.71138883)


coordinates = st.text("0123456789.,+-/NSEW\u00b2 ", max_size=20)


@given(st.binary(max_size=200), coordinates, coordinates)
def test_reading_xmp_never_raises(raw: bytes, latitude: str, longitude: str) -> None:
    read_xmp(raw)
    read_xmp(packet() + raw)
    at(latitude, longitude)
