"""Choose the clock that gives the shown time (显示时间) of an observation or a medium, and say why.

The record also keeps the unchanged time of every clock.
"""

import enum
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, Row
from schema.core.times import to_minute
from schema.geography.positions import GeoPoint, PositionSource

TOLERANCE = timedelta(minutes=2)
"""Two clocks agree if they differ by at most this, because phones drift by seconds and slow requests take seconds."""
FIX_AGE = timedelta(minutes=10)
"""A fix confirms the device's clock if the two times differ by at most this. Indoors, phones return their last fix."""
FIX_LATER = timedelta(hours=12)
"""How much later than the capture the satellite fix may be. If the fix is even later, the device's clock is wrong.

An observation may begin in the morning and end in the evening.
"""
UNSET_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
"""No supported phone is older than this. A clock that shows an earlier time lost its power and was not set again."""


@strawberry.enum(description="The clock that gives the shown time (时间来源).")
class TimeSource(enum.Enum):
    DEVICE = strawberry.enum_value("DEVICE", description="The device's clock (设备时钟).")
    DEVICE_CORRECTED = strawberry.enum_value(
        "DEVICE_CORRECTED",
        description="The device's clock minus its skew, which the server measured (校正后的设备时钟).",
    )
    AUTHOR = strawberry.enum_value("AUTHOR", description="The author, who corrected the time (作者更正).")
    SATELLITE = strawberry.enum_value(
        "SATELLITE", description="The time of the satellite fix in the position (卫星定位时间)."
    )
    FILE = strawberry.enum_value("FILE", description="The time in the file, usually EXIF (文件内时间).")
    RECEIPT = strawberry.enum_value(
        "RECEIPT", description="The server's clock when the server received the record (服务器接收时间)."
    )


@strawberry.enum(description="Why this time is shown. `ShownTime.message` explains the reason.")
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
        "The device's clock was not compared with another clock.",
        "按设备时钟，未与其他时钟比对。",
    ),
    TimeReason.SKEW_TAKEN_OFF: (
        "The device's clock was wrong when this was sent. The shown time corrects the difference.",
        "提交时设备时钟有偏差，已按偏差校正。",
    ),
    TimeReason.CLOCK_CHANGED: (
        "The device's clock was wrong when this was sent, but not by the same amount at capture. It is not corrected.",
        "提交时设备时钟有偏差，但与记录时的偏差不同，按原时间显示。",
    ),
    TimeReason.CORRECTED_BY_AUTHOR: ("The author corrected the time.", "作者已更正时间。"),
    TimeReason.CLOCK_UNSET: (
        "The device's clock was not set: it showed a year before 2020.",
        "设备时钟未设置，显示早于2020年。",
    ),
    TimeReason.CLOCK_AFTER_RECEIPT: (
        "The device's clock showed a time after the server received this.",
        "设备时钟晚于服务器接收时间。",
    ),
    TimeReason.CLOCK_BEFORE_FIX: (
        "The device's clock showed a time well before the satellite fix that was sent with it.",
        "设备时钟明显早于所附卫星定位时间。",
    ),
    TimeReason.OFFSET_IN_FILE: ("The file contains the time and its offset.", "文件内有时间和时区。"),
    TimeReason.OFFSET_ASSUMED: (
        "The file contains no offset. The offset of the device that sent it is assumed.",
        "文件内无时区，按提交设备的时区推定。",
    ),
    TimeReason.OFFSET_UNKNOWN: (
        "The file contains no offset, and no offset can be assumed. Only the local time is known.",
        "文件内无时区且无法推定，仅为当地时间。",
    ),
    TimeReason.NO_TIME_AT_ALL: (
        "Neither the file nor the device has a time. This is when the medium was declared.",
        "文件与设备均未说明时间，按申报到达时间。",
    ),
}
"""For each reason, the sentence that users read: in English and in Chinese."""


@strawberry.type(description="The time to show, the clock that gives this time, and the reason (显示时间).")
class ShownTime:
    at: datetime | None = strawberry.field(description="The time as an instant. Null if only the local time is known.")
    local: str = strawberry.field(
        description="The local time without UTC offset, such as `2026-11-22T10:03:04.120` (当地时间)."
    )
    offset_minutes: int | None = strawberry.field(
        description="Offset of `local` in minutes east of Greenwich. Null if unknown."
    )
    source: TimeSource = strawberry.field(description="The clock that gives this time.")
    reason: TimeReason = strawberry.field(description="Why this time is shown.")

    def to_minute(self) -> "ShownTime":
        """Return the same time, cut to the minute."""
        local = datetime.fromisoformat(self.local).replace(second=0, microsecond=0)
        return replace(self, at=to_minute(self.at) if self.at else None, local=local.isoformat(timespec="milliseconds"))

    @strawberry.field(description="The reason as a sentence in English.")
    def message(self) -> str:
        return SENTENCES[self.reason][0]

    @strawberry.field(description="The reason as a sentence in Chinese (中文说明).")
    def message_zh(self) -> str:
        return SENTENCES[self.reason][1]


