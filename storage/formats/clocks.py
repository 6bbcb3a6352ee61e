"""Read the times that cameras write, in the spellings that other readers take, too."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone


@dataclass(frozen=True)
class WallTime:
    """The time that a camera's clock showed, without a time zone.

    `offset_minutes` is the clock's offset from UTC, positive to the east. None means unknown.
    """

    at: datetime
    offset_minutes: int | None = None

    def instant(self) -> datetime | None:
        """Convert the time to UTC. Return None if the offset is unknown."""
        if self.offset_minutes is None:
            return None
        return self.at.replace(tzinfo=timezone(timedelta(minutes=self.offset_minutes))).astimezone(UTC)


_OFFSET_SPELLING = r"(?:UTC|GMT)?\ ?[+-][0-9]{1,2}(?::?[0-9]{2}){0,2}|Z|UTC|GMT"
_NOON = r"AM|PM|a\.m\.|p\.m\.|上午|下午|凌晨|中午|晚上"
_WALL = re.compile(
    rf"""(?P<year>[0-9]{{4}})(?:[:/.-]|年)\ ?(?P<month>[0-9]{{1,2}})(?:[:/.-]|月)\ ?(?P<day>[0-9]{{1,2}})日?
    (?:,?\ {{1,3}}|T|(?=[AP上下凌中晚]))(?P<before>{_NOON})?\ {{0,2}}
    (?P<hour>[0-9]{{1,2}})[:时]\ ?(?P<minute>[0-9]{{1,2}})
    (?:[:分]\ ?(?P<second>[0-9]{{1,2}})秒?(?:[.,](?P<fraction>[0-9]{{1,9}}))?)?
    \ ?(?P<after>{_NOON})?\ ?(?P<offset>{_OFFSET_SPELLING})?""",
    re.ASCII | re.VERBOSE | re.IGNORECASE,
)
_COMPACT = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[ T]?(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})"
    rf"(?:(?P<second>[0-9]{{2}})(?:[.,](?P<fraction>[0-9]{{1,9}}))?)? ?(?P<offset>{_OFFSET_SPELLING})?",
    re.ASCII | re.IGNORECASE,
)
_OFFSET = re.compile(r"(?:UTC|GMT)? ?([+-])([0-9]{1,2})(?::?([0-9]{2}))?(?::?00)?", re.ASCII | re.IGNORECASE)
_AFTERNOON = frozenset({"pm", "p.m.", "下午", "中午", "晚上"})


def parse_wall_time(text: str | None) -> WallTime | None:
    """Parse `2018:07:25 16:34:23` (EXIF) or `2018-07-25T16:34:23.93+02:00` (XMP). Return None if it is not a time.

    Other separators, single digits, spaces for zeros, no separators and twelve-hour clocks are read, too.
    """
    match = _WALL.fullmatch(text or "") or _COMPACT.fullmatch(text or "")
    if not match:
        return None
    parts = match.groupdict()
    year, month, day, minute, second = (int(parts[name] or 0) for name in ("year", "month", "day", "minute", "second"))
    hour = _hour_of_day(int(parts["hour"]), parts.get("before") or parts.get("after"))
    try:
        at = datetime(year, month, day, hour, minute, min(second, 59), microseconds(parts["fraction"]))  # noqa: DTZ001  a clock without zone
    except ValueError:
        return None
    if second > 60:
        return None
    # Other years are from unset clocks, and could overflow once an offset is applied.
    at += timedelta(seconds=second == 60)  # a leap second
    return WallTime(at, parse_offset(parts["offset"])) if 1900 <= at.year <= 9998 else None


def _hour_of_day(hour: int, half: str | None) -> int:
    """Return the hour of 24 from an hour with the half of the day. Hours above 12 are of 24 already."""
    if half is None or hour > 12:
        return hour
    return hour % 12 + (12 if half.lower() in _AFTERNOON and not (half == "晚上" and hour == 12) else 0)


def microseconds(fraction: str | None) -> int:
    """Convert the digits after a second's decimal point to microseconds."""
    return int((fraction or "").ljust(6, "0")[:6])


def parse_offset(text: str | None) -> int | None:
    """Parse `+08:00`, `+8`, `UTC+8` or `Z` to minutes. Return None if no place on earth has this offset."""
    if (text or "").upper() in {"Z", "UTC", "GMT"}:
        return 0
    match = _OFFSET.fullmatch(text or "")
    if not match:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    minutes = -minutes if match[1] == "-" else minutes
    return minutes if int(match[3] or 0) < 60 and -12 * 60 <= minutes <= 14 * 60 else None
