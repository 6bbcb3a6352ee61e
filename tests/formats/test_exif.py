"""Test EXIF values that real writers get wrong or attackers forge. They cause no error and no false position."""

import math
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.TiffImagePlugin import IFDRational

from storage.formats.clocks import WallTime, parse_wall_time
from storage.formats.exif import (
    ExifFacts,
    ExifPositionProblem,
    Position,
    Tags,
    clean_text,
    read_exif,
)

NAN = IFDRational(0, 0)
GANZHOU = {1: "N", 2: (25.0, 49.0, 45.18), 3: "E", 4: (114.0, 56.0, 1.0032)}


def wall(clock: str, offset_minutes: int | None = None) -> WallTime:
    return WallTime(datetime.fromisoformat(clock), offset_minutes)


def position(gps: Tags) -> Position | ExifPositionProblem:
    return read_exif({}, {}, gps).position


def test_a_position_is_read_with_all_its_fields() -> None:
    tags = {
        **GANZHOU,
        5: b"\0",
        6: IFDRational(1125, 10),
        7: (6.0, 7.0, 31.5),
        18: "WGS-84   ",
        29: "2026:11:20",
        31: 8,
    }
    found = position(tags)
    fixed = datetime(2026, 11, 20, 6, 7, 31, 500_000, tzinfo=UTC)
    assert found == Position(25.82921667, 114.93361200, 112.5, 8.0, fixed, "WGS-84")


@pytest.mark.parametrize(
    ("changes", "latitude", "longitude"),
    [
        ({1: "S"}, -25.82921667, 114.933612),
        ({3: "W"}, 25.82921667, -114.933612),
        ({1: "s\0", 3: "w "}, -25.82921667, -114.933612),
        ({1: b"S\0", 3: b"E"}, -25.82921667, 114.933612),
        ({2: (25, Fraction(1491, 30), 0)}, 25.82833333, 114.933612),
        ({2: (25.5, 0.0, 0.0)}, 25.5, 114.933612),
        ({2: (25, 30.5)}, 25.50833333, 114.933612),
        ({2: 25.5}, 25.5, 114.933612),
        ({2: [25, 30, 60.0]}, 25.51666667, 114.933612),
        ({2: (90, 0, 0), 4: (180, 0, 0)}, 90, 180),
        ({2: (0, 0, 0)}, 0, 114.933612),
    ],
)
def test_every_form_of_a_position_is_read(changes: dict[int, Any], latitude: float, longitude: float) -> None:
    found = position({**GANZHOU, **changes})
    assert isinstance(found, Position)
    assert (found.latitude, found.longitude) == (latitude, longitude)


