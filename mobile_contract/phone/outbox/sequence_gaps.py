"""Find running numbers that the server lacks although the phone has sent them, and store the device's clock error.

The server only reports missing numbers. Only the phone knows which of them are unsent or discarded.
"""

import json
from typing import Any

from mobile_contract.phone.outbox.outbox import Outbox

WINDOW = 1_000
"""The server reports gaps only among this many of the last numbers. Older lost numbers stay recorded."""
_LOST, _FIRST, _SKEW = "lost", "first_own_sequence", "clock_skew_seconds"


class SequenceGaps:
    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def compare(self, payload: dict[str, Any]) -> None:
        """Compare the gaps of a `SyncPayload` with the outbox, and store the lost numbers.

        A number is lost if the server lacks it, and on the phone it is neither unsent nor discarded.
        """
        missing = {number for gap in payload["gaps"] for number in range(gap["first"], gap["last"] + 1)}
        older = {number for number in self.lost if number <= self._outbox.last_sequence - WINDOW}
        unexplained = {number for number in missing - self._outbox.unsent_sequences() if number >= self._first_own}
        clock = payload["clock"] or {}
        with self._outbox.transaction() as database:
            facts = {_LOST: json.dumps(sorted(older | unexplained)), _SKEW: json.dumps(clock.get("skewSeconds"))}
            database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))

    @property
    def lost(self) -> list[int]:
        numbers: list[int] = json.loads(self._outbox.get_fact(_LOST) or "[]")
        return numbers

    @property
    def skew_seconds(self) -> float | None:
        """Return how far this device's clock was ahead of the server's clock at the last sync, or None."""
        seconds: float | None = json.loads(self._outbox.get_fact(_SKEW) or "null")
        return seconds

    @property
    def _first_own(self) -> int:
        """Return the first running number of this person. On earlier phone versions, users could inherit an outbox."""
        return int(self._outbox.get_fact(_FIRST) or 1)
