"""Shown times (显示时间): which of several clocks an observation or a medium is shown with, and why; decided here alone.

Every clock's own word stays where it was recorded; what doesn't fit is flagged by whoever checks it.
"""

import enum
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, Row
from schema.geography.positions import GeoPoint, PositionSource

TOLERANCE = timedelta(minutes=2)
"""Clocks that differ by less agree: phones drift by seconds, and a request on a bad line takes as long."""
FIX_AGE = timedelta(minutes=10)
"""How old a fix may be to speak for the moment of capture: phones hand out their last one indoors."""
FIX_LATER = timedelta(hours=12)
"""By how much the fix may be later than the capture: an observation is begun in the morning and finished by evening."""
UNSET_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
"""No phone that runs this is older: an earlier year is that of a clock that nobody has set since it lost power."""


@strawberry.enum(description="Whose clock the shown time is from (时间来源).")
class TimeSource(enum.Enum):
    DEVICE = strawberry.enum_value("DEVICE", description="The device's clock (设备时钟).")
    DEVICE_CORRECTED = strawberry.enum_value(
        "DEVICE_CORRECTED", description="The device's clock less its measured skew (校正后的设备时钟)."
    )
    AUTHOR = strawberry.enum_value("AUTHOR", description="Its author, in a correction (作者更正).")
    SATELLITE = strawberry.enum_value("SATELLITE", description="The satellite fix of its position (卫星定位时间).")
    FILE = strawberry.enum_value("FILE", description="The time in the file, EXIF above all (文件内时间).")
    RECEIPT = strawberry.enum_value("RECEIPT", description="The server, when it was told (服务器接收时间).")


@strawberry.enum(description="Why the shown time is that one; `message` says it in words.")
class TimeReason(enum.Enum):
    CONFIRMED_BY_FIX = "CONFIRMED_BY_FIX"
    CONFIRMED_AT_RECEIPT = "CONFIRMED_AT_RECEIPT"
    UNCONFIRMED = "UNCONFIRMED"
    SKEW_TAKEN_OFF = "SKEW_TAKEN_OFF"
    CLOCK_CHANGED = "CLOCK_CHANGED"
    CORRECTED_BY_AUTHOR = "CORRECTED_BY_AUTHOR"
    CLOCK_UNSET = "CLOCK_UNSET"
    CLOCK_AFTER_RECEIPT = "CLOCK_AFTER_RECEIPT"
    CLOCK_BEFORE_FIX = "CLOCK_BEFORE_FIX"
    OFFSET_IN_FILE = "OFFSET_IN_FILE"
    OFFSET_ASSUMED = "OFFSET_ASSUMED"
    OFFSET_UNKNOWN = "OFFSET_UNKNOWN"
    NO_TIME_AT_ALL = "NO_TIME_AT_ALL"