@pytest.mark.parametrize(
    ("gps", "problem"),
    [
        ({}, ExifPositionProblem.ABSENT),
        ({0: b"\2\3\0\0", 7: (1.0, 2.0, 3.0), 29: "2026:11:20"}, ExifPositionProblem.ABSENT),
        ({1: "N", 3: "E"}, ExifPositionProblem.EMPTY),
        ({1: "N", 2: (25.0, 1.0, 1.0), 3: "E"}, ExifPositionProblem.EMPTY),
        ({**GANZHOU, 2: ()}, ExifPositionProblem.EMPTY),
        ({**GANZHOU, 2: ""}, ExifPositionProblem.EMPTY),
        ({2: (NAN, NAN, NAN), 4: (NAN, NAN, NAN), 5: b"\0"}, ExifPositionProblem.EMPTY),
        ({**GANZHOU, 2: (NAN, NAN, NAN)}, ExifPositionProblem.ZERO_DENOMINATOR),
        ({**GANZHOU, 4: (IFDRational(114), IFDRational(5, 0), IFDRational(1))}, ExifPositionProblem.ZERO_DENOMINATOR),
        ({**GANZHOU, 2: (25, 49.7, NAN)}, ExifPositionProblem.ZERO_DENOMINATOR),
        ({2: GANZHOU[2], 4: GANZHOU[4]}, ExifPositionProblem.NO_REFERENCES),
        ({**GANZHOU, 1: ""}, ExifPositionProblem.NO_REFERENCES),
        ({**GANZHOU, 1: "null"}, ExifPositionProblem.NO_REFERENCES),
        ({**GANZHOU, 1: "E", 3: "N"}, ExifPositionProblem.NO_REFERENCES),
        ({**GANZHOU, 3: ("E", "E")}, ExifPositionProblem.NO_REFERENCES),
        ({**GANZHOU, 2: (25, 49)}, ExifPositionProblem.MALFORMED),
        ({**GANZHOU, 2: 25}, ExifPositionProblem.MALFORMED),
        ({**GANZHOU, 2: (25, 49, 45, 18)}, ExifPositionProblem.MALFORMED),
        ({**GANZHOU, 2: "25.829"}, ExifPositionProblem.MALFORMED),
        ({**GANZHOU, 2: b"\x19\x31\x2d"}, ExifPositionProblem.MALFORMED),
        ({**GANZHOU, 2: (25, "49", 45)}, ExifPositionProblem.MALFORMED),
        ({**GANZHOU, 2: (True, True, True)}, ExifPositionProblem.MALFORMED),
        ({**GANZHOU, 2: (100, 0, 0)}, ExifPositionProblem.OUT_OF_RANGE),
        ({**GANZHOU, 4: (180, 0, 0.1)}, ExifPositionProblem.OUT_OF_RANGE),
        ({**GANZHOU, 2: (25, 75, 0)}, ExifPositionProblem.OUT_OF_RANGE),
        ({**GANZHOU, 2: (25, 0, 4000)}, ExifPositionProblem.OUT_OF_RANGE),
        ({**GANZHOU, 2: (-25, 49, 45)}, ExifPositionProblem.OUT_OF_RANGE),
        ({**GANZHOU, 2: (math.inf, 0, 0)}, ExifPositionProblem.OUT_OF_RANGE),
        ({**GANZHOU, 2: (10**400, 0, 0)}, ExifPositionProblem.OUT_OF_RANGE),
        ({**GANZHOU, 2: (0, 0, 0), 4: (0, 0, 0)}, ExifPositionProblem.NULL_ISLAND),
    ],
)
def test_an_invalid_position_is_reported_with_its_reason(gps: dict[int, Any], problem: ExifPositionProblem) -> None:
    assert position(gps) is problem


@pytest.mark.parametrize(
    ("reference", "stored", "metres"),
    [
        (b"\0", 112.5, 112.5),
        (None, 112.5, 112.5),
        (b"\1", 12.5, -12.5),
        (b"\3", 12.5, -12.5),
        (1, 12.5, -12.5),
        ("1", 12.5, -12.5),
        (b"\1", -12.5, -12.5),
        (b"\0", 0, 0),
        (b"\0", NAN, None),
        (b"\0", 4_294_967_295, None),
        (b"\0", "12", None),
        (b"", 12.5, 12.5),
    ],
)
def test_the_altitude_is_read_with_its_reference(reference: object, stored: object, metres: float | None) -> None:
    found = position({**GANZHOU, 5: reference, 6: stored})
    assert isinstance(found, Position)
    assert found.altitude_metres == metres


@pytest.mark.parametrize(
    ("tags", "name", "value"),
    [
        ({31: 0}, "accuracy_metres", None),
        ({31: -3}, "accuracy_metres", None),
        ({31: NAN}, "accuracy_metres", None),
        ({31: IFDRational(49, 10)}, "accuracy_metres", 4.9),
        ({29: "2026:11:20"}, "fixed_at", None),
        ({7: (1, 2, 3)}, "fixed_at", None),
        ({29: "2026:13:20", 7: (1, 2, 3)}, "fixed_at", None),
        ({29: "2026:11:20", 7: (25, 2, 3)}, "fixed_at", None),
        ({29: "2026:11:20", 7: (1, NAN, 3)}, "fixed_at", None),
        ({29: "2026-11-20\0", 7: (1, 2, 3)}, "fixed_at", datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)),
        ({29: "9998:12:31", 7: (23, 59, 60)}, "fixed_at", datetime(9999, 1, 1, tzinfo=UTC)),
        ({18: "TOKYO"}, "datum", "TOKYO"),
        ({18: b"\0\0"}, "datum", None),
    ],
)
def test_accuracy_fix_time_and_datum_are_read_if_valid(tags: dict[int, Any], name: str, value: object) -> None:
    assert getattr(position({**GANZHOU, **tags}), name) == value


