"""Check an observation against its files, its unit, its device and other pictures (疑点核查).

Each rule is a pure function. It yields a finding for each figure that violates its threshold.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from schema.checks.editing_software import editor_of
from schema.checks.flag_messages import FlagCode
from schema.checks.flags import CheckFinding
from schema.checks.thresholds import MEASURES, Measure, ThresholdKind, ThresholdLimits
from schema.fieldwork.observations import Method
from schema.geography.distances import metres_between
from schema.geography.positions import GeoPoint
from schema.media.media_facts import MediaFacts
from schema.media.shown_times import FIX_LATER
from schema.organisation.outlines import Polygon, metres_outside

AT_THE_COUNTER = frozenset({Method.PATROL, Method.TRACKED_SERVICE, Method.SIMULATED_SERVICE, Method.SPECIAL_CHECK})
"""Methods whose observations must be recorded at the unit.

Other observations are recorded elsewhere: a monitor reports from an enterprise, and a complaint comes from anywhere.
"""
MAX_OTHERS = 10
"""Maximum number of flags that one medium gets for similar pictures. More flags would add no information."""


@dataclass(frozen=True)
class Stop:
    """Where a device was, and when according to the device's clock."""

    observation_id: str
    at: datetime
    position: GeoPoint


@dataclass(frozen=True)
class Lookalike:
    """A medium of another observation that is similar or identical.

    `bits` says in how many of their 256 bits the perceptual hashes differ. For an identical file, `is_same` is true and
    `bits` is 0.
    """

    observation_id: str
    medium_id: str
    bits: int
    is_same: bool


def instant_of(facts: MediaFacts, offset_minutes: int) -> datetime | None:
    """Return the time at which, according to the file itself, the file was made.

    If the file has no UTC offset, the offset of the sending device applies. If a video or sound has only the time in
    its header, that time is returned, because the recording was made no later than that.
    """
    if facts.taken_at_local is None:
        return facts.created_at
    minutes = facts.taken_offset_minutes if facts.taken_offset_minutes is not None else offset_minutes
    try:
        zone = timezone(timedelta(minutes=minutes))
        return datetime.fromisoformat(facts.taken_at_local).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):  # a clock that was never set, or an offset that no time zone has
        return None


def usable_position(position: GeoPoint | None) -> GeoPoint | None:
    """Return the position if it has coordinates, else None."""
    return position if position and position.latitude is not None and position.longitude is not None else None


def check_photo_position(
    medium_id: str, own: GeoPoint, claimed: GeoPoint, limits: ThresholdLimits
) -> Iterator[CheckFinding]:
    apart = _metres_apart(own, claimed, limits.of(ThresholdKind.PHOTO_POSITION))
    yield from _check_limit(FlagCode.PHOTO_POSITION_FAR, ThresholdKind.PHOTO_POSITION, apart, limits, medium_id)


def check_photo_time(
    medium_id: str, own: datetime | None, declared: datetime | None, captured_at: datetime, limits: ThresholdLimits
) -> Iterator[CheckFinding]:
    """Compare three times: `own` in the file, `declared` by the phone for the medium, `captured_at` of the observation.

    If `own` or `declared` is long before `captured_at`, yield a finding for the age of the medium.
    If `own` differs much from `declared`, yield a finding for the difference. Without `declared`, compare `own` with
    `captured_at`, but only if there is no finding for the age.
    """
    times = [time for time in (own, declared) if time is not None]
    age = max(((captured_at - time).total_seconds() for time in times), default=0.0)
    old = list(_check_limit(FlagCode.CAPTURED_LONG_BEFORE, ThresholdKind.CAPTURED_BEFORE, age, limits, medium_id))
    yield from old
    if own is not None and (declared is not None or not old):
        differs = abs((own - (declared or captured_at)).total_seconds())
        yield from _check_limit(FlagCode.PHOTO_TIME_FAR, ThresholdKind.PHOTO_TIME, differs, limits, medium_id)


def check_unit_distance(
    place: GeoPoint, counters: Sequence[GeoPoint], limits: ThresholdLimits, medium_id: str | None = None
) -> Iterator[CheckFinding]:
    """Check the distance from a place to the nearest of `counters`.

    `counters` holds the positions of the window or unit, and for a monitor's report also of the enterprise.
    """
    if counters:
        nearest = min(_metres_apart(place, counter, limits.of(ThresholdKind.UNIT_DISTANCE)) for counter in counters)
        yield from _check_limit(FlagCode.FAR_FROM_UNIT, ThresholdKind.UNIT_DISTANCE, nearest, limits, medium_id)


def check_outside_county(
    place: GeoPoint, ground: Sequence[Polygon], limits: ThresholdLimits, medium_id: str | None = None
) -> Iterator[CheckFinding]:
    """Check how far a place lies outside `ground`, the outline of the county.

    `ground` is empty if the county has no outline. Then nothing is checked.
    """
    if ground:
        limit = limits.of(ThresholdKind.OUTSIDE_COUNTY)
        outside = metres_outside(ground, *_coordinates(place)) - _allowance(limit, place)
        yield from _check_limit(FlagCode.OUTSIDE_COUNTY, ThresholdKind.OUTSIDE_COUNTY, outside, limits, medium_id)


