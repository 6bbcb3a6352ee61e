"""Count limits a second time, in another way than the product: by sets of days, and by walking quarters of an hour.

Nothing here uses the product's calendar or its counters. The records of years are only read.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta, timezone

from schema.casework.statutory_days import statutory_days
from schema.casework.working_years import WorkingYear

BEIJING = timezone(timedelta(hours=8))
QUARTER = timedelta(minutes=15)
OPEN = ((time(9), time(12)), (time(13), time(17)))
"""The hours of a working day in these tests."""

Spans = Sequence[tuple[datetime, datetime]]


class SetCounter:
    """All working days and all undecided days between two years, as sorted ordinals."""

    def __init__(self, years: Iterable[WorkingYear], first: int, last: int) -> None:
        years = list(years)
        known = {year.year for year in years}
        days = set(range(date(first, 1, 1).toordinal(), date(last, 12, 31).toordinal() + 1))
        working = {day for day in days if date.fromordinal(day).isoweekday() <= 5}
        for missing in set(range(first, last + 1)) - known:
            working -= {day.toordinal() for day in statutory_days(missing)}
        for year in sorted(years, key=lambda one: one.year):
            for period in year.holidays:
                working -= set(range(period.first_day.toordinal(), period.last_day.toordinal() + 1))
            working |= {day.on.toordinal() for day in year.make_up_days} & days
        undecided = {day for day in days if date.fromordinal(day).year not in known}
        undecided |= {
            day
            for day in days
            if date.fromordinal(day).strftime("%m%d") >= "1225" and date.fromordinal(day).year + 1 not in known
        }
        self.working, self.undecided = sorted(working), sorted(undecided)
        self._working, self._undecided = working, undecided

    def days(self, start: datetime, amount: int, pauses: Spans) -> tuple[date, bool]:
        """Return the last day of a limit in working days, and whether it is provisional."""
        first = start.astimezone(BEIJING).date().toordinal()
        paused = {
            day
            for since, until in pauses
            for day in range(
                since.astimezone(BEIJING).date().toordinal(), until.astimezone(BEIJING).date().toordinal() + 1
            )
        }
        position = bisect_right(self.working, first) + amount - 1
        due = self.working[position]
        while (lost := sum(first < day <= due and day in self._working for day in paused)) > 0:
            moved = self.working[bisect_right(self.working, first) + amount - 1 + lost]
            if moved == due:
                break
            due = moved
        met = self.undecided[bisect_right(self.undecided, first) : bisect_right(self.undecided, due)]
        return date.fromordinal(due), any(day not in paused for day in met)

    def half_days(self, start: datetime, amount: int, pauses: Spans) -> datetime:
        """Return the end of a limit in half days."""
        first = start.astimezone(BEIJING).date().toordinal()
        ends = [
            at(day, closes)
            for day in range(first, first + 100)
            if day in self._working
            for opens, closes in OPEN
            if at(day, opens) > start
            and not any(since < at(day, closes) and until >= at(day, opens) for since, until in pauses)
        ]
        return ends[amount - 1]

    def hours(self, start: datetime, amount: int, pauses: Spans) -> datetime:
        """Return the end of a limit in hours. All times are whole quarters of an hour."""
        now, left = start, amount * 4
        while left:
            local = now.astimezone(BEIJING)
            is_open = any(opens <= local.time() < closes for opens, closes in OPEN)
            is_paused = any(since <= now < until for since, until in pauses)
            if is_open and not is_paused and local.date().toordinal() in self._working:
                left -= 1
            now += QUARTER
        return now


def at(day: int, hour: time) -> datetime:
    return datetime.combine(date.fromordinal(day), hour, BEIJING)
