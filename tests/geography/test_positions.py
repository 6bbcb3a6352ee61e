"""Test positions: datums match published pairs, conversion is reversible, and false positions are kept but not used."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.core.refusals import Refusal
from schema.geography import china_outline, datums
from schema.geography.datums import Place
from schema.geography.distances import metres_between
from schema.geography.positions import (
    Datum,
    GeoPointInput,
    NearInput,
    PositionProblem,
    locate,
    validate_near,
)

# WGS-84 and GCJ-02, published in the test suites of eviltransform (MIT), coordtransform (MIT) and geotool (MIT).
PAIRS = [
    ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
    ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
    ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
    ((39.915, 116.404), (39.91640428150164, 116.41024449916938)),
    ((30.6107779, 121.0917077), (30.608604331756705, 121.09626935575027)),
]
# WGS-84, GCJ-02 and BD-09 of city halls, from the fixtures of gcoord (MIT), which took them from the map services.
CITIES = {
    "Zhumadian": ((33.0133556, 114.0164322), (33.0115324, 114.022306), (33.0176697, 114.0287781)),
    "Nagqu": ((31.4784436, 92.0499619), (31.4762063, 92.0512438), (31.4824421, 92.0576832)),
    "Shenyang": ((41.8032629, 123.4253306), (41.8057023, 123.4314787), (41.8114013, 123.438095)),
    "Jiuquan": ((39.7319946, 98.4937175), (39.7328234, 98.4943595), (39.7388949, 98.5008441)),
    "Qinzhou": ((21.9828281, 108.6503952), (21.9799392, 108.6541485), (21.9856319, 108.6607283)),
    "Xilinhot": ((43.9312805, 116.0414035), (43.9334573, 116.0482308), (43.9397782, 116.0546232)),
    "Quanzhou": ((24.8770487, 118.6711365), (24.8741363, 118.6756787), (24.8804872, 118.6821251)),
    "Xichang": ((27.8850446, 102.2658401), (27.8816151, 102.2673386), (27.8876621, 102.2738428)),
    "Meizhou": ((24.2912377, 116.1174053), (24.2886182, 116.1222426), (24.2944828, 116.1287823)),
    "Zhengzhou": ((34.7478004, 113.6192856), (34.7466173, 113.6253334), (34.7528605, 113.6317519)),
    "Shantou": ((23.3567569, 116.6775114), (23.3540964, 116.6819735), (23.3598884, 116.6885014)),
    "Tai'an": ((36.2000071, 117.0815563), (36.2002574, 117.0876215), (36.2062086, 117.0941183)),
    "Chuxiong": ((25.048566, 101.5265949), (25.0455363, 101.5280737), (25.0518094, 101.5344863)),
}
BORDER_TOWNS = {
    "Mohe": (53.48, 122.36),
    "Fuyuan": (48.36, 134.30),
    "Heihe": (50.245, 127.50),
    "Dandong": (40.129, 124.39),
    "Hunchun": (42.86, 130.37),
    "Manzhouli": (49.60, 117.38),
    "Erenhot": (43.65, 111.98),
    "Khorgos": (44.21, 80.41),
    "Tashkurgan": (37.77, 75.22),
    "Zhangmu": (27.99, 85.98),
    "Ruili": (24.01, 97.85),
    "Hekou": (22.53, 103.94),
    "Dongxing": (21.54, 107.97),
    "Sanya": (18.25, 109.50),
    "Yongxing": (16.83, 112.34),
    "Shengsi": (30.72, 122.45),
    "Hong Kong": (22.28, 114.16),
    "Macau": (22.20, 113.54),
}
ABROAD = {
    "Vladivostok": (43.1155, 131.8855),
    "Seoul": (37.5665, 126.978),
    "Pyongyang": (39.0392, 125.7625),
    "Ulaanbaatar": (47.8864, 106.9057),
    "Hanoi": (21.0285, 105.8542),
    "Yangon": (16.8409, 96.1735),
    "Kathmandu": (27.7172, 85.324),
    "Thimphu": (27.4728, 89.639),
    "Delhi": (28.6139, 77.209),
    "Islamabad": (33.69, 73.05),
    "Almaty": (43.222, 76.8512),
    "Bishkek": (42.87, 74.59),
    "Tokyo": (35.6762, 139.6503),
    "Manila": (14.6, 120.98),
    "Taipei": (25.033, 121.5654),  # AMap and Google show Taiwan in WGS-84
    "Kaohsiung": (22.6273, 120.3014),
}
TO = {Datum.GCJ02: datums.wgs84_to_gcj02, Datum.BD09: datums.wgs84_to_bd09}
BACK = {Datum.GCJ02: datums.gcj02_to_wgs84, Datum.BD09: datums.bd09_to_wgs84}
SHIFTED = pytest.mark.parametrize("datum", [Datum.GCJ02, Datum.BD09])
EDGES = [edge for ring in china_outline.rings() for edge in pairwise([*ring, ring[0]])]
ANYWHERE = st.tuples(st.floats(-89.9, 89.9), st.floats(-180, 180))
AROUND_CHINA = st.tuples(st.floats(15.0, 56.0), st.floats(70.0, 139.0))


@st.composite
def near_the_outline(draw: st.DrawFn) -> tuple[float, float]:
    """Draw a place at most about 9 km from China's outline, inside or outside."""
    one, other = draw(st.sampled_from(EDGES))
    along, north, east = draw(st.floats(0, 1)), draw(st.floats(-0.08, 0.08)), draw(st.floats(-0.08, 0.08))
    return one[0] + along * (other[0] - one[0]) + north, one[1] + along * (other[1] - one[1]) + east


