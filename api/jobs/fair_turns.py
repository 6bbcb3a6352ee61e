"""Share a worker's time fairly among the people whose work waits (start-time fair queueing, Goyal et al. 1996).

Time is what people share, because one piece of work can take a thousand times as long as another.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class FairTurns:
    """Chooses whose work is next: the person who has used least time, and of equals the one who has waited longest.

    A person who comes new, or again after a pause, begins where the person stands whose turn it is. So nobody saves up
    time, and nobody is held back for time that was used while no one else waited. `clock` returns seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _used: dict[str, float] = field(default_factory=dict)
    """Seconds used by each known person, the one who has waited longest first."""
    _level: float = 0.0
    """What the person whose turn it was last had used."""

    def order(self, waiting: Collection[str]) -> list[str]:
        """Return the people whose work waits, in the order of their turns."""
        present = set(waiting)
        self._used = {person: used for person, used in self._used.items() if person in present or used > self._level}
        for person in waiting:
            self._used[person] = max(self._used.get(person, 0.0), self._level)
        return sorted((person for person in self._used if person in present), key=self._used.__getitem__)

    @contextmanager
    def take(self, person: str) -> Iterator[None]:
        """Charge the person for the time that the block takes."""
        self._level = max(self._level, self._used.pop(person, 0.0))
        began = self.clock()
        try:
            yield
        finally:
            self._used[person] = self._level + self.clock() - began
