"""Read the working years that the package `chinesecalendar` knows, as the first records of an installation.

This is the only file that imports the package.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache

import strawberry
from chinese_calendar.constants import Holiday, holidays, workdays

from schema.casework.statutory_days import (
    DRAGON_BOAT,
    LABOUR,
    MID_AUTUMN,
    NATIONAL,
    NEW_YEAR,
    SPRING_FESTIVAL,
    TOMB_SWEEPING,
)
from schema.casework.working_years import DECEMBER_FROM, HolidayPeriod, MakeUpDay, WorkingYear

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SOURCE = "chinesecalendar"
_NAMES = {
    Holiday.new_years_day: NEW_YEAR,
    Holiday.spring_festival: SPRING_FESTIVAL,
    Holiday.tomb_sweeping_day: TOMB_SWEEPING,
    Holiday.labour_day: LABOUR,
    Holiday.dragon_boat_festival: DRAGON_BOAT,
    Holiday.mid_autumn_festival: MID_AUTUMN,
    Holiday.national_day: NATIONAL,
    Holiday.anti_fascist_70th_day: "抗日战争胜利纪念日",
}
_OMITTED_MAKE_UP_DAYS = {date(2005, 12, 31): NEW_YEAR}
"""The package does not know that Saturday 2005-12-31 was worked, for the holiday from 2006-01-01 to 2006-01-03."""


@cache
def known_years() -> tuple[WorkingYear, ...]:
    """Return a record for each year that the package knows. Records that people enter take precedence over them."""
    days_off: dict[int, dict[date, str]] = {}
    make_up_days: dict[int, dict[date, str]] = {}
    for kinds, given in ((days_off, holidays), (make_up_days, workdays)):
        for day, holiday in given.items():
            kinds.setdefault(_arranging_year(day), {})[day] = _NAMES[Holiday(holiday)]
    for day, name in _OMITTED_MAKE_UP_DAYS.items():
        make_up_days[_arranging_year(day)][day] = name
    return tuple(
        WorkingYear(
            id=strawberry.ID(f"wyr_01a1c04f-5c00-7000-8000-{year:012d}"),
            year=year,
            paper=None,
            address=None,
            holidays=list(_periods(days_off[year].items())),
            make_up_days=[MakeUpDay(name=name, on=day) for day, name in sorted(make_up_days.get(year, {}).items())],
            effective_from=EPOCH,
            entered_at=EPOCH,
            note=SOURCE,
        )
        for year in sorted(days_off)
    )


def _arranging_year(day: date) -> int:
    """Return the year whose paper arranges the day: the next one for the holiday at New Year in December."""
    return day.year + 1 if (day.month, day.day) >= (12, DECEMBER_FROM) else day.year


def _periods(days: Iterable[tuple[date, str]]) -> Iterator[HolidayPeriod]:
    """Yield periods of consecutive days off with one name."""
    period: HolidayPeriod | None = None
    for day, name in sorted(days):
        if period and period.name == name and period.last_day == day - DAY:
            period.last_day = day
            continue
        if period:
            yield period
        period = HolidayPeriod(name=name, first_day=day, last_day=day)
    if period:
        yield period