@pytest.mark.parametrize(("wgs84", "gcj02"), PAIRS + [(wgs84, gcj02) for wgs84, gcj02, _ in CITIES.values()])
def test_gcj02_matches_published_pairs(wgs84: Place, gcj02: Place) -> None:
    assert metres_between(datums.wgs84_to_gcj02(*wgs84), gcj02) < 1
    assert metres_between(datums.gcj02_to_wgs84(*gcj02), wgs84) < 1


@pytest.mark.parametrize("city", CITIES)
def test_bd09_matches_published_pairs(city: str) -> None:
    wgs84, gcj02, bd09 = CITIES[city]
    assert metres_between(datums.gcj02_to_bd09(*gcj02), bd09) < 1
    assert metres_between(datums.bd09_to_gcj02(*bd09), gcj02) < 1
    assert metres_between(datums.wgs84_to_bd09(*wgs84), bd09) < 1
    assert metres_between(datums.bd09_to_wgs84(*bd09), wgs84) < 1


def test_bd09_matches_the_pair_published_by_coordtransform() -> None:
    assert metres_between(datums.gcj02_to_bd09(39.915, 116.404), (39.92133699351022, 116.41036949371029)) < 0.01
    assert metres_between(datums.bd09_to_gcj02(39.915, 116.404), (39.90865673957631, 116.39762729119315)) < 1


def test_border_towns_of_china_are_inside_the_outline() -> None:
    assert {name: china_outline.shift_share(*place, 1.0) for name, place in BORDER_TOWNS.items()} == dict.fromkeys(
        BORDER_TOWNS, 1.0
    )


@SHIFTED
@pytest.mark.parametrize("city", ABROAD)
def test_a_city_abroad_is_not_shifted(datum: Datum, city: str) -> None:
    assert TO[datum](*ABROAD[city]) == BACK[datum](*ABROAD[city]) == ABROAD[city]


@SHIFTED
@given(near_the_outline())
def test_places_beyond_the_strip_around_china_are_not_shifted(datum: Datum, place: Place) -> None:
    """Outside China, a position is the same in all datums.

    This is so from 2.5 km beyond the outline. For BD-09, it is so from 5 km beyond the outline.
    """
    beyond = china_outline.GCJ02_FADE_METRES if datum is Datum.GCJ02 else china_outline.BD09_FADE_METRES
    if china_outline.shift_share(*place, beyond) == 0:
        assert TO[datum](*place) == BACK[datum](*place) == place


