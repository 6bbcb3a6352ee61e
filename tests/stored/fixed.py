"""Fixed values that the golden tests store: ids, times, digests and positions."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import strawberry

from schema.core.nodes import Node
from schema.geography.positions import Datum, GeoPoint, PositionProblem, PositionSource

R = TypeVar("R", bound=Node)
NOW = datetime(2026, 11, 20, 1, 5, 0, 123_000, UTC)
PATH = "0123456789ab/ba9876543210/"
PATH_ABOVE = "0123456789ab/"
DIGEST = "0123456789abcdef" * 4
OTHER_DIGEST = "fedcba9876543210" * 4

POSITION = GeoPoint(
    latitude=25.8551721,
    longitude=114.7113913,
    original_latitude=25.8587,
    original_longitude=114.7227,
    original_datum=Datum.BD09,
    accuracy_metres=12.5,
    altitude_metres=124.0,
    source=PositionSource.FUSED,
    is_mock=True,
    fixed_at=datetime(2026, 11, 20, 1, 2, 3, 456_000, UTC),
    original_altitude_metres=124.0,
    datum=Datum.WGS84,
)
UNUSABLE_POSITION = GeoPoint(
    latitude=None,
    longitude=None,
    original_latitude=0.0,
    original_longitude=0.0,
    original_altitude_metres=99_999.0,
    problem=PositionProblem.NULL_ISLAND,
)


def fixed_id(prefix: str, number: int = 1) -> strawberry.ID:
    return strawberry.ID(f"{prefix}_01a2008d-7400-7000-8000-{number:012x}")


def by_id(records: Iterable[R]) -> list[R]:
    """Sort records by id, because storage returns some records in no fixed order."""
    return sorted(records, key=lambda record: record.id)


def minutes(count: float) -> datetime:
    """Return the time that is `count` minutes after `NOW`."""
    return NOW + timedelta(minutes=count)
