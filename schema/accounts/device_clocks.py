"""Compare a device's clock (设备时钟) with the server's each time the device states it.

A wrong clock is stored, never refused.
"""

from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row, connection
from schema.core.times import offset_minutes, to_millis

MAX_ROUND_TRIP = timedelta(minutes=10)
"""A longer round trip is not a measurement."""


@strawberry.input(description="What the device's clock shows while it sends the request (设备时钟).")
class DeviceClockInput:
    at: datetime = strawberry.field(
        description="The clock, right or wrong, with its offset. Read it again for every attempt to send."
    )
    round_trip_milliseconds: int | None = strawberry.field(
        description="Duration of the device's last request, both ways. It bounds the error of the comparison.",
        default=None,
    )


@strawberry.type(
    description="A device's clock beside the server's at one moment (时钟读数). Device data: confidential."
)
class ClockReading:
    read_at: datetime = strawberry.field(description="The server's clock.")
    device_at: datetime = strawberry.field(description="The device's clock, as the device sent it.")
    device_offset_minutes: int = strawberry.field(description="The device's offset east of Greenwich, minutes.")
    round_trip_ms: strawberry.Private[int | None]
    user_id: strawberry.Private[str]
    device_id: strawberry.Private[str]

    @property
    def skew(self) -> timedelta:
        """How far the device is ahead of the server; understated by the time that the request took to arrive."""
        return self.device_at - self.read_at

    @strawberry.field(
        description="How far the device is ahead of the server, in seconds. Negative if behind (时钟偏差)."
    )
    def skew_seconds(self) -> float:
        return self.skew / timedelta(seconds=1)

    @strawberry.field(description="How much further ahead it may be, in seconds. Null if the device did not state it.")
    def uncertainty_seconds(self) -> float | None:
        return None if self.round_trip_ms is None else self.round_trip_ms / 1000


def compare_clock(sent: DeviceClockInput, *, user_id: str, device_id: str, now: datetime) -> ClockReading:
    """Return the reading of a device's clock at `now`. Any clock is accepted, however wrong."""
    round_trip = sent.round_trip_milliseconds
    max_round_trip = MAX_ROUND_TRIP // timedelta(milliseconds=1)
    return ClockReading(
        read_at=now,
        device_at=to_millis(sent.at),
        device_offset_minutes=offset_minutes(sent.at),
        round_trip_ms=round_trip if round_trip is not None and 0 <= round_trip <= max_round_trip else None,
        user_id=user_id,
        device_id=device_id,
    )


PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "clockReadings"),
    ("ClockReading", SEEN, "readAt deviceAt deviceOffsetMinutes skewSeconds uncertaintySeconds"),
    *connection("ClockReading"),
)