SENTENCES: dict[TimeReason, tuple[str, str]] = {
    TimeReason.CONFIRMED_BY_FIX: (
        "The device's clock agrees with the satellite fix.",
        "设备时钟与卫星定位时间相符。",
    ),
    TimeReason.CONFIRMED_AT_RECEIPT: (
        "The device's clock agreed with the server's when this was sent.",
        "提交时设备时钟与服务器一致。",
    ),
    TimeReason.UNCONFIRMED: (
        "By the device's clock, which was not compared with another.",
        "按设备时钟，未与其他时钟比对。",
    ),
    TimeReason.SKEW_TAKEN_OFF: (
        "The device's clock was wrong when this was sent; the difference is taken off.",
        "提交时设备时钟有偏差，已按偏差校正。",
    ),
    TimeReason.CLOCK_CHANGED: (
        "The device's clock was wrong when this was sent, but not by as much when it was seen; shown as it was.",
        "提交时设备时钟有偏差，但与记录时的偏差不同，按原时间显示。",
    ),
    TimeReason.CORRECTED_BY_AUTHOR: ("Its author corrected the time.", "作者已更正时间。"),
    TimeReason.CLOCK_UNSET: (
        "The device's clock had not been set: it showed a year before 2020.",
        "设备时钟未设置，显示早于2020年。",
    ),
    TimeReason.CLOCK_AFTER_RECEIPT: (
        "The device's clock showed a time after the receipt.",
        "设备时钟晚于服务器接收时间。",
    ),
    TimeReason.CLOCK_BEFORE_FIX: (
        "The device's clock showed a time well before the satellite fix that was sent with it.",
        "设备时钟明显早于所附卫星定位时间。",
    ),
    TimeReason.OFFSET_IN_FILE: ("The file says its time and its offset.", "文件内有时间和时区。"),
    TimeReason.OFFSET_ASSUMED: (
        "The file says no offset; that of the device that sent it is assumed.",
        "文件内无时区，按提交设备的时区推定。",
    ),
    TimeReason.OFFSET_UNKNOWN: (
        "The file says no offset and none can be assumed: a local time, and no instant.",
        "文件内无时区且无法推定，仅为当地时间。",
    ),
    TimeReason.NO_TIME_AT_ALL: (
        "Neither the file nor the device says when; this is when it was announced.",
        "文件与设备均未说明时间，按申报到达时间。",
    ),
}
"""For people, in English and in Chinese."""


@strawberry.type(description="The time that is shown, whose it is, and why that one (显示时间).")
class ShownTime:
    at: datetime | None = strawberry.field(description="The instant; null where only a local time is known.")
    local: str = strawberry.field(
        description="The time of day there, `2026-11-22T10:03:04.120`, without zone (当地时间)."
    )
    offset_minutes: int | None = strawberry.field(
        description="How far `local` is east of Greenwich, minutes; null where that is not known."
    )
    source: TimeSource = strawberry.field(description="Whose clock it is from.")
    reason: TimeReason = strawberry.field(description="Why that one.")

    @strawberry.field(description="The reason for people, in English.")
    def message(self) -> str:
        return SENTENCES[self.reason][0]

    @strawberry.field(description="The reason for people, in Chinese (中文说明).")
    def message_zh(self) -> str:
        return SENTENCES[self.reason][1]


@dataclass(frozen=True)
class Clocks:
    """What is known of when something was seen or taken, beside what a file says.

    `captured_at` and `position` are from the device; `skew` is how far the device was ahead of the server when it sent
    them, None where it did not say; `is_correction` tells that the author changed the time afterwards.
    """

    captured_at: datetime
    offset_minutes: int
    received_at: datetime
    position: GeoPoint | None = None
    skew: timedelta | None = None
    is_correction: bool = False


def time_of_observation(clocks: Clocks) -> ShownTime:
    """The device's word as long as nothing speaks against it, else what comes nearest.

    1. What its author corrected. 2. The device's clock where a satellite fix agrees with it. 3. The device's clock, less
    its skew to the minute where that is known and more than `TOLERANCE`. 4. Where that can't be, because the clock was
    changed in between: as it was. 5. Where that can't be either: the satellite fix, else the receipt.
    """
    if clocks.is_correction:
        return _shown(clocks.captured_at, clocks.offset_minutes, TimeSource.AUTHOR, TimeReason.CORRECTED_BY_AUTHOR)
    fix = satellite_time(clocks.position, clocks.received_at)
    faults = []
    for source, at, reason in _by_the_device(clocks, fix):
        fault = _fault(at, fix, clocks.received_at)
        if fault is None:
            return _shown(at, clocks.offset_minutes, source, reason)
        faults.append(fault)
    source, at = (TimeSource.SATELLITE, fix) if fix else (TimeSource.RECEIPT, clocks.received_at)
    return _shown(at, clocks.offset_minutes, source, faults[-1])


