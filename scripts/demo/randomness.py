"""Draw everything random in the demo from one seed, and pick times in office hours.

Each part draws from a stream with a name of its own, so a change to one part does not change the others. The stream's
name acts as part of the seed, so a renamed stream gives other values.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from typing import TypeVar

import strawberry

from schema.core.ids import compose
from schema.core.times import BEIJING, to_millis

T = TypeVar("T")


class SeededRandom:
    """A stream of random values that depends only on the seed and the name."""

    def __init__(self, seed: int, name: str) -> None:
        self._seed, self._name = seed, name
        self._random = Random(f"{seed}/{name}")  # noqa: S311  no secret

    def stream(self, name: object) -> "SeededRandom":
        return SeededRandom(self._seed, f"{self._name}/{name}")

    def pick(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)

    def between(self, least: int, most: int) -> int:
        """Return an integer from `least` to `most`, both included."""
        return self._random.randint(least, most)

    def around(self, middle: float, by: float) -> float:
        return middle + self._random.uniform(-by, by)

    def happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def id(self, prefix: str, at: datetime) -> strawberry.ID:
        return compose(prefix, at, self._random.randbytes(10))


class WorkingDays:
    """Weekdays before the day of `now` in Beijing. Public holidays count as working days."""

    def __init__(self, now: datetime) -> None:
        today = now.astimezone(BEIJING).date()
        days = (today - timedelta(days=count) for count in range(1, 400))
        self._days: list[date] = [day for day in days if day.weekday() < 5]

    def moment(self, ago: int, random: SeededRandom) -> datetime:
        """Return an instant in office hours on an earlier working day.

        `ago` is the number of working days back. 1 is the last full working day.
        """
        first, last = (8 * 60 + 40, 11 * 60 + 50) if random.happens(0.55) else (14 * 60, 17 * 60 + 20)
        seconds = random.between(first * 60, last * 60)
        day = datetime.combine(self._days[ago - 1], time(), BEIJING)
        return to_millis(day + timedelta(seconds=seconds, milliseconds=random.between(0, 999)))