@pytest.mark.parametrize(
    ("exif", "taken"),
    [
        ({}, None),
        ({0x9003: "2018:07:25 16:34:23"}, wall("2018-07-25T16:34:23")),
        ({0x9003: b"2018:07:25 16:34:23\0", 0x9011: "+08:00\0"}, wall("2018-07-25T16:34:23", 480)),
        ({0x9003: "2018:07:25 16:34:23", 0x9011: "-03:30"}, wall("2018-07-25T16:34:23", -210)),
        ({0x9003: "2018:07:25 16:34:23", 0x9011: "Z"}, wall("2018-07-25T16:34:23", 0)),
        ({0x9003: "2018:07:25 16:34:23", 0x9011: "+25:00"}, wall("2018-07-25T16:34:23")),
        ({0x9003: "2018:07:25 16:34:23", 0x9011: "   :  "}, wall("2018-07-25T16:34:23")),
        ({0x9003: "2018:07:25 16:34:23", 0x9291: "0532"}, wall("2018-07-25T16:34:23.0532")),
        ({0x9003: "2018:07:25 16:34:23", 0x9291: "98"}, wall("2018-07-25T16:34:23.98")),
        ({0x9003: "2018:07:25 16:34:23", 0x9291: "²"}, wall("2018-07-25T16:34:23")),
        ({0x9003: "2018:07:25 16:34:23", 0x9011: "+8"}, wall("2018-07-25T16:34:23", 480)),
        ({0x9003: "2018:07:25 16:34:23", 0x9011: "UTC+08:00"}, wall("2018-07-25T16:34:23", 480)),
        ({0x9003: "2018:07:25 16:34:23", 0x9011: "+08:00:00"}, wall("2018-07-25T16:34:23", 480)),
        ({0x9003: "2018:07:25 16:34:23", 0x9011: "GMT"}, wall("2018-07-25T16:34:23", 0)),
        ({0x9003: "2018:07:25 16:34:23 +08:00"}, wall("2018-07-25T16:34:23", 480)),
        ({0x9003: "2018:7:5 6:4:3"}, wall("2018-07-05T06:04:03")),
        ({0x9003: "2018: 7: 5  6: 4: 3"}, wall("2018-07-05T06:04:03")),
        ({0x9003: "2018/07/25 16:34:23"}, wall("2018-07-25T16:34:23")),
        ({0x9003: "2018.07.25 16:34:23,5"}, wall("2018-07-25T16:34:23.5")),
        ({0x9003: "20180725 163423"}, wall("2018-07-25T16:34:23")),
        ({0x9003: "20180725T163423+0800"}, wall("2018-07-25T16:34:23", 480)),
        ({0x9003: "2018:07:25 04:34:23 PM"}, wall("2018-07-25T16:34:23")),
        ({0x9003: "2018:07:25 12:34:23 am"}, wall("2018-07-25T00:34:23")),
        ({0x9003: "2018:07:25 下午04:34:23"}, wall("2018-07-25T16:34:23")),
        ({0x9003: "2018:07:25 下午04:34:23".encode("gbk")}, wall("2018-07-25T16:34:23")),
        ({0x9003: "2018:07:25 下午16:34:23"}, wall("2018-07-25T16:34:23")),
        ({0x9003: "2018年7月25日 16:34:23"}, wall("2018-07-25T16:34:23")),
        ({0x9003: "2016:12:31 23:59:60"}, wall("2017-01-01T00:00:00")),
        ({0x9003: "2016:12:31 23:59:61"}, None),
        ({0x9003: "2018:07:25"}, None),
        ({0x9003: "2018:07:2516:34:23"}, None),
        ({0x9003: "2018:13:25 16:34:23"}, None),
        ({0x9003: "2018:07:25 13:34:23 AM"}, wall("2018-07-25T13:34:23")),
        ({0x9004: "2018:07:25 16:34:23"}, None),
        ({0x9003: "0000:00:00 00:00:00"}, None),
        ({0x9003: "    :  :     :  :  "}, None),
        ({0x9003: "2018:07:25 24:00:00"}, None),
        ({0x9003: "0001:01:01 00:00:00"}, None),
        ({0x9003: "٢٠١٨:07:25 16:34:23"}, None),
        ({0x9003: 20180725}, None),
        ({0x9003: ("2018:07:25 16:34:23",)}, None),
    ],
)
def test_the_capture_time_is_read_if_valid(exif: dict[int, Any], taken: WallTime | None) -> None:
    assert read_exif({}, exif, {}).taken == taken