def time_of_medium(
    *,
    local: str | None,
    file_offset_minutes: int | None,
    device_offset_minutes: int | None,
    announced: Clocks | None,
    expected_at: datetime,
) -> ShownTime:
    """What the file says, else the device, else the announcement; a time without offset is never taken for UTC.

    `local` is the file's own, `2026-11-22T10:03:04.120`; `device_offset_minutes` that of the observation it belongs to;
    `announced` what the device said of the medium, judged as what it says of an observation.
    """
    assumed = _believed(device_offset_minutes)
    if local is None:
        if announced is None:
            return _shown(expected_at, assumed or 0, TimeSource.RECEIPT, TimeReason.NO_TIME_AT_ALL)
        return time_of_observation(announced)
    reason = TimeReason.OFFSET_IN_FILE if file_offset_minutes is not None else TimeReason.OFFSET_ASSUMED
    offset = file_offset_minutes if file_offset_minutes is not None else assumed
    if offset is None:
        return ShownTime(
            at=None, local=local, offset_minutes=None, source=TimeSource.FILE, reason=TimeReason.OFFSET_UNKNOWN
        )
    at = datetime.fromisoformat(local).replace(tzinfo=UTC) - timedelta(minutes=offset)
    return ShownTime(at=at, local=local, offset_minutes=offset, source=TimeSource.FILE, reason=reason)


def satellite_time(position: GeoPoint | None, received_at: datetime) -> datetime | None:
    """The time of a fix that came from satellites: other sources take it from the device's clock."""
    if position is None or position.is_mock or position.problem or position.source is not PositionSource.GPS:
        return None
    at = position.fixed_at
    return at if at and UNSET_BEFORE <= at <= received_at + TOLERANCE else None


def _by_the_device(clocks: Clocks, fix: datetime | None) -> list[tuple[TimeSource, datetime, TimeReason]]:
    """What the device's clock comes to, the best first."""
    captured, skew = clocks.captured_at, clocks.skew
    if fix and abs(captured - fix) <= FIX_AGE:
        return [(TimeSource.DEVICE, captured, TimeReason.CONFIRMED_BY_FIX)]
    if skew is None:
        return [(TimeSource.DEVICE, captured, TimeReason.UNCONFIRMED)]
    if abs(skew) <= TOLERANCE:
        return [(TimeSource.DEVICE, captured, TimeReason.CONFIRMED_AT_RECEIPT)]
    found = [(TimeSource.DEVICE, captured, TimeReason.CLOCK_CHANGED)]
    with suppress(OverflowError):  # beyond the calendar
        # To the minute: the skew is not known better, and by milliseconds one phone's reports would be told from another's.
        corrected = (captured - skew).replace(second=0, microsecond=0)
        found.insert(0, (TimeSource.DEVICE_CORRECTED, corrected, TimeReason.SKEW_TAKEN_OFF))
    return found


def _fault(at: datetime, fix: datetime | None, received_at: datetime) -> TimeReason | None:
    """Why it can't have been then."""
    if at < UNSET_BEFORE:
        return TimeReason.CLOCK_UNSET
    if at > received_at + TOLERANCE:
        return TimeReason.CLOCK_AFTER_RECEIPT
    return TimeReason.CLOCK_BEFORE_FIX if fix and at < fix - FIX_LATER else None


def _believed(offset_minutes: int | None) -> int | None:
    """A device's offset as an offset of its place: 0 is what programs say that print UTC and know of no place."""
    return offset_minutes or None


def _shown(at: datetime, offset_minutes: int, source: TimeSource, reason: TimeReason) -> ShownTime:
    local = (at.astimezone(UTC) + timedelta(minutes=offset_minutes)).replace(tzinfo=None)
    return ShownTime(
        at=at,
        local=local.isoformat(timespec="milliseconds"),
        offset_minutes=offset_minutes,
        source=source,
        reason=reason,
    )


PERMITS: tuple[Row, ...] = (("ShownTime", SEEN, "at local offsetMinutes source reason message messageZh"),)
