"""Test checks as pure functions: each has a table of values within and beyond its threshold."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.checks import rules
from schema.checks.editing_software import editor_of
from schema.checks.flag_messages import FlagCode, flag_message
from schema.checks.flags import CheckFinding, FlagOwner, finding_key_of, raise_flag
from schema.checks.rules import Lookalike, Stop
from schema.checks.thresholds import DEFAULTS, Measure, ThresholdKind, ThresholdLimits, limits_of
from schema.geography.positions import GeoPoint, GeoPointInput, locate
from schema.media.media_facts import MediaFacts

NOW = datetime(2026, 11, 20, 1, 5, tzinfo=UTC)
LIMITS = limits_of(DEFAULTS, "province/city/county/", NOW)
METRE = 1 / 111_318
"""One metre in degrees of latitude, on the sphere used for distances."""


def place(north_metres: float = 0, *, accuracy: float | None = None) -> GeoPoint:
    return locate(GeoPointInput(latitude=25.85 + north_metres * METRE, longitude=114.71, accuracy_metres=accuracy))


def codes(findings: object) -> list[FlagCode]:
    return [finding.code for finding in findings]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("metres", "accuracies", "flagged"),
    [
        (0, (None, None), False),
        (499, (None, None), False),
        (501, (None, None), True),
        (560, (30.0, 40.0), False),
        (560, (30.0, 20.0), True),
        (560, (-100.0, None), True),
        (1499, (1e12, 1e12), False),
        (1501, (1e12, 1e12), True),
        (5_000_000, (None, None), True),
    ],
)
def test_a_photo_position_far_from_the_claimed_one_is_flagged(
    metres: float, accuracies: tuple[float | None, float | None], flagged: bool
) -> None:
    """Accuracy counts only up to the threshold. Otherwise a claimed accuracy of 1,000 km would permit any distance."""
    own, claimed = place(accuracy=accuracies[0]), place(metres, accuracy=accuracies[1])
    found = list(rules.check_photo_position("m", own, claimed, LIMITS))
    assert codes(found) == ([FlagCode.PHOTO_POSITION_FAR] if flagged else [])
    if flagged and accuracies == (None, None):
        assert found[0].value == pytest.approx(metres, rel=0.01)
        assert (found[0].threshold, found[0].measure, found[0].medium_id) == (500, Measure.METRES, "m")


@pytest.mark.parametrize(
    ("own", "declared", "expected"),
    [
        (None, None, []),
        (timedelta(), None, []),
        (timedelta(minutes=-59), None, []),
        (timedelta(hours=-2), None, [FlagCode.PHOTO_TIME_FAR]),
        (timedelta(hours=2), None, [FlagCode.PHOTO_TIME_FAR]),
        (timedelta(days=-3), None, [FlagCode.CAPTURED_LONG_BEFORE]),
        (timedelta(days=3), None, [FlagCode.PHOTO_TIME_FAR]),
        (timedelta(days=-3), timedelta(days=-3), [FlagCode.CAPTURED_LONG_BEFORE]),
        (None, timedelta(days=-3), [FlagCode.CAPTURED_LONG_BEFORE]),
        (timedelta(days=-3), timedelta(), [FlagCode.CAPTURED_LONG_BEFORE, FlagCode.PHOTO_TIME_FAR]),
        (timedelta(), timedelta(hours=-3), [FlagCode.PHOTO_TIME_FAR]),
    ],
)
def test_a_photo_time_far_from_the_observations_is_flagged(
    own: timedelta | None, declared: timedelta | None, expected: list[FlagCode]
) -> None:
    times = [NOW + shift if shift is not None else None for shift in (own, declared)]
    assert codes(rules.check_photo_time("m", times[0], times[1], NOW, LIMITS)) == expected


@pytest.mark.parametrize(
    ("local", "offset", "expected"),
    [
        ("2026-11-20T09:05:00", 480, NOW),
        ("2026-11-20T09:05:00", None, NOW),
        ("2026-11-20T01:05:00", 0, NOW),
        ("2026-11-20T09:05:00", 100_000, None),
        ("0001-01-01T00:00:00", 480, None),
        ("0000-00-00", 480, None),
        (None, 480, None),
    ],
)
def test_a_local_file_time_without_an_offset_uses_the_devices_offset(
    local: str | None, offset: int | None, expected: datetime | None
) -> None:
    facts = MediaFacts(taken_at_local=local, taken_offset_minutes=offset)
    assert rules.instant_of(facts, 480) == expected


def test_the_header_time_of_a_video_counts_only_without_a_local_time() -> None:
    header = MediaFacts(created_at=NOW)
    assert rules.instant_of(header, 480) == NOW
    both = MediaFacts(created_at=NOW + timedelta(days=9), taken_at_local="2026-11-20T09:05:00")
    assert rules.instant_of(both, 480) == NOW


def test_the_distance_to_the_nearest_counter_counts() -> None:
    far, near = place(10_000), place(100)
    assert codes(rules.check_unit_distance(place(), [far], LIMITS)) == [FlagCode.FAR_FROM_UNIT]
    assert codes(rules.check_unit_distance(place(), [far, near], LIMITS)) == []
    assert codes(rules.check_unit_distance(place(), [], LIMITS)) == []


SQUARE = ((((114.0, 25.0), (115.0, 25.0), (115.0, 26.0), (114.0, 26.0), (114.0, 25.0)),),)


@pytest.mark.parametrize(
    ("metres_east", "accuracy", "flagged"),
    [(-100, None, False), (400, None, False), (600, None, True), (600, 200.0, False)],
)
def test_a_position_outside_the_county_is_flagged(metres_east: float, accuracy: float | None, flagged: bool) -> None:
    there = locate(
        GeoPointInput(
            latitude=25.5,
            longitude=115 + metres_east * METRE / math.cos(math.radians(25.5)),
            accuracy_metres=accuracy,
        )
    )
    found = list(rules.check_outside_county(there, SQUARE, LIMITS))
    assert codes(found) == ([FlagCode.OUTSIDE_COUNTY] if flagged else [])
    if flagged:
        assert found[0].value == pytest.approx(metres_east, rel=0.01)
    assert list(rules.check_outside_county(there, (), LIMITS)) == []


@pytest.mark.parametrize(
    ("metres", "minutes", "expected"),
    [(1_500, 0.01, None), (100_000, 60, None), (100_000, 20, 300.0), (100_000, 0, 360_000.0), (3_000, -0.5, 360.0)],
)
def test_an_impossible_speed_flags_the_later_observation(metres: float, minutes: float, expected: float | None) -> None:
    """A short jump in no time is a position error, not a speed. The order of the arguments makes no difference."""
    one, other = Stop("a", NOW, place()), Stop("b", NOW + timedelta(minutes=minutes), place(metres))
    found = rules.check_speed(one, other, LIMITS)
    assert rules.check_speed(other, one, LIMITS) == found
    if expected is None:
        assert found is None
    else:
        assert found
        later, finding = found
        assert finding.value == pytest.approx(expected, rel=0.01)
        assert (later, finding.other_observation_id) == (("b", "a") if minutes >= 0 else ("a", "b"))


@pytest.mark.parametrize(
    ("ahead", "fix_after", "expected"),
    [
        (timedelta(minutes=5), None, None),
        (timedelta(minutes=12, seconds=20), None, 720),
        (timedelta(days=-30), None, None),
        (timedelta(days=-30), timedelta(hours=-1), None),
        (timedelta(days=-30), timedelta(hours=11), None),
        (timedelta(days=-30), timedelta(hours=13), -46_800),
        (timedelta(days=365), timedelta(hours=13), 365 * 86_400),
    ],
)
def test_a_clock_is_flagged_only_when_the_times_prove_it_wrong(
    ahead: timedelta, fix_after: timedelta | None, expected: float | None
) -> None:
    captured = NOW + ahead
    found = list(rules.check_clock_skew(captured, NOW, captured + fix_after if fix_after else None, LIMITS))
    assert [finding.value for finding in found] == ([expected] if expected else [])


def test_the_larger_of_measured_and_proven_clock_skew_counts() -> None:
    def found(measured: timedelta, captured: datetime = NOW) -> list[float]:
        return [each.value for each in rules.check_clock_skew(captured, NOW, None, LIMITS, measured)]

    assert found(timedelta(minutes=9)) == []
    assert found(timedelta(minutes=11)) == [660]
    assert found(-timedelta(hours=3)) == [-10_800]
    assert found(timedelta(minutes=11), NOW + timedelta(hours=1)) == [3600]


def test_a_mock_position_is_flagged() -> None:
    assert codes(rules.check_mock_position(replace(place(), is_mock=True))) == [FlagCode.MOCK_POSITION]
    assert codes(rules.check_mock_position(place())) == []


@pytest.mark.parametrize(
    ("software", "name"),
    [
        ("Adobe Photoshop CS6 (Windows)", "Adobe Photoshop"),
        ("Adobe Photoshop Lightroom 5.6", "Adobe Photoshop"),
        ("GIMP 2.10.30", "GIMP"),
        ("Snapseed 2.0", "Snapseed"),
        ("美图秀秀", "Meitu 美图秀秀"),
        ("com.mt.mtxx.mtxx", "Meitu 美图秀秀"),
        ("PicsArt", "PicsArt"),
        ("picsart_16.4", "PicsArt"),
        ("paint.net 4.2.10", "Paint.NET"),
        ("天天P图", "天天P图"),
        ("HDR+ 1.0.220943774z", None),
        ("MIUI Camera", None),
        ("17.1.1", None),
        ("Ver.1.00 ", None),
        ("MediaTek Camera Application", None),
        ("vivo X90 Pro", None),
        ("G930FXXU1APB4", None),
        ("Canvas 3", None),
        ("", None),
        (None, None),
    ],
)
def test_editing_software_is_recognised_and_camera_firmware_is_not(software: str | None, name: str | None) -> None:
    assert editor_of(software) == name
    found = list(rules.check_editing_software("m", software))
    assert [(finding.code, finding.name) for finding in found] == ([(FlagCode.EDITED, name)] if name else [])


def test_only_the_ten_nearest_lookalikes_are_flagged() -> None:
    others = [Lookalike(f"o{bits}", f"m{bits}", bits, is_same=False) for bits in range(30)]
    found = list(rules.check_lookalikes("m", [*others, Lookalike("same", "n", 0, is_same=True)], LIMITS))
    assert [finding.code for finding in found] == [FlagCode.SAME_PICTURE, *[FlagCode.SIMILAR_PICTURE] * 9]
    assert [finding.value for finding in found] == [0, *range(9)]
    unlike = [each for each in others if each.bits > 24]
    assert list(rules.check_lookalikes("m", unlike, LIMITS)) == []


def test_nothing_is_flagged_without_a_threshold() -> None:
    none = ThresholdLimits({})
    assert list(rules.check_photo_position("m", place(), place(1e6), none)) == []
    assert list(rules.check_photo_time("m", NOW, None, NOW + timedelta(days=9), none)) == []
    assert rules.check_speed(Stop("a", NOW, place()), Stop("b", NOW, place(1e6)), none) is None
    assert list(rules.check_lookalikes("m", [Lookalike("o", "n", 0, is_same=False)], none)) == []
    assert list(rules.check_clock_skew(NOW + timedelta(days=1), NOW, None, none)) == []


@given(st.floats(0, 2e7), st.sampled_from(list(FlagCode)), st.sampled_from(list(Measure)))
def test_every_flag_has_complete_messages(value: float, code: FlagCode, measure: Measure) -> None:
    for sentence in flag_message(code, measure, value, 500, "GIMP"):
        assert sentence
        assert "{" not in sentence


def test_the_same_finding_has_the_same_key_and_its_flag_a_random_id() -> None:
    owner = FlagOwner("obs_1", "path/", "usr_1", NOW)
    finding = CheckFinding(FlagCode.FAR_FROM_UNIT, 812.34, 500, Measure.METRES)
    first, again = (raise_flag(finding, owner, NOW, bytes([number] * 10)) for number in range(2))
    assert first.finding_key == again.finding_key == finding_key_of(finding, owner)
    assert len({first.id, again.id, finding_key_of(finding, owner)}) == 3
    others = [
        replace(finding, value=900.0),
        replace(finding, medium_id="m"),
        replace(finding, code=FlagCode.OUTSIDE_COUNTY),
        replace(finding, other_observation_id="o"),
    ]
    pair = replace(finding, code=FlagCode.SIMILAR_PICTURE, medium_id="m", other_medium_id="n")
    assert finding_key_of(pair, owner) == finding_key_of(replace(pair, value=4), owner)
    keys = {finding_key_of(each, owner) for each in others}
    assert len(keys | {first.finding_key, finding_key_of(finding, replace(owner, id="obs_2"))}) == 6


@pytest.mark.parametrize("kind", ThresholdKind)
def test_every_threshold_has_a_positive_default(kind: ThresholdKind) -> None:
    assert LIMITS.of(kind) > 0
    assert math.isfinite(LIMITS.of(kind))