def test_a_wall_time_becomes_an_instant_only_with_its_offset() -> None:
    iso = parse_wall_time("2018-07-25T16:34:23.93+02:00")
    assert iso is not None
    assert iso.instant() == datetime(2018, 7, 25, 14, 34, 23, 930_000, tzinfo=UTC)
    bare = parse_wall_time("2018:07:25 16:34")
    assert bare is not None
    assert bare.instant() is None


@pytest.mark.parametrize(
    ("stored", "kept"),
    [(1, 1), (6, 6), (0, 0), (9, 9), (65536, None), (-1, None), ("6", None), ((6, 6), None), (True, None)],
)
def test_orientation_is_kept_as_stored(stored: object, kept: int | None) -> None:
    assert read_exif({0x0112: stored}, {}, {}).orientation == kept


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("vivo\0\0", "vivo"),
        (b"OPPO\0garbage", "OPPO"),
        ("华为".encode().decode("latin-1"), "华为"),
        ("华为", "华为"),
        ("华为P40".encode("gbk"), "华为P40"),
        ("小米 13 喆".encode("gbk").decode("latin-1"), "小米 13 喆"),
        ("Größe", "Größe"),
        ("Müller", "Müller"),
        ("Übung", "Übung"),
        (b"caf\xe9", "café"),
        ("HTC\r\n\x1b[31m", "HTC[31m"),
        ("   ", None),
        ("", None),
        (None, None),
        (7, None),
        ("x" * 10_000, "x" * 200),
        ("\ud800", None),
    ],
)
def test_text_is_decoded_cleaned_and_shortened(stored: object, text: str | None) -> None:
    assert clean_text(stored) == text


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.fractions()
    | st.binary(max_size=12)
    | st.text("NSEWnsew0123456789:+-. ,\0²北\ud800", max_size=12)
    | st.builds(IFDRational, st.integers(0, 2**32), st.integers(0, 3))
    | st.sampled_from(["N", "S", "E", "W", "n\0", 10**400, "2018:07:25 16:34:23", "+08:00"])
)
values = scalars | st.lists(scalars, max_size=4) | st.lists(scalars, max_size=4).map(tuple)
numbers = [0x0112, 0x010F, 0x9003, 0x9011, 0x9291, *range(32)]
tags = st.dictionaries(st.sampled_from(numbers), values)


@given(tags, tags, tags)
def test_hostile_tags_never_raise_or_yield_an_impossible_position(ifd0: Tags, exif: Tags, gps: Tags) -> None:
    found = read_exif(ifd0, exif, gps)
    assert isinstance(found, ExifFacts)
    if isinstance(found.position, Position):
        assert abs(found.position.latitude) <= 90
        assert abs(found.position.longitude) <= 180
        assert {clean_text(gps[1]) or "", clean_text(gps[3]) or ""} & set("NSEWnsew")
        assert found.position.altitude_metres is None or math.isfinite(found.position.altitude_metres)


@given(
    st.floats(-90, 90).filter(lambda degrees: abs(degrees) > 1e-3),
    st.floats(-180, 180).filter(lambda degrees: abs(degrees) > 1e-3),
)
def test_every_position_is_read_back(latitude: float, longitude: float) -> None:
    def parts(degrees: float) -> tuple[Fraction, ...]:
        minutes, rest = divmod(round(abs(degrees) * 3600 * 10_000), 600_000)
        return Fraction(minutes // 60), Fraction(minutes % 60), Fraction(rest, 10_000)

    found = position(
        {1: "N" if latitude > 0 else "S", 2: parts(latitude), 3: "E" if longitude > 0 else "W", 4: parts(longitude)}
    )
    assert isinstance(found, Position)
    assert math.isclose(found.latitude, latitude, abs_tol=1e-7)
    assert math.isclose(found.longitude, longitude, abs_tol=1e-7)
