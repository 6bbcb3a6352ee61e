"""Checks (疑点核查): pure measurements of an observation against its files, its unit, its device and other pictures.

Each yields what has passed its threshold; nothing here refuses, stores or looks anything up.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from schema.checks.editing_software import editor_of
from schema.checks.flag_messages import FlagCode
from schema.checks.flags import CheckFinding
from schema.checks.thresholds import MEASURES, Measure, ThresholdKind, ThresholdLimits
from schema.fieldwork.observations import Method
from schema.geography.positions import GeoPoint, metres_between
from schema.media.media_facts import MediaFacts
from schema.media.shown_times import FIX_LATER
from schema.organisation.outlines import Polygon, metres_outside

AT_THE_COUNTER = frozenset({Method.PATROL, Method.TRACKED_SERVICE, Method.SIMULATED_SERVICE, Method.SPECIAL_CHECK})
"""Methods by which one stands where the unit is; a monitor reports from the enterprise, a complaint is taken down anywhere."""
MAX_OTHERS = 10
"""Flags of one medium for pictures like it: more say nothing more."""


@dataclass(frozen=True)
class Stop:
    """Where and when a device was, by its own clock."""

    observation_id: str
    at: datetime
    position: GeoPoint


@dataclass(frozen=True)
class Lookalike:
    """A medium of another observation: 0 bits apart, and `is_same` where it is the same file."""

    observation_id: str
    medium_id: str
    bits: int
    is_same: bool


def instant_of(facts: MediaFacts, offset_minutes: int) -> datetime | None:
    """When a file says that it was made; where it names no offset, by that of the device that handed it in.

    A video or sound that says no more than its header does was made when that says so, at the latest.
    """
    if facts.taken_at_local is None:
        return facts.created_at
    minutes = facts.taken_offset_minutes if facts.taken_offset_minutes is not None else offset_minutes
    try:
        zone = timezone(timedelta(minutes=minutes))
        return datetime.fromisoformat(facts.taken_at_local).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):  # a clock that was never set, an offset that no zone has
        return None


def usable(position: GeoPoint | None) -> GeoPoint | None:
    """The position where it may be used, else None."""
    return position if position and position.latitude is not None and position.longitude is not None else None


def photo_position(medium_id: str, own: GeoPoint, claimed: GeoPoint, limits: ThresholdLimits) -> Iterator[CheckFinding]:
    apart = _apart(own, claimed, limits.of(ThresholdKind.PHOTO_POSITION))
    yield from _passed(FlagCode.PHOTO_POSITION_FAR, ThresholdKind.PHOTO_POSITION, apart, limits, medium_id)


def photo_time(
    medium_id: str, own: datetime | None, declared: datetime | None, captured_at: datetime, limits: ThresholdLimits
) -> Iterator[CheckFinding]:
    """`own` is what the file says, `declared` what the phone says of the medium, `captured_at` of the observation.

    A medium that is old by its own word is said to be old, and not besides to differ from a time nobody claimed for it.
    """
    times = [time for time in (own, declared) if time is not None]
    age = max(((captured_at - time).total_seconds() for time in times), default=0.0)
    old = list(_passed(FlagCode.CAPTURED_LONG_BEFORE, ThresholdKind.CAPTURED_BEFORE, age, limits, medium_id))
    yield from old
    if own is not None and (declared is not None or not old):
        differs = abs((own - (declared or captured_at)).total_seconds())
        yield from _passed(FlagCode.PHOTO_TIME_FAR, ThresholdKind.PHOTO_TIME, differs, limits, medium_id)


def unit_distance(
    place: GeoPoint, counters: Sequence[GeoPoint], limits: ThresholdLimits, medium_id: str | None = None
) -> Iterator[CheckFinding]:
    """Distance to the nearest of `counters`: the window or the unit, and of a monitor's report also the enterprise."""
    if counters:
        nearest = min(_apart(place, each, limits.of(ThresholdKind.UNIT_DISTANCE)) for each in counters)
        yield from _passed(FlagCode.FAR_FROM_UNIT, ThresholdKind.UNIT_DISTANCE, nearest, limits, medium_id)