@dataclass(frozen=True)
class Clocks:
    """The times that clocks give for an observation or a medium, except a time inside a file.

    `captured_at`, `offset_minutes` and `position` are from the device. `skew` is how far the device's clock was ahead
    of the server's when the device sent the record, or None if unknown. `is_correction` is true if the author changed
    the time afterwards.
    """

    captured_at: datetime
    offset_minutes: int
    received_at: datetime
    position: GeoPoint | None = None
    skew: timedelta | None = None
    is_correction: bool = False


def time_of_observation(clocks: Clocks) -> ShownTime:
    """Choose the first of these times that no other clock contradicts.

    1. The author's correction.
    2. The device's clock, if a satellite fix confirms it.
    3. The device's clock minus its skew, to the minute, if the skew is more than `TOLERANCE`.
    4. The device's clock unchanged. If it has a skew, the clock may have been set between capture and submission.
    5. The satellite fix, otherwise the time of receipt.
    """
    if clocks.is_correction:
        return _shown_time(clocks.captured_at, clocks.offset_minutes, TimeSource.AUTHOR, TimeReason.CORRECTED_BY_AUTHOR)
    fix = satellite_time(clocks.position, clocks.received_at)
    faults = []
    for source, at, reason in _device_times(clocks, fix):
        fault = _find_fault(at, fix, clocks.received_at)
        if fault is None:
            return _shown_time(at, clocks.offset_minutes, source, reason)
        faults.append(fault)
    source, at = (TimeSource.SATELLITE, fix) if fix else (TimeSource.RECEIPT, clocks.received_at)
    return _shown_time(at, clocks.offset_minutes, source, faults[-1])


def time_of_medium(
    *,
    local: str | None,
    file_offset_minutes: int | None,
    device_offset_minutes: int | None,
    announced: Clocks | None,
    expected_at: datetime,
) -> ShownTime:
    """Choose the time in the file, otherwise the device's time, otherwise the time of the declaration.

    A time without an offset is never taken for UTC. `local` is the time in the file, such as `2026-11-22T10:03:04.120`.
    `device_offset_minutes` is the offset of the medium's observation. `announced` has the device's time for the medium.
    The device's time is judged as for an observation.
    """
    # 0 says nothing about the place: programs without a zone print UTC.
    assumed = device_offset_minutes or None
    if local is None:
        if announced is None:
            return _shown_time(expected_at, assumed or 0, TimeSource.RECEIPT, TimeReason.NO_TIME_AT_ALL)
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
    """Return the time of the satellite fix. Return None if the position has no usable time.

    Only satellite fixes count. Other sources of positions copy the device's clock, so they prove nothing.
    """
    if position is None or position.is_mock or position.problem or position.source is not PositionSource.GPS:
        return None
    at = position.fixed_at
    return at if at and UNSET_BEFORE <= at <= received_at + TOLERANCE else None


def _device_times(clocks: Clocks, fix: datetime | None) -> list[tuple[TimeSource, datetime, TimeReason]]:
    """List the times that the device's clock may mean, each with source and reason. The most reliable comes first."""
    captured, skew = clocks.captured_at, clocks.skew
    if fix and abs(captured - fix) <= FIX_AGE:
        return [(TimeSource.DEVICE, captured, TimeReason.CONFIRMED_BY_FIX)]
    if skew is None:
        return [(TimeSource.DEVICE, captured, TimeReason.UNCONFIRMED)]
    if abs(skew) <= TOLERANCE:
        return [(TimeSource.DEVICE, captured, TimeReason.CONFIRMED_AT_RECEIPT)]
    times = [(TimeSource.DEVICE, captured, TimeReason.CLOCK_CHANGED)]
    with suppress(OverflowError):  # outside the calendar
        # To the minute: the skew is no more exact than that, and milliseconds would show which reports are from one phone.
        corrected = (captured - skew).replace(second=0, microsecond=0)
        times.insert(0, (TimeSource.DEVICE_CORRECTED, corrected, TimeReason.SKEW_TAKEN_OFF))
    return times


def _find_fault(at: datetime, fix: datetime | None, received_at: datetime) -> TimeReason | None:
    """Return the reason why `at` is impossible. Return None if it is possible."""
    if at < UNSET_BEFORE:
        return TimeReason.CLOCK_UNSET
    if at > received_at + TOLERANCE:
        return TimeReason.CLOCK_AFTER_RECEIPT
    return TimeReason.CLOCK_BEFORE_FIX if fix and at < fix - FIX_LATER else None


def _shown_time(at: datetime, offset_minutes: int, source: TimeSource, reason: TimeReason) -> ShownTime:
    local = (at.astimezone(UTC) + timedelta(minutes=offset_minutes)).replace(tzinfo=None)
    return ShownTime(
        at=at,
        local=local.isoformat(timespec="milliseconds"),
        offset_minutes=offset_minutes,
        source=source,
        reason=reason,
    )


PERMITS: tuple[Row, ...] = (("ShownTime", SEEN, "at local offsetMinutes source reason message messageZh"),)
