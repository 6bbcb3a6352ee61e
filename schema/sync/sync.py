"""Syncs (同步): what a phone and the server tell each other each time they meet, beside what is handed in.

What has changed is in `changes.py`, a device's clock in `clocks.py`.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import groupby

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row
from schema.accounts.device_clocks import ClockReading, DeviceClockInput
from schema.core.pagination import MAX_PAGE
from schema.sync.changes import ChangeKind, ChangesResult

WINDOW = 1_000
"""So many of a device's last numbers are looked through for gaps."""


@strawberry.input(description="What a phone says and wants as it meets the server (同步).")
class SyncInput:
    device_clock: DeviceClockInput | None = strawberry.field(
        description="What the device's clock shows (设备时钟).", default=None
    )
    last_sequence: int | None = strawberry.field(
        description="The last running number that the device has given to an observation: up to it, gaps are told.",
        default=None,
    )
    since: str | None = strawberry.field(description="As of `changes`.", default=None)
    kinds: list[ChangeKind] | None = strawberry.field(description="As of `changes`; all where null.", default=None)
    first: int = strawberry.field(description="As of `changes`, 1 to 100.", default=MAX_PAGE)


@strawberry.type(description="Running numbers of a device under which the server has nothing (缺号).")
class SequenceGap:
    first: int = strawberry.field(description="The first that is missing.")
    last: int = strawberry.field(description="The last that is missing, of those in a row.")


@strawberry.type(description="What the server says of the device's clock and numbers, and what has changed.")
class SyncPayload:
    server_time: datetime = strawberry.field(description="The server's clock as the request came.")
    clock: ClockReading | None = strawberry.field(
        description="The device's clock beside it; null where the device did not say."
    )
    gaps: list[SequenceGap] = strawberry.field(
        description="Numbers up to `lastSequence` under which nothing has arrived: each waits on the device, was"
        " discarded there, or is lost. Of the last 1,000."
    )
    changes: ChangesResult = strawberry.field(description="As of `Query.changes`.")


def gaps(known: Collection[int], last: int) -> list[SequenceGap]:
    """Runs of numbers missing from `known`, of the last `WINDOW` up to `last`."""
    return [SequenceGap(first=run[0], last=run[-1]) for run in _runs(known, last)]


def _runs(known: Collection[int], last: int) -> Iterator[list[int]]:
    have = frozenset(known)
    for missing, numbers in groupby(range(first_of(last), last + 1), lambda number: number not in have):
        if missing:
            yield list(numbers)


def first_of(last: int) -> int:
    """The first number of the window that ends with `last`."""
    return max(last - WINDOW + 1, 1)


PERMITS: tuple[Row, ...] = (
    ("Mutation", SIGNED_IN, "sync"),
    ("SequenceGap", SEEN, "first last"),
    ("SyncPayload", SEEN, "serverTime clock gaps changes"),
)
