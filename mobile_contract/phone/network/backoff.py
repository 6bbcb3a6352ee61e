"""Limit retries, and choose the pause between them with jitter, so that phones don't retry in step."""

import random
from dataclasses import dataclass

_random = random.SystemRandom()


@dataclass(frozen=True)
class Backoff:
    """`attempts` is the total number. The pause doubles from `first_seconds` to at most `longest_seconds`."""

    attempts: int = 4
    first_seconds: float = 0.5
    longest_seconds: float = 60.0

    def wait(self, failed: int, *, asked: float | None = None) -> float:
        """Return the seconds to wait after the `failed`-th failure, counted from 1: half of it fixed, half random.

        `asked` is the pause that the other side asked for. It counts up to `longest_seconds`.
        """
        longest = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failed - 1, 30))
        pause: float = longest / 2 + _random.uniform(0, longest / 2)
        return max(pause, min(asked or 0.0, self.longest_seconds))
