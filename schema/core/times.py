"""Times: instants are aware, in UTC and whole milliseconds; a device's own offset is kept beside them.

What is late, and on which working day, is left to the nouns that have deadlines.
"""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import NewType

import strawberry
from graphql import GraphQLError

ByteCount = NewType("ByteCount", int)
MAX_SAFE_INTEGER = 2**53 - 1
BEIJING = timezone(timedelta(hours=8))
"""As it has been since 1991, without summer time."""


def to_millis(at: datetime) -> datetime:
    """The instant in UTC as MongoDB keeps it, cut to whole milliseconds."""
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def offset_minutes(at: datetime) -> int:
    """Minutes east of Greenwich that the device's clock was set to."""
    return int((at.utcoffset() or timedelta()).total_seconds() // 60)


def beijing_day(at: datetime) -> date:
    return at.astimezone(BEIJING).date()


def print_instant(at: datetime) -> str:
    """`2026-11-22T02:03:04.567Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_instant(value: object) -> datetime:
    """An ISO 8601 instant with its offset, kept as sent; an offset must be given."""
    if not isinstance(value, str):
        raise GraphQLError("A DateTime is a string such as 2026-11-22T10:03:04+08:00.")
    try:
        at = datetime.fromisoformat(value)
        in_utc = at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise GraphQLError("A DateTime is written as 2026-11-22T10:03:04+08:00.") from error
    if at.tzinfo is None:
        raise GraphQLError("A DateTime carries its offset: 2026-11-22T10:03:04+08:00 or ...Z.")
    # A clock that was reset at midnight in Beijing shows 1969 in UTC: broken clocks are evidence, back to where MongoDB,
    # phones and people all stop making sense of years.
    if not 1900 <= in_utc.year <= 9998:
        raise GraphQLError("A DateTime lies between the years 1900 and 9998.")
    return at


def read_byte_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SAFE_INTEGER:
        raise GraphQLError("A ByteCount is a whole number from 0 to 2^53 - 1.")
    return value


SCALARS: dict[object, strawberry.types.scalar.ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant, ISO 8601: printed in UTC with milliseconds, read with any offset, which must be given.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=print_instant,
        parse_value=read_instant,
    ),
    ByteCount: strawberry.scalar(
        name="ByteCount",
        description="A whole number of bytes, up to 2^53 - 1.",
        serialize=int,
        parse_value=read_byte_count,
    ),
}
