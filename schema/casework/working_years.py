"""Define working years (工作日历): which days of a year are off, and which weekend days are worked, by the State Council.

Years are append-only records. A correction is a new record of the same year, and the latest that is in effect counts.
The paper for a year also arranges the last days of December before it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row, only
from schema.access.viewers import UNKNOWN_OPEN, Capacity, Role
from schema.accounts.users import User, load_named
from schema.casework.statutory_days import fixed_days
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.core.texts import MAX_NOTE, check_length, check_text

DAY = timedelta(days=1)
FIRST_YEAR, LAST_YEAR = 1950, 2200
MAX_EDITIONS = 20
"""Maximum number of records of one year."""
MAX_HOLIDAYS = 20
MAX_MAKE_UP_DAYS = 20
MAX_NAME = 50
MAX_PAPER = 100
MAX_ADDRESS = 500
SATURDAY = 5
DECEMBER_FROM = 25
"""The paper for a year arranges days from this one of the December before it.

The earliest so far was Saturday 2018-12-29, worked for the holiday at New Year 2019. Every holiday at New Year that
lies next to a weekend has its make-up days on the weekend before, so none comes before the 25th.
"""
TOLD_FROM = 10
"""The month from which on people are told that the next year is missing: limits of 60 working days reach it then."""


@strawberry.type(description="Consecutive days off, weekends among them included (放假).")
class HolidayPeriod:
    name: str = strawberry.field(description="Name of the holiday (节日).")
    first_day: date = strawberry.field(description="First day off.")
    last_day: date = strawberry.field(description="Last day off.")

    def days(self) -> Iterator[date]:
        for offset in range((self.last_day - self.first_day).days + 1):
            yield self.first_day + offset * DAY


@strawberry.type(description="A day of a weekend that is worked, in exchange for a day off (调休上班).")
class MakeUpDay:
    name: str = strawberry.field(description="Name of the holiday for which the day is worked (节日).")
    on: date = strawberry.field(description="The day.")


@strawberry.type(
    description="Days off and make-up days of a year, as the State Council has arranged them (工作日历). Records are only"
    " added: the latest one of a year that is in effect counts."
)
class WorkingYear(Node, prefix="wyr"):
    year: int = strawberry.field(description="The year (年度).")
    paper: str | None = strawberry.field(
        description="Number of the State Council's paper. Null if it is not known (文号)."
    )
    address: str | None = strawberry.field(description="Web address of the paper. Null if it is not known (网址).")
    holidays: list[HolidayPeriod] = strawberry.field(description="Days off (放假).")
    make_up_days: list[MakeUpDay] = strawberry.field(description="Weekend days that are worked (调休上班).")
    effective_from: datetime = strawberry.field(description="The record counts from this time on (生效时间).")
    entered_at: datetime = strawberry.field(description="When the record was entered (录入时间).")
    note: str | None = strawberry.field(description="Source of the record, or reason for it (说明).", default=None)
    entered_by_id: strawberry.Private[str | None] = None
    entered_by_capacity: strawberry.Private[Capacity | None] = None
    sent_sha256: strawberry.Private[str | None] = None

    @strawberry.field(
        description="The person who entered the record. Null if the product or a command did, or if the viewer must not"
        " know the person (录入人)."
    )
    async def entered_by(self, info: Info) -> User | None:
        return await load_named(info, self.entered_by_id, self.entered_by_capacity or UNKNOWN_OPEN)


@strawberry.type(description="The years whose working days are known (工作日历).")
class WorkingCalendarYears:
    years: list[WorkingYear] = strawberry.field(
        description="All records, by year, then by the time from which they count. The last one of a year counts."
    )
    missing: list[int] = strawberry.field(
        description="Years to load now. The next year is among them from October on. Limits that run into such a year"
        " are provisional (待录入年度)."
    )


def latest_years(editions: Iterable[WorkingYear], at: datetime) -> list[WorkingYear]:
    """Return the record of each year that counts at `at`, by year."""
    latest: dict[int, WorkingYear] = {}
    for edition in sorted(editions, key=lambda one: (one.effective_from, one.entered_at, one.id)):
        if edition.effective_from <= at:
            latest[edition.year] = edition
    return [latest[year] for year in sorted(latest)]


def missing_years(loaded: Iterable[int], today: date) -> list[int]:
    """Return this year if it is not loaded and, from October on, the next year if it is not loaded."""
    wanted = [today.year, today.year + 1] if today.month >= TOLD_FROM else [today.year]
    return sorted(set(wanted).difference(loaded))


def check_working_year(
    year: int, holidays: Sequence[HolidayPeriod], make_up_days: Sequence[MakeUpDay], prefix: str = ""
) -> None:
    """Raise `Refusal(BAD_INPUT)` if no paper could arrange a year in this way."""
    for field, sentence in faults_of_year(year, holidays, make_up_days):
        raise Refusal(RefusalCode.BAD_INPUT, sentence, field=f"{prefix}{field}")


def faults_of_year(
    year: int, holidays: Sequence[HolidayPeriod], make_up_days: Sequence[MakeUpDay]
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a year: the name of a field, and a sentence."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        yield "year", f"A year is between {FIRST_YEAR} and {LAST_YEAR}."
        return
    bounds = date(year - 1, 12, DECEMBER_FROM), date(year, 12, 31)
    if misplaced := list(_misplaced_holidays(holidays, *bounds)):
        yield from misplaced
        return
    days_off = [day for period in holidays for day in period.days()]
    if len(set(days_off)) < len(days_off):
        yield "holidays", "Two holidays share a day. Give each day once."
    for day, name in fixed_days(year).items():
        if day not in days_off:
            yield "holidays", f"{day} is off by law ({name}), but it is not among the days off."
    yield from _make_up_faults(make_up_days, set(days_off), *bounds)


def _misplaced_holidays(holidays: Sequence[HolidayPeriod], first: date, last: date) -> Iterator[tuple[str, str]]:
    if not 1 <= len(holidays) <= MAX_HOLIDAYS:
        yield "holidays", f"A year has 1 to {MAX_HOLIDAYS} holidays."
    for index, period in enumerate(holidays):
        if not first <= period.first_day <= period.last_day <= last:
            yield f"holidays.{index}", f"A holiday lies between {first} and {last}, with its first day first."


def _make_up_faults(
    make_up_days: Sequence[MakeUpDay], days_off: set[date], first: date, last: date
) -> Iterator[tuple[str, str]]:
    if len(make_up_days) > MAX_MAKE_UP_DAYS:
        yield "makeUpDays", f"A year has at most {MAX_MAKE_UP_DAYS} make-up days."
    if len({day.on for day in make_up_days}) < len(make_up_days):
        yield "makeUpDays", "Give each make-up day once."
    for index, day in enumerate(make_up_days):
        if not first <= day.on <= last or day.on.weekday() < SATURDAY:
            yield f"makeUpDays.{index}", f"A make-up day is a Saturday or Sunday between {first} and {last}."
        elif day.on in days_off:
            yield f"makeUpDays.{index}", f"{day.on} is a day off already."


def check_texts(paper: str | None, address: str | None, note: str | None, names: Iterable[str]) -> None:
    """Raise `Refusal(BAD_INPUT)` if a text is empty or too long."""
    check_length(paper, MAX_PAPER, "paper")
    check_length(address, MAX_ADDRESS, "address")
    check_length(note, MAX_NOTE, "note")
    for name in names:
        check_text(name, MAX_NAME, "name")


PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "workingCalendar workingDays"),
    ("Mutation", only(Role.OFFICER, Role.ADMIN), "addWorkingYear"),
    ("WorkingYearPayload", SEEN, "workingYear"),
    ("WorkingCalendarYears", SEEN, "years missing"),
    ("WorkingYear", SEEN, "id year paper address holidays makeUpDays effectiveFrom enteredAt note enteredBy"),
    ("HolidayPeriod", SEEN, "name firstDay lastDay"),
    ("MakeUpDay", SEEN, "name on"),
    ("WorkingDayCount", SEEN, "startedOn count dueOn provisional reason why"),
    ("CountStep", SEEN, "kind firstDay lastDay name counted minutes assumed"),
)