def outside_county(
    place: GeoPoint, ground: Sequence[Polygon], limits: ThresholdLimits, medium_id: str | None = None
) -> Iterator[CheckFinding]:
    """`ground` is the outline of the county, nothing where there is none."""
    if ground:
        limit = limits.of(ThresholdKind.OUTSIDE_COUNTY)
        outside = metres_outside(ground, *_at(place)) - _allowance(limit, place)
        yield from _passed(FlagCode.OUTSIDE_COUNTY, ThresholdKind.OUTSIDE_COUNTY, outside, limits, medium_id)


def speed(one: Stop, other: Stop, limits: ThresholdLimits) -> tuple[str, CheckFinding] | None:
    """The later of the two observations' id and the finding; None where it could be travelled, or hardly moved.

    Within the same second a whole second is counted: clocks and fixes are no finer.
    """
    earlier, later = sorted((one, other), key=lambda stop: (stop.at, stop.observation_id))
    metres = _apart(earlier.position, later.position, limits.of(ThresholdKind.SPEED_FROM))
    if metres < limits.of(ThresholdKind.SPEED_FROM):
        return None
    seconds = max((later.at - earlier.at).total_seconds(), 1.0)
    found = list(_passed(FlagCode.IMPOSSIBLE_SPEED, ThresholdKind.SPEED, metres / seconds * 3.6, limits))
    if not found:
        return None
    [finding] = found
    return later.observation_id, CheckFinding(
        finding.code,
        finding.value,
        finding.threshold,
        finding.measure,
        other_observation_id=earlier.observation_id,
    )


def mock_position(position: GeoPoint) -> Iterator[CheckFinding]:
    if position.is_mock:
        yield CheckFinding(FlagCode.MOCK_POSITION, 1, 1, Measure.TIMES)


def clock_skew(
    captured_at: datetime,
    received_at: datetime,
    fixed_at: datetime | None,
    limits: ThresholdLimits,
    measured: timedelta | None = None,
) -> Iterator[CheckFinding]:
    """What was `measured` at receipt (ahead of the server), or what the three times prove, whichever is more.

    Nothing is seen after it was received, nor `fixed_at`, the satellites' word, long before it was fixed: a report that is
    begun in the morning may get its place by evening. A clock that seems slow, of a phone that was offline, proves
    nothing. Whole minutes: a finer figure would mark a device.
    """
    ahead = max((captured_at - received_at).total_seconds(), 0.0)
    behind = (fixed_at - captured_at).total_seconds() if fixed_at and fixed_at - captured_at > FIX_LATER else 0.0
    skew = max(measured.total_seconds() if measured else 0.0, ahead, -behind, key=abs)
    limit = limits.of(ThresholdKind.CLOCK_SKEW)
    if skew and abs(skew) >= limit:
        yield CheckFinding(FlagCode.CLOCK_SKEW, 60 * round(skew / 60), limit, Measure.SECONDS)


def edited(medium_id: str, software: str | None) -> Iterator[CheckFinding]:
    if name := editor_of(software):
        yield CheckFinding(FlagCode.EDITED, 1, 1, Measure.TIMES, medium_id=medium_id, name=name)


def lookalikes(medium_id: str, others: Iterable[Lookalike], limits: ThresholdLimits) -> Iterator[CheckFinding]:
    """The nearest others, ten at most."""
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


def _passed(
    code: FlagCode, kind: ThresholdKind, value: float, limits: ThresholdLimits, medium_id: str | None = None
) -> Iterator[CheckFinding]:
    limit = limits.of(kind)
    if value >= limit and value > 0:
        yield CheckFinding(code, value, limit, MEASURES[kind], medium_id=medium_id)


def _apart(one: GeoPoint, other: GeoPoint, limit: float) -> float:
    """Metres by which two places lie apart for certain."""
    return metres_between(_at(one), _at(other)) - _allowance(limit, one) - _allowance(limit, other)


def _at(place: GeoPoint) -> tuple[float, float]:
    """Of a place that `usable` has let through."""
    return place.latitude or 0.0, place.longitude or 0.0


def _allowance(limit: float, place: GeoPoint) -> float:
    """The stated accuracy, but no more than the threshold itself: who claims to be anywhere is not thereby near."""
    return min(max(place.accuracy_metres or 0.0, 0.0), limit)