def check_speed(one: Stop, other: Stop, limits: ThresholdLimits) -> tuple[str, CheckFinding] | None:
    """Check the speed of a device between two observations. Return the id of the later observation and the finding.

    Return None if the speed is possible, or if the distance is too short to measure a speed. Two observations within
    the same second count as one second apart, because clocks and fixes are not more precise.
    """
    earlier, later = sorted((one, other), key=lambda stop: (stop.at, stop.observation_id))
    metres = _metres_apart(earlier.position, later.position, limits.of(ThresholdKind.SPEED_FROM))
    if metres < limits.of(ThresholdKind.SPEED_FROM):
        return None
    seconds = max((later.at - earlier.at).total_seconds(), 1.0)
    findings = list(_check_limit(FlagCode.IMPOSSIBLE_SPEED, ThresholdKind.SPEED, metres / seconds * 3.6, limits))
    if not findings:
        return None
    [finding] = findings
    return later.observation_id, CheckFinding(
        finding.code,
        finding.value,
        finding.threshold,
        finding.measure,
        other_observation_id=earlier.observation_id,
    )


def check_mock_position(position: GeoPoint) -> Iterator[CheckFinding]:
    if position.is_mock:
        yield CheckFinding(FlagCode.MOCK_POSITION, 1, 1, Measure.TIMES)


def check_clock_skew(
    captured_at: datetime,
    received_at: datetime,
    fixed_at: datetime | None,
    limits: ThresholdLimits,
    measured: timedelta | None = None,
) -> Iterator[CheckFinding]:
    """Check the device's clock by the skew `measured` at receipt, or by the skew that the three times prove.

    The larger skew counts.
    An observation can't be captured after it was received. It also can't be captured long before `fixed_at`, the time
    of the satellite fix. But a report that is begun in the morning may get its position in the evening.
    If an observation was captured long before it was received, that proves nothing: the phone may have been offline.
    The finding gives the skew in whole minutes, because a more precise number would identify the device.
    """
    ahead = max((captured_at - received_at).total_seconds(), 0.0)
    behind = (fixed_at - captured_at).total_seconds() if fixed_at and fixed_at - captured_at > FIX_LATER else 0.0
    skew = max(measured.total_seconds() if measured else 0.0, ahead, -behind, key=abs)
    limit = limits.of(ThresholdKind.CLOCK_SKEW)
    if skew and abs(skew) >= limit:
        yield CheckFinding(FlagCode.CLOCK_SKEW, 60 * round(skew / 60), limit, Measure.SECONDS)


def check_editing_software(medium_id: str, software: str | None) -> Iterator[CheckFinding]:
    if name := editor_of(software):
        yield CheckFinding(FlagCode.EDITED, 1, 1, Measure.TIMES, medium_id=medium_id, name=name)


def check_lookalikes(medium_id: str, others: Iterable[Lookalike], limits: ThresholdLimits) -> Iterator[CheckFinding]:
    """Yield a finding for each identical or similar picture, nearest first, for at most `MAX_OTHERS` pictures."""
    limit = limits.of(ThresholdKind.PICTURE_BITS)
    near = sorted(others, key=lambda other: (not other.is_same, other.bits, other.medium_id))
    for other in near[:MAX_OTHERS]:
        if other.is_same or other.bits <= limit:
            yield CheckFinding(
                FlagCode.SAME_PICTURE if other.is_same else FlagCode.SIMILAR_PICTURE,
                other.bits,
                limit,
                Measure.BITS,
                medium_id=medium_id,
                other_observation_id=other.observation_id,
                other_medium_id=other.medium_id,
            )


def _check_limit(
    code: FlagCode, kind: ThresholdKind, value: float, limits: ThresholdLimits, medium_id: str | None = None
) -> Iterator[CheckFinding]:
    limit = limits.of(kind)
    if value >= limit and value > 0:
        yield CheckFinding(code, value, limit, MEASURES[kind], medium_id=medium_id)


def _metres_apart(one: GeoPoint, other: GeoPoint, limit: float) -> float:
    """Return the distance of two places that is certain, in metres: the measured distance minus both accuracies."""
    return metres_between(_coordinates(one), _coordinates(other)) - _allowance(limit, one) - _allowance(limit, other)


def _coordinates(place: GeoPoint) -> tuple[float, float]:
    """Return latitude and longitude of a usable position."""
    return place.latitude or 0.0, place.longitude or 0.0


def _allowance(limit: float, place: GeoPoint) -> float:
    """Return the stated accuracy of a place in metres, but at most `limit`, the threshold.

    A huge claimed accuracy must not hide a distance.
    """
    return min(max(place.accuracy_metres or 0.0, 0.0), limit)
