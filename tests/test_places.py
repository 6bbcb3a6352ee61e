"""Places: datums agree with published pairs, conversion leads back, and false positions are kept but never used."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import datums
from schema.places import Datum, GeoPointInput, NearInput, PositionProblem, checked_near, locate, metres_between
from schema.refusals import Refusal

METRES_PER_DEGREE = 111_320
IN_CHINA = st.tuples(st.floats(18.0, 53.5), st.floats(73.6, 134.8))


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    north = (one[0] - other[0]) * METRES_PER_DEGREE
    east = (one[1] - other[1]) * METRES_PER_DEGREE * math.cos(math.radians(one[0]))
    return math.hypot(north, east)


# Pairs published in the test suites of eviltransform (MIT) and coordtransform (MIT).
PAIRS = [
    ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
    ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
    ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
]


@pytest.mark.parametrize(("wgs84", "gcj02"), PAIRS)
def test_published_pairs_of_gcj02(wgs84: tuple[float, float], gcj02: tuple[float, float]) -> None:
    assert metres(datums.wgs84_to_gcj02(*wgs84), gcj02) < 1
    assert metres(datums.gcj02_to_wgs84(*gcj02), wgs84) < 1


def test_a_published_pair_of_bd09() -> None:
    assert metres(datums.gcj02_to_bd09(39.915, 116.404), (39.92133699351022, 116.41036949371029)) < 1
    assert metres(datums.bd09_to_gcj02(39.915, 116.404), (39.90865673957631, 116.39762729119315)) < 1


@given(IN_CHINA)
def test_conversion_leads_back(place: tuple[float, float]) -> None:
    assert metres(datums.gcj02_to_wgs84(*datums.wgs84_to_gcj02(*place)), place) < 0.01
    assert metres(datums.bd09_to_gcj02(*datums.gcj02_to_bd09(*place)), place) < 0.01
    shift = metres(datums.wgs84_to_gcj02(*place), place)
    assert 20 < shift < 1500


@given(st.tuples(st.floats(-90, 90), st.floats(-180, 60)))
def test_outside_china_gcj02_is_wgs84(place: tuple[float, float]) -> None:
    assert datums.wgs84_to_gcj02(*place) == datums.gcj02_to_wgs84(*place) == place


@pytest.mark.parametrize("datum", list(Datum))
def test_a_position_is_kept_as_sent_beside_wgs84(datum: Datum) -> None:
    stored = locate(GeoPointInput(latitude=25.8452, longitude=114.9387, datum=datum))
    assert (stored.original_latitude, stored.original_longitude, stored.original_datum) == (25.8452, 114.9387, datum)
    assert stored.latitude is not None
    assert stored.longitude is not None
    moved = metres((stored.latitude, stored.longitude), (25.8452, 114.9387))
    assert moved == 0 if datum is Datum.WGS84 else 300 < moved < 2000


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True, allow_infinity=True))
def test_no_figures_lead_to_a_false_position(latitude: float, longitude: float) -> None:
    sent = GeoPointInput(latitude=latitude, longitude=longitude)
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        with pytest.raises(Refusal):
            locate(sent)
        return
    stored = locate(sent)
    usable = abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude, longitude) != (0, 0)
    assert (stored.latitude is not None) is (stored.longitude is not None) is (stored.problem is None) is usable
    assert (stored.original_latitude, stored.original_longitude) == (latitude, longitude)


def test_null_island_is_no_place() -> None:
    assert locate(GeoPointInput(latitude=0.0, longitude=-0.0)).problem is PositionProblem.NULL_ISLAND


# Great circles by geographiclib (MIT) on the WGS-84 ellipsoid, metres.
@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((25.8452, 114.9387), (25.8452, 114.9397), 100.2),
        ((25.8452, 114.9387), (39.9087, 116.3975), 1_565_602.4),
        ((18.2, 109.5), (53.5, 122.3), 4_070_379.8),
        ((0, 179.9), (0, -179.9), 22_263.9),
        ((90, 0), (-90, 77), 20_003_931.5),
        ((0, 0), (0, 180), 20_003_931.5),
        ((25.8452, 114.9387), (25.8452, 114.9387), 0),
    ],
)
def test_distance_on_the_ground(one: tuple[float, float], other: tuple[float, float], expected: float) -> None:
    assert metres_between(one, other) == pytest.approx(expected, rel=0.007, abs=0.001)
    assert metres_between(other, one) == pytest.approx(metres_between(one, other))


@pytest.mark.parametrize("circle", [(91, 0, 1), (0, 181, 1), (0, 0, 0), (0, 0, -1), (0, 0, 200_001), (math.nan, 0, 1)])
def test_a_circle_lies_on_the_globe(circle: tuple[float, float, float]) -> None:
    with pytest.raises(Refusal):
        checked_near(NearInput(latitude=circle[0], longitude=circle[1], radius_metres=circle[2]))
