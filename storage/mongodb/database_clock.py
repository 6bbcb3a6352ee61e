"""Compare this machine's clock with the database's, by the heartbeats that the driver exchanges anyway.

The primary says its time (`localTime`) in every heartbeat, about every ten seconds. So the comparison costs no command,
and it goes on while nobody asks anything. The travel time of a heartbeat makes this clock seem ahead by as much.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from schema.core.refusals import Refusal, RefusalCode
from storage.mongodb.client import Heartbeat, HeartbeatListener

WARN_SECONDS = 5.0
"""From this difference on, operators are told. Machines that keep time by NTP differ by some milliseconds."""
MAX_SECONDS = 60.0
"""Beyond this difference nothing is signed or stored, because every time in it would be wrong."""


class DatabaseClock(HeartbeatListener):
    """How far this machine's clock is ahead of the primary's.

    `own` reads this machine's clock. `tell` is called when the difference passes `WARN_SECONDS` or `MAX_SECONDS`, in
    either direction, in a thread of the driver.
    """

    def __init__(
        self,
        own: Callable[[], datetime] = lambda: datetime.now(UTC),
        tell: Callable[["DatabaseClock"], None] = lambda clock: None,
    ) -> None:
        self._own = own
        self._tell = tell
        self.ahead: float | None = None
        """Seconds that this machine's clock is ahead of the primary's. None before the first heartbeat."""

    @property
    def is_near(self) -> bool:
        return abs(self.ahead or 0) <= WARN_SECONDS

    @property
    def is_right(self) -> bool:
        """Whether times of this machine may be signed and stored."""
        return abs(self.ahead or 0) <= MAX_SECONDS

    def check(self) -> None:
        """Raise `Refusal(UNAVAILABLE)` if times of this machine may not be signed or stored."""
        if not self.is_right:
            detail = f"The server's clock is {self.describe()}. Nothing was stored. Try again later."
            raise Refusal(RefusalCode.UNAVAILABLE, detail)

    def describe(self) -> str:
        if self.ahead is None:
            return "not compared with the database's yet"
        side = "ahead of" if self.ahead > 0 else "behind"
        return f"{abs(self.ahead):.1f} s {side} the database's"

    def started(self, event: Heartbeat) -> None:
        """Do nothing: the answer has the time."""

    def succeeded(self, event: Heartbeat) -> None:
        hello = event.reply.document
        if hello.get("isWritablePrimary") or hello.get("ismaster"):
            self._compare(hello["localTime"])

    def failed(self, event: Heartbeat) -> None:
        """Keep the last comparison, because the clocks have not changed by this."""

    def _compare(self, local_time: datetime) -> None:
        before = (self.is_near, self.is_right)
        self.ahead = (self._own() - local_time.replace(tzinfo=UTC)).total_seconds()
        if (self.is_near, self.is_right) != before:
            self._tell(self)
