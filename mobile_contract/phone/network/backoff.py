"""Backing off: how often something is tried, and how long to wait in between, with jitter so that phones don't march in step.

What may be tried again is left to whoever asks.
"""

import random
from dataclasses import dataclass

_random = random.SystemRandom()


@dataclass(frozen=True)
class Backoff:
    """`attempts` in all; the wait doubles from `first_seconds` to at most `longest_seconds`."""

    attempts: int = 4
    first_seconds: float = 0.5
    longest_seconds: float = 60.0

    def wait(self, failed: int, *, asked: float | None = None) -> float:
        """Seconds to wait after the `failed`-th failure (1 for the first): half of it fixed, half chance.

        `asked` is what the other side wished for; it is honoured up to `longest_seconds`.
        """
        whole = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failed - 1, 30))
        chosen: float = whole / 2 + _random.uniform(0, whole / 2)
        return max(chosen, min(asked or 0.0, self.longest_seconds))
