"""Read and print instants. Stored instants are time zone aware, in UTC and in whole milliseconds.

The UTC offset of a device's clock is stored in a field of its own.
"""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import NewType

import strawberry
from graphql import GraphQLError

ByteCount = NewType("ByteCount", int)
MAX_SAFE_INTEGER = 2**53 - 1
BEIJING = timezone(timedelta(hours=8))
"""Beijing time. The offset is fixed, because China has had no summer time since 1991."""


def to_millis(at: datetime) -> datetime:
    """Return the instant in UTC, cut to whole milliseconds, as MongoDB stores it."""
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def to_minute(at: datetime) -> datetime:
    """Cut a time to the minute. The milliseconds of times can show which records one phone sent together."""
    return at.replace(second=0, microsecond=0)


def offset_minutes(at: datetime) -> int:
    """Return the UTC offset of a device's time in minutes. It is positive east of Greenwich."""
    return int((at.utcoffset() or timedelta()).total_seconds() // 60)


def beijing_day(at: datetime) -> date:
    return at.astimezone(BEIJING).date()


def print_instant(at: datetime) -> str:
    """Return an instant as text in UTC, such as `2026-11-22T02:03:04.567Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_instant(value: object) -> datetime:
    """Read an ISO 8601 instant. The text must have a UTC offset. The result keeps that offset.

    Raise `GraphQLError` if the text is not such an instant, or if the year is not 1900 to 9998.
    """
    if not isinstance(value, str):
        raise GraphQLError("A DateTime is a string such as 2026-11-22T10:03:04+08:00.")
    try:
        at = datetime.fromisoformat(value)
        in_utc = at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise GraphQLError("Write a DateTime as 2026-11-22T10:03:04+08:00.") from error
    if at.tzinfo is None:
        raise GraphQLError("A DateTime needs its offset: 2026-11-22T10:03:04+08:00 or ...Z.")
    # Broken clocks are evidence, so old years pass: a clock that was reset at midnight in Beijing shows 1969 in UTC.
    # Outside these bounds MongoDB and phones fail, and people do not understand the year.
    if not 1900 <= in_utc.year <= 9998:
        raise GraphQLError("A DateTime must be between the years 1900 and 9998.")
    return at


def read_byte_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SAFE_INTEGER:
        raise GraphQLError("A ByteCount is a whole number from 0 to 2^53 - 1.")
    return value


SCALARS: dict[object, strawberry.types.scalar.ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant in ISO 8601. The server prints it in UTC with milliseconds. Input must have a "
        "UTC offset. Any offset is accepted.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=print_instant,
        parse_value=read_instant,
    ),
    ByteCount: strawberry.scalar(
        name="ByteCount",
        description="A number of bytes: a whole number from 0 to 2^53 - 1.",
        serialize=int,
        parse_value=read_byte_count,
    ),
}
