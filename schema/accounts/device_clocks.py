"""Compare a device's clock (设备时钟) with the server's clock when the device sends its time with a request.

A wrong clock is never a reason to refuse a request. Instead, the server records what the clock shows.
"""

from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row, connection
from schema.core.times import offset_minutes, to_millis

MAX_ROUND_TRIP = timedelta(minutes=10)
"""A longer round trip is ignored, because it can't be a real measurement."""


@strawberry.input(description="The time on the device's clock when the device sends the request (设备时钟).")
class DeviceClockInput:
    at: datetime = strawberry.field(
        description="Time on the device's clock, with its UTC offset. Send it even if the clock is wrong. Read the"
        " clock again for each attempt to send."
    )
    round_trip_milliseconds: int | None = strawberry.field(
        description="Milliseconds that the device's previous request took, from sending it to receiving the answer."
        " The error of the comparison is at most about this long.",
        default=None,
    )


@strawberry.type(
    description="The times on a device's clock and on the server's clock at one moment (时钟读数). Confidential: it is data"
    " about a person's device."
)
class ClockReading:
    read_at: datetime = strawberry.field(description="Time on the server's clock.")
    device_at: datetime = strawberry.field(description="Time on the device's clock, as the device sent it.")
    device_offset_minutes: int = strawberry.field(
        description="UTC offset of the device's clock, in minutes. Positive east of Greenwich."
    )
    round_trip_ms: strawberry.Private[int | None]
    user_id: strawberry.Private[str]
    device_id: strawberry.Private[str]

    @property
    def skew(self) -> timedelta:
        """How far the device's clock is ahead of the server's clock.

        The true difference is larger by the time that the request took to arrive.
        """
        return self.device_at - self.read_at

    @strawberry.field(
        description="How far the device's clock is ahead of the server's clock, in seconds (时钟偏差). Negative if the"
        " device's clock is behind."
    )
    def skew_seconds(self) -> float:
        return self.skew / timedelta(seconds=1)

    @strawberry.field(
        description="The device's clock may be up to this many seconds further ahead than `skewSeconds` says, because"
        " the request took time to arrive. Null if the device sent no usable round trip."
    )
    def uncertainty_seconds(self) -> float | None:
        return None if self.round_trip_ms is None else self.round_trip_ms / 1000


def compare_clock(sent: DeviceClockInput, *, user_id: str, device_id: str, now: datetime) -> ClockReading:
    """Return the comparison of a device's clock with the server's clock at `now`. A wrong clock is accepted too."""
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
