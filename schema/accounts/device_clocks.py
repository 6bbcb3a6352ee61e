"""Clocks (设备时钟): what a device's clock showed each time it said so, beside the server's; a wrong one is kept, never refused.

Which time an observation is shown with is left to `shown_times.py`; how long the readings are kept, to whoever runs the
database.
"""

from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row, connection
from schema.core.times import offset_minutes, to_millis

MAX_ROUND_TRIP = timedelta(minutes=10)
"""What a phone says beyond is no measurement."""


@strawberry.input(description="What the device's clock shows while it sends the request (设备时钟).")
class DeviceClockInput:
    at: datetime = strawberry.field(
        description="The clock, right or wrong, with its offset; read anew for every attempt to send."
    )
    round_trip_milliseconds: int | None = strawberry.field(
        description="How long the device's last request took, there and back: how far off the comparison can be.",
        default=None,
    )


@strawberry.type(
    description="A device's clock beside the server's at one moment (时钟读数). Device data: confidential."
)
class ClockReading:
    read_at: datetime = strawberry.field(description="The server's clock.")
    device_at: datetime = strawberry.field(description="The device's clock, as it said.")
    device_offset_minutes: int = strawberry.field(description="The device's offset east of Greenwich, minutes.")
    round_trip_ms: strawberry.Private[int | None]
    user_id: strawberry.Private[str]
    device_id: strawberry.Private[str]

    @property
    def skew(self) -> timedelta:
        """How far the device is ahead of the server; too little by what the request took to arrive."""
        return self.device_at - self.read_at

    @strawberry.field(
        description="How far the device is ahead of the server, seconds; negative when behind (时钟偏差)."
    )
    def skew_seconds(self) -> float:
        return self.skew / timedelta(seconds=1)

    @strawberry.field(description="By how much more it may be ahead, seconds; null where the device did not say.")
    def uncertainty_seconds(self) -> float | None:
        return None if self.round_trip_ms is None else self.round_trip_ms / 1000


def compared(sent: DeviceClockInput, *, user_id: str, device_id: str, now: datetime) -> ClockReading:
    """The reading that a device's word makes at `now`; no clock is too wrong to be kept."""
    round_trip = sent.round_trip_milliseconds
    longest = MAX_ROUND_TRIP // timedelta(milliseconds=1)
    return ClockReading(
        read_at=now,
        device_at=to_millis(sent.at),
        device_offset_minutes=offset_minutes(sent.at),
        round_trip_ms=round_trip if round_trip is not None and 0 <= round_trip <= longest else None,
        user_id=user_id,
        device_id=device_id,
    )


PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "clockReadings"),
    ("ClockReading", SEEN, "readAt deviceAt deviceOffsetMinutes skewSeconds uncertaintySeconds"),
    *connection("ClockReading"),
)
