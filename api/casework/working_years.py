"""Offer the operations on working years (工作日历): list them, add one, and count working days."""

from datetime import date, datetime
from typing import Annotated

import strawberry

from api.graphql.context import Context, Info
from api.graphql.creation import create_once
from api.graphql.nodes import RecordKind
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.access.viewers import Role
from schema.casework import working_years
from schema.casework.working_days import MAX_COUNT, WorkingCalendar, WorkingDayCount, reason_of
from schema.casework.working_time import count_days
from schema.casework.working_years import (
    MAX_EDITIONS,
    HolidayPeriod,
    MakeUpDay,
    WorkingCalendarYears,
    WorkingYear,
    check_texts,
    check_working_year,
    latest_years,
    missing_years,
)
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.replays import check_replay
from schema.core.times import beijing_day, to_millis

MAX_COUNTED_YEARS = 4
"""Number of years that the largest count can meet, the year of its start included."""
ONLY_ADMINS = "The calendar of this year is loaded. An administrator corrects it."


@strawberry.input(description="Consecutive days off (放假).")
class HolidayPeriodInput:
    name: str = strawberry.field(description="Name of the holiday, up to 50 characters (节日).")
    first_day: date = strawberry.field(description="First day off.")
    last_day: date = strawberry.field(description="Last day off.")


@strawberry.input(description="A day of a weekend that is worked (调休上班).")
class MakeUpDayInput:
    name: str = strawberry.field(description="Name of the holiday for which the day is worked, up to 50 characters.")
    on: date = strawberry.field(description="The day.")


@strawberry.input(description="The working days of a year, as the State Council's paper arranges them (工作日历).")
class AddWorkingYearInput:
    id: strawberry.ID = strawberry.field(
        description="Created by the caller: wyr_ and a UUIDv7. Send the same id with every retry."
    )
    year: int = strawberry.field(description="The year (年度).")
    holidays: list[HolidayPeriodInput] = strawberry.field(description="1 to 20 holidays, weekends among them included.")
    make_up_days: list[MakeUpDayInput] = strawberry.field(description="Up to 20 weekend days that are worked.")
    paper: str = strawberry.field(description="Number of the State Council's paper, up to 100 characters (文号).")
    address: str | None = strawberry.field(
        description="Web address of the paper, up to 500 characters (网址).", default=None
    )
    effective_from: datetime | None = strawberry.field(
        description="The record counts from this time on. Default: now. The time must not be in the past.", default=None
    )
    note: str | None = strawberry.field(description="Reason, up to 2,000 characters.", default=None)


@strawberry.type(description="The new record.")
class WorkingYearPayload:
    working_year: WorkingYear = strawberry.field(description="The record.")


WorkingYearResult = Annotated[
    WorkingYearPayload | Refused,
    strawberry.union("WorkingYearResult", description="The new record, or the reason for the refusal."),
]


@strawberry.type
class WorkingYearQueries:
    @query(description="The years whose working days are known, and the years to load now (工作日历).")
    async def working_calendar(self, info: Info) -> WorkingCalendarYears:
        editions, now = await info.context.store.working_years.all(), info.context.now
        loaded = [year.year for year in latest_years(editions, now)]
        return WorkingCalendarYears(years=editions, missing=missing_years(loaded, beijing_day(now)))

    @query(
        description="Count working days from a day. That day does not count itself. `count` is 1 to 400 (工作日计算)."
    )
    async def working_days(
        self, info: Info, count: int, start: Annotated[date, strawberry.argument(name="from")]
    ) -> WorkingDayCount:
        if not 1 <= count <= MAX_COUNT:
            raise Refusal(RefusalCode.BAD_INPUT, f"Count 1 to {MAX_COUNT} working days.", field="count")
        years = range(start.year, start.year + MAX_COUNTED_YEARS)
        if not working_years.FIRST_YEAR <= start.year <= working_years.LAST_YEAR:
            raise Refusal(RefusalCode.BAD_INPUT, "No working days are known near this day.", field="from")
        editions = await info.context.store.working_years.of_years(years)
        counted = count_days(WorkingCalendar(latest_years(editions, info.context.now)), start, count)
        if counted.due_on is None:  # without a pause, only a calendar without working days does this
            raise Refusal(RefusalCode.INTERNAL)
        return WorkingDayCount(
            started_on=start,
            count=count,
            due_on=counted.due_on,
            provisional=counted.provisional,
            reason=reason_of(counted.waits_for),
            why=list(counted.steps),
        )


@strawberry.type
class WorkingYearMutations:
    @mutation(
        description="Add the working days of a year, as the State Council's paper arranges them. They count for all"
        " offices. Only an administrator may correct a year that is loaded (录入工作日历)."
    )
    async def add_working_year(self, info: Info, input: AddWorkingYearInput) -> WorkingYearResult:
        return WorkingYearPayload(working_year=await add_working_year(info.context, input))


def _names(input: AddWorkingYearInput) -> list[str]:
    return [*(each.name for each in input.holidays), *(each.name for each in input.make_up_days)]


async def add_working_year(context: Context, input: AddWorkingYearInput) -> WorkingYear:
    """Add a record. A repeated request changes nothing. If its content differs, raise `Refusal(CONFLICT)`."""
    id, digest = validate_id(input.id, "wyr", field="id"), digest_of(input)
    check_texts(input.paper, input.address, input.note, _names(input))
    holidays = [
        HolidayPeriod(name=each.name.strip(), first_day=each.first_day, last_day=each.last_day)
        for each in input.holidays
    ]
    make_up_days = [MakeUpDay(name=each.name.strip(), on=each.on) for each in input.make_up_days]
    check_working_year(input.year, holidays, make_up_days)

    async def create() -> WorkingYear:
        effective_from = to_millis(input.effective_from) if input.effective_from else context.now
        if effective_from < context.now:
            raise Refusal(RefusalCode.BAD_INPUT, "A record can't count in the past.", field="effectiveFrom")
        editions = await context.store.working_years.of_years([input.year])
        if editions and not context.actor.has(Role.ADMIN):
            raise Refusal(RefusalCode.FORBIDDEN, ONLY_ADMINS, field="year")
        if len(editions) >= MAX_EDITIONS:
            raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"A year has at most {MAX_EDITIONS} records.", field="year")
        year = WorkingYear(
            id=input.id,
            year=input.year,
            paper=input.paper,
            address=input.address,
            holidays=sorted(holidays, key=lambda each: each.first_day),
            make_up_days=sorted(make_up_days, key=lambda each: each.on),
            effective_from=effective_from,
            entered_at=context.now,
            note=input.note,
            entered_by_id=context.actor.user_id,
            entered_by_capacity=context.actor.capacity,
            sent_sha256=digest,
        )
        await context.store.working_years.add(year)
        return year

    return await create_once(
        lambda: context.store.working_years.one(id), create, lambda known: check_replay(known.sent_sha256, digest)
    )


async def _find(context: Context, id: str) -> WorkingYear | None:
    return await context.store.working_years.one(id)


REGISTRATION = Registration(
    queries=(WorkingYearQueries,),
    mutations=(WorkingYearMutations,),
    kinds=(RecordKind("wyr", _find),),
    permits=working_years.PERMITS,
)
