"""Define deadlines (办理期限) of a case: for its acceptance, and for the whole.

A deadline keeps the limit under which it started. It explains itself by the years of working days that counted when it
was counted. A provisional deadline is counted again once the years that it waits for are loaded.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import strawberry

from schema.access.permissions import SEEN, Row
from schema.casework.limits import Limit, LimitStep, OpeningHours, periods_of
from schema.casework.working_days import Count, CountStep, LimitUnit, WorkingCalendar, reason_of
from schema.casework.working_time import Pause, count_limit
from schema.casework.working_years import WorkingYear, latest_years
from schema.core.context import Info
from schema.core.times import beijing_day, to_millis


@strawberry.enum(description="State of a deadline (期限状态).")
class DeadlineState(enum.Enum):
    RUNNING = strawberry.enum_value("RUNNING", description="计时中")
    PAUSED = strawberry.enum_value("PAUSED", description="中止")
    OVERDUE = strawberry.enum_value("OVERDUE", description="已超期. A provisional deadline is never overdue.")
    MET = strawberry.enum_value("MET", description="按期办理")
    MET_LATE = strawberry.enum_value("MET_LATE", description="超期办理")


@strawberry.type(description="A time during which a deadline does not run (中止).")
class DeadlinePause:
    since: datetime = strawberry.field(description="When the pause began (中止时间).")
    reason: str = strawberry.field(description="Reason (理由).")
    until: datetime | None = strawberry.field(
        description="When the pause ended. Null while it lasts (恢复时间).", default=None
    )
    approved_by_id: strawberry.Private[str]


@strawberry.type(description="When a step of a case, or the whole case, must be done (办理期限).")
class Deadline:
    step: LimitStep = strawberry.field(description="What must be done (办理环节).")
    started_at: datetime = strawberry.field(description="When the limit started (起算时间).")
    amount: int = strawberry.field(description="How long, in `timeUnit`, with any extension (时限).")
    time_unit: LimitUnit = strawberry.field(description="Working days, half days or hours (时限单位).")
    due_at: datetime | None = strawberry.field(description="The deadline. Null while it is paused (截止时间).")
    provisional: bool = strawberry.field(
        description="Whether the limit meets a year whose working days are not loaded. `dueAt` may change then (暂定)."
    )
    met_at: datetime | None = strawberry.field(description="When it was done (完成时间).", default=None)
    limit_id: strawberry.Private[str]
    remind_before: strawberry.Private[int]
    opening_hours: strawberry.Private[tuple[OpeningHours, ...]]
    counted_at: strawberry.Private[datetime]
    waits_for: strawberry.Private[tuple[int, ...]] = ()
    pauses: strawberry.Private[tuple[DeadlinePause, ...]] = ()

    @strawberry.field(description="State of the deadline (期限状态).")
    def state(self, info: Info) -> DeadlineState:
        return self.state_at(info.context.now)

    @strawberry.field(description="Why the deadline is provisional. Null if it is not (暂定原因).")
    def reason(self) -> str | None:
        return reason_of(self.waits_for)

    @strawberry.field(description="How the deadline was counted, step by step (计算过程).")
    async def why(self, info: Info) -> list[CountStep]:
        years = await info.context.load.related(WorkingYear, year=beijing_day(self.started_at).year)
        return list(self.count(years, self.counted_at).steps)

    def state_at(self, now: datetime) -> DeadlineState:
        is_late = self.due_at is not None and (self.met_at or now) > self.due_at
        if self.met_at:
            return DeadlineState.MET_LATE if is_late and not self.provisional else DeadlineState.MET
        if any(pause.until is None for pause in self.pauses):
            return DeadlineState.PAUSED
        return DeadlineState.OVERDUE if is_late and not self.provisional else DeadlineState.RUNNING

    def count(self, years: Iterable[WorkingYear], at: datetime) -> Count:
        """Count the deadline by the years that count at `at`."""
        pauses = [Pause(pause.since, pause.until, pause.reason) for pause in self.pauses]
        calendar = WorkingCalendar(latest_years(years, at))
        return count_limit(
            calendar, self.started_at, self.amount, self.time_unit, periods_of(self.opening_hours), pauses
        )

    def counted(self, years: Iterable[WorkingYear], at: datetime) -> "Deadline":
        """Return the deadline as it is counted at `at`."""
        count = self.count(years, at)
        return replace(
            self,
            due_at=to_millis(count.due_at) if count.due_at else None,
            provisional=count.provisional,
            waits_for=count.waits_for,
            counted_at=at,
        )


def start_deadline(limit: Limit, years: Iterable[WorkingYear], now: datetime) -> Deadline:
    """Return the deadline of a limit that starts now."""
    started = Deadline(
        step=limit.step,
        started_at=now,
        amount=limit.amount,
        time_unit=limit.time_unit,
        due_at=None,
        provisional=False,
        limit_id=limit.id,
        remind_before=limit.remind_before,
        opening_hours=tuple(limit.opening_hours),
        counted_at=now,
    )
    return started.counted(years, now)


def meet(deadlines: Sequence[Deadline], step: LimitStep, at: datetime) -> list[Deadline]:
    """Return the deadlines after the step is done. Those of the step that still run are met."""
    return [replace(each, met_at=at) if each.step is step and each.met_at is None else each for each in deadlines]


def recount(deadlines: Sequence[Deadline], years: Sequence[WorkingYear], at: datetime) -> list[Deadline]:
    """Return the deadlines, counting the provisional ones again whose years have all been loaded since."""
    loaded = {year.year for year in latest_years(years, at)}
    return [
        each.counted(years, at) if each.waits_for and loaded.issuperset(each.waits_for) else each for each in deadlines
    ]


PERMITS: tuple[Row, ...] = (
    ("Deadline", SEEN, "step startedAt amount timeUnit dueAt provisional reason metAt state why"),
)
