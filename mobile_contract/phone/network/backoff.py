"""Limit retries, and add random jitter to the pauses between them, so that phones don't all retry at the same time."""

import random
from dataclasses import dataclass

_random = random.SystemRandom()


@dataclass(frozen=True)
class Backoff:
    """`attempts` is the total number of attempts. The pause doubles from `first_seconds` up to `longest_seconds`."""

    attempts: int = 4
    first_seconds: float = 0.5
    longest_seconds: float = 60.0

    def wait(self, failed: int, *, asked: float | None = None) -> float:
        """Return the seconds to wait after failure number `failed`, counted from 1. Up to half of the pause is random.

        `asked` is the pause that the other side asked for. The phone waits at least so long, but at most
        `longest_seconds`.
        """
        longest = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failed - 1, 30))
        pause: float = longest / 2 + _random.uniform(0, longest / 2)
        return max(pause, min(asked or 0.0, self.longest_seconds))
