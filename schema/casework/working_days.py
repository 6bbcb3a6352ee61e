"""Say which days are working days (工作日), and explain a count of working days step by step."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import strawberry

from schema.casework.statutory_days import knows_lunar_days, statutory_days
from schema.casework.working_years import DECEMBER_FROM, SATURDAY, WorkingYear
from schema.core.times import beijing_day

MAX_COUNT = 400
"""Largest number of working days in a limit: more than any rule has."""
MAX_STEPS = 250
"""A week has at most two steps, and `MAX_COUNT` days have fewer than 90 weeks with their holidays."""


@strawberry.enum(description="In what a limit is counted (时限单位).")
class LimitUnit(enum.Enum):
    WORKING_DAYS = strawberry.enum_value("WORKING_DAYS", description="工作日")
    HALF_DAYS = strawberry.enum_value("HALF_DAYS", description="半个工作日: mornings and afternoons of working days.")
    HOURS = strawberry.enum_value("HOURS", description="工作小时: hours while the office is open.")


@strawberry.enum(description="What a step of a count is (计算步骤).")
class CountStepKind(enum.Enum):
    START = strawberry.enum_value("START", description="起算当日，不计入: the day on which the limit starts.")
    WORKING = strawberry.enum_value("WORKING", description="工作日，计入")
    MADE_UP = strawberry.enum_value("MADE_UP", description="调休上班，计入: a weekend day that is worked.")
    WEEKEND = strawberry.enum_value("WEEKEND", description="周末，不计入")
    HOLIDAY = strawberry.enum_value("HOLIDAY", description="节假日，不计入")
    PAUSED = strawberry.enum_value("PAUSED", description="中止，不计入: the limit is paused.")


K = CountStepKind
COUNTED = frozenset({K.WORKING, K.MADE_UP})


@strawberry.type(description="Consecutive days of one kind in a count (计算步骤).")
class CountStep:
    kind: CountStepKind = strawberry.field(description="Whether the days count, and why.")
    first_day: date = strawberry.field(description="First of the days.")
    last_day: date = strawberry.field(description="Last of the days.")
    counted: int = strawberry.field(
        description="What is counted at the end of these days: working days, half days or minutes (累计)."
    )
    name: str | None = strawberry.field(description="Name of the holiday, or reason of the pause.", default=None)
    minutes: int | None = strawberry.field(
        description="Minutes counted on these days. Null unless the limit is in hours.", default=None
    )
    assumed: bool = strawberry.field(
        description="Whether the year's calendar is missing, so that weekends and statutory days are assumed (暂定).",
        default=False,
    )


@dataclass(frozen=True)
class Count:
    """The result of a count. `due_at` is None if the limit is paused at its end, or if no day can be counted.

    `waits_for` are the years that have no record and that the count meets.
    """

    due_at: datetime | None
    steps: tuple[CountStep, ...]
    waits_for: tuple[int, ...]

    @property
    def due_on(self) -> date | None:
        return beijing_day(self.due_at) if self.due_at else None

    @property
    def provisional(self) -> bool:
        return bool(self.waits_for)


class WorkingCalendar:
    """The days that the given records arrange, with at most one record for each year."""

    def __init__(self, years: Iterable[WorkingYear]) -> None:
        self.loaded: set[int] = set()
        self._days: dict[date, tuple[CountStepKind, str]] = {}
        for year in sorted(years, key=lambda one: one.year):
            self.loaded.add(year.year)
            self._days |= {day: (K.HOLIDAY, period.name) for period in year.holidays for day in period.days()}
            self._days |= {day.on: (K.MADE_UP, day.name) for day in year.make_up_days}

    def is_working_day(self, day: date) -> bool:
        return self.kind_of(day)[0] in COUNTED

    def kind_of(self, day: date) -> tuple[CountStepKind, str | None]:
        """Return what the day is, and the name of its holiday. In a missing year, days off by law are assumed."""
        if known := self._days.get(day):
            return known
        if day.year not in self.loaded and (name := statutory_days(day.year).get(day)):
            return K.HOLIDAY, name
        return (K.WEEKEND if day.weekday() >= SATURDAY else K.WORKING), None

    def waits_for(self, day: date) -> int | None:
        """Return the missing year whose record decides what this day is. Return None if it is decided."""
        if day.year not in self.loaded:
            return day.year
        if (day.month, day.day) >= (12, DECEMBER_FROM) and day.year + 1 not in self.loaded:
            return day.year + 1
        return None


def reason_of(waits_for: Sequence[int]) -> str | None:
    """Say in a sentence why a count that meets these missing years is provisional. Return None if it is not."""
    if not waits_for:
        return None
    days = "statutory days"
    if not all(map(knows_lunar_days, waits_for)):
        days += " with a fixed date (those of the lunar festivals are not known)"
    years = ", ".join(map(str, waits_for))
    return f"The calendar of {years} is not loaded. The limit is counted from weekends and {days} until it is."


@strawberry.type(description="A count of working days, with its explanation (工作日计算).")
class WorkingDayCount:
    started_on: date = strawberry.field(description="The day from which was counted. It does not count itself.")
    count: int = strawberry.field(description="Number of working days (工作日数).")
    due_on: date = strawberry.field(description="The last of the working days (截止日期).")
    provisional: bool = strawberry.field(
        description="Whether the count meets a year whose calendar is not loaded (暂定)."
    )
    reason: str | None = strawberry.field(description="Why the count is provisional. Null if it is not.")
    why: list[CountStep] = strawberry.field(description="The count step by step (计算过程).")
