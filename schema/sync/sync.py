"""Define the sync of a phone with the server: clock, sequence gaps and changes (同步)."""

from collections.abc import Sequence
from datetime import datetime

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row
from schema.accounts.device_clocks import ClockReading, DeviceClockInput
from schema.core.pagination import MAX_PAGE
from schema.sync.changes import ChangeKind, ChangesResult


@strawberry.input(description="The state of the phone, and the changes that the phone requests (同步).")
class SyncInput:
    device_clock: DeviceClockInput | None = strawberry.field(
        description="What the device's clock shows while the phone sends this request (设备时钟).", default=None
    )
    last_sequence: int | None = strawberry.field(
        description="The last sequence number that the device gave to an observation. Gaps are reported up to this number.",
        default=None,
    )
    since: str | None = strawberry.field(
        description="Cursor of the previous pull, as in `Query.changes`. Null pulls everything.", default=None
    )
    kinds: list[ChangeKind] | None = strawberry.field(
        description="Kinds of records to pull, as in `Query.changes`. Null means all kinds.", default=None
    )
    first: int = strawberry.field(
        description="Maximum number of changes, 1 to 100, as in `Query.changes`.", default=MAX_PAGE
    )


@strawberry.type(description="A run of a device's sequence numbers for which the server has no observation (缺号).")
class SequenceGap:
    first: int = strawberry.field(description="The first missing number.")
    last: int = strawberry.field(description="The last missing number of the run.")


@strawberry.type(description="Result of a sync: the clock reading, the sequence gaps and the changes.")
class SyncPayload:
    server_time: datetime = strawberry.field(description="Time on the server's clock when the request arrived.")
    clock: ClockReading | None = strawberry.field(
        description="The device's clock compared with the server's clock. Null if the device did not send its time."
    )
    gaps: list[SequenceGap] = strawberry.field(
        description="Gaps among the last 1,000 numbers up to `lastSequence`. A missing observation still waits on the"
        " device, was discarded there, or is lost."
    )
    changes: ChangesResult = strawberry.field(description="The changes, as `Query.changes` returns them.")


def gaps(missing: Sequence[int]) -> list[SequenceGap]:
    """Return the runs of missing numbers. `missing` is sorted."""
    found: list[SequenceGap] = []
    for number in missing:
        if found and found[-1].last == number - 1:
            found[-1].last = number
        else:
            found.append(SequenceGap(first=number, last=number))
    return found


PERMITS: tuple[Row, ...] = (
    ("Mutation", SIGNED_IN, "sync"),
    ("SequenceGap", SEEN, "first last"),
    ("SyncPayload", SEEN, "serverTime clock gaps changes"),
)
