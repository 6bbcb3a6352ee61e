"""Numbers: which running numbers the server lacks though they were handed in, and how wrong this device's clock is.

The server only counts; what waits or was let go of is known here alone.
"""

import json
from typing import Any

from mobile_contract.phone.outbox.outbox import Outbox

WINDOW = 1_000
"""So many of the last numbers are compared; what was found lost before stays so."""
_LOST, _FIRST, _SKEW = "lost", "first_own_sequence", "clock_skew_seconds"


class SequenceGaps:
    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def compare(self, met: dict[str, Any]) -> None:
        """Heed a `SyncPayload`: a number that is missing there, and neither waits here nor was let go of, is lost."""
        missing = {number for gap in met["gaps"] for number in range(gap["first"], gap["last"] + 1)}
        older = {number for number in self.lost if number <= self._outbox.last_sequence - WINDOW}
        unexplained = {number for number in missing - self._outbox.unsent_sequences() if number >= self._first_own}
        clock = met["clock"] or {}
        with self._outbox.transaction() as database:
            facts = {_LOST: json.dumps(sorted(older | unexplained)), _SKEW: json.dumps(clock.get("skewSeconds"))}
            database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))

    @property
    def lost(self) -> list[int]:
        found: list[int] = json.loads(self._outbox.get_fact(_LOST) or "[]")
        return found

    @property
    def skew_seconds(self) -> float | None:
        """How far this device's clock was ahead of the server's when they last met."""
        found: float | None = json.loads(self._outbox.get_fact(_SKEW) or "null")
        return found

    @property
    def _first_own(self) -> int:
        """Earlier phones were handed on with their outbox: the numbers before are another person's."""
        return int(self._outbox.get_fact(_FIRST) or 1)