@SHIFTED
@given(ANYWHERE)
def test_places_far_from_china_are_not_shifted(datum: Datum, place: Place) -> None:
    if not (15 < place[0] < 56 and 70 < place[1] < 139) and not (3 < place[0] < 20 and 105 < place[1] < 122):
        assert TO[datum](*place) == BACK[datum](*place) == place


@SHIFTED
@settings(max_examples=300)
@given(AROUND_CHINA | near_the_outline())
def test_conversion_is_reversible_in_and_around_china(datum: Datum, place: Place) -> None:
    assert metres_between(BACK[datum](*TO[datum](*place)), place) < 0.01
    assert metres_between(TO[datum](*BACK[datum](*place)), place) < 0.01


@SHIFTED
def test_conversion_is_reversible_on_a_grid_of_china(datum: Datum) -> None:
    grid = [(18 + row * 0.9, 73.5 + column * 1.5) for row in range(40) for column in range(42)]
    inside = [place for place in grid if china_outline.shift_share(*place, 1.0) == 1]
    assert len(inside) > 400
    assert max(metres_between(BACK[datum](*TO[datum](*place)), place) for place in inside) < 0.01
    assert all(20 < metres_between(TO[datum](*place), place) < 2000 for place in inside)


@SHIFTED
@settings(max_examples=300)
@given(near_the_outline(), st.floats(-1e-4, 1e-4), st.floats(-1e-4, 1e-4))
def test_nearby_places_stay_nearby_across_the_outline(datum: Datum, place: Place, north: float, east: float) -> None:
    other = place[0] + north, place[1] + east
    apart = metres_between(place, other)
    for convert in (TO[datum], BACK[datum]):
        assert metres_between(convert(*place), convert(*other)) < 2 * apart + 0.01


@pytest.mark.parametrize("datum", list(Datum))
def test_a_position_is_kept_as_sent_beside_wgs84(datum: Datum) -> None:
    stored = locate(GeoPointInput(latitude=25.8452, longitude=114.9387, datum=datum))
    assert (stored.original_latitude, stored.original_longitude, stored.original_datum) == (25.8452, 114.9387, datum)
    assert stored.latitude is not None
    assert stored.longitude is not None
    moved = metres_between((stored.latitude, stored.longitude), (25.8452, 114.9387))
    assert moved == 0 if datum is Datum.WGS84 else 300 < moved < 2000


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True, allow_infinity=True))
def test_any_coordinates_are_valid_flagged_or_refused(latitude: float, longitude: float) -> None:
    sent = GeoPointInput(latitude=latitude, longitude=longitude)
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        with pytest.raises(Refusal):
            locate(sent)
        return
    stored = locate(sent)
    assert (stored.latitude is not None) is (stored.longitude is not None) is (stored.problem is None)
    assert stored.problem or (abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude, longitude) != (0, 0))
    assert (stored.original_latitude, stored.original_longitude) == (latitude, longitude)


@pytest.mark.parametrize(
    ("latitude", "longitude", "problem"),
    [
        (0.0, -0.0, PositionProblem.NULL_ISLAND),
        (0.0001, -0.0002, PositionProblem.NULL_ISLAND),
        (0.0027284583, 0.0154984971, PositionProblem.NULL_ISLAND),  # 0, 0 converted to GCJ-02 without an outline check
        (0.0087, 0.0220, PositionProblem.NULL_ISLAND),  # and converted on to BD-09
        (0.03, 0.0, None),
        (0.0, 9.4544, None),  # Libreville's coast
        (114.9387, 25.8452, PositionProblem.SWAPPED_AXES),
        (87.6168, 43.8256, PositionProblem.SWAPPED_AXES),  # Urumqi: both could be a latitude
        (76.0, 39.47, PositionProblem.SWAPPED_AXES),  # Kashgar
        (78.2232, 15.6267, None),  # Longyearbyen really lies there
        (139.65, 35.68, PositionProblem.OUT_OF_RANGE),
        (90.01, 0.0, PositionProblem.OUT_OF_RANGE),
        (25.0, 180.5, PositionProblem.OUT_OF_RANGE),
        (1e308, -1e308, PositionProblem.OUT_OF_RANGE),
        (-33.87, 151.21, None),
    ],
)
def test_false_positions_are_distinguished_from_unusual_ones(
    latitude: float, longitude: float, problem: PositionProblem | None
) -> None:
    stored = locate(GeoPointInput(latitude=latitude, longitude=longitude))
    assert stored.problem is problem
    assert stored.place == (None if problem else (latitude, longitude))
    assert (stored.original_latitude, stored.original_longitude) == (latitude, longitude)


def test_a_negative_accuracy_means_no_fix() -> None:
    stored = locate(GeoPointInput(latitude=25.8452, longitude=114.9387, accuracy_metres=-1.0))
    assert (stored.problem, stored.place, stored.accuracy_metres) == (PositionProblem.NO_FIX, None, -1.0)
    assert locate(GeoPointInput(latitude=25.8452, longitude=114.9387, accuracy_metres=0.0)).problem is None


@pytest.mark.parametrize(
    ("sent", "used"),
    [(130.0, 130.0), (-154.0, -154.0), (-501.0, None), (20_001.0, None), (-1e9, None), (0.0, 0.0), (None, None)],
)
def test_an_impossible_altitude_is_kept_raw_but_not_used(sent: float | None, used: float | None) -> None:
    stored = locate(GeoPointInput(latitude=25.8452, longitude=114.9387, altitude_metres=sent))
    assert (stored.altitude_metres, stored.original_altitude_metres, stored.problem) == (used, sent, None)


@pytest.mark.parametrize("sent", list(Datum))
@pytest.mark.parametrize("asked", list(Datum))
def test_a_position_is_shown_in_any_datum(sent: Datum, asked: Datum) -> None:
    stored = locate(GeoPointInput(latitude=25.84521234567, longitude=114.93871234567, datum=sent))
    shown = stored.to_datum(asked)
    assert (shown.datum, shown.original_datum, stored.datum) == (asked, sent, Datum.WGS84)
    assert stored.place is not None
    assert shown.place is not None
    if asked is sent:
        assert shown.place == (25.84521234567, 114.93871234567)
    else:
        expected = stored.place if asked is Datum.WGS84 else TO[asked](*stored.place)
        assert metres_between(shown.place, expected) < 0.02
    assert shown.to_datum(asked) == shown
    again = shown.to_datum(Datum.WGS84).place
    assert again is not None
    assert metres_between(again, stored.place) < 0.02


def test_a_false_position_is_shown_in_no_datum() -> None:
    shown = locate(GeoPointInput(latitude=114.9, longitude=25.8)).to_datum(Datum.GCJ02)
    assert (shown.place, shown.problem, shown.datum) == (None, PositionProblem.SWAPPED_AXES, Datum.GCJ02)


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
def test_distances_match_those_of_geographiclib(
    one: tuple[float, float], other: tuple[float, float], expected: float
) -> None:
    assert metres_between(one, other) == pytest.approx(expected, rel=0.007, abs=0.001)
    assert metres_between(other, one) == pytest.approx(metres_between(one, other))


@pytest.mark.parametrize("circle", [(91, 0, 1), (0, 181, 1), (0, 0, 0), (0, 0, -1), (0, 0, 200_001), (math.nan, 0, 1)])
def test_a_circle_off_the_globe_or_of_an_invalid_radius_is_refused(circle: tuple[float, float, float]) -> None:
    with pytest.raises(Refusal):
        validate_near(NearInput(latitude=circle[0], longitude=circle[1], radius_metres=circle[2]))
