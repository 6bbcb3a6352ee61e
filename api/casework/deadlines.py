"""Start, meet and recount the deadlines of cases (办理期限).

A deadline is counted when its step starts, by the years of working days that count then. A job counts provisional
deadlines again once the years that they wait for are loaded.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime

from api.graphql.context import Context
from api.graphql.loaders import LoaderRead, ReadLoader
from schema.access.viewers import UNKNOWN_OPEN
from schema.casework.cases import Case, CaseEvent, CaseEventKind, CaseState
from schema.casework.deadlines import Deadline, meet, recount, start_deadline
from schema.casework.limits import Limit, LimitStep, applicable_limit
from schema.casework.working_years import WorkingYear, latest_years
from schema.core.ids import compose
from schema.core.times import beijing_day
from schema.fieldwork.observations import Category
from schema.organisation.units import Unit
from storage.mongodb.combined_reads import Read, run_together
from storage.store import Store

BATCH = 100
"""Number of cases whose deadlines a job counts again before it looks for more."""
DONE = {
    CaseState.ACCEPTED: LimitStep.ACCEPTANCE,
    CaseState.DECLINED: LimitStep.ACCEPTANCE,
    CaseState.CLOSED: LimitStep.HANDLING,
}
"""The step that is done when a case moves to a state."""
STARTED = {
    CaseState.RECEIVED: LimitStep.ACCEPTANCE,
    CaseState.ACCEPTED: LimitStep.HANDLING,
    CaseState.REOPENED: LimitStep.HANDLING,
}
"""The step that starts when a case is in a state."""


class Terms:
    """The limits and the years by which deadlines of an office start now. `reads` must run before."""

    def __init__(self, store: Store, office_path: str, now: datetime) -> None:
        self._path, self._now = office_path, now
        self._limits = store.limits.read_above(office_path)
        self._years = store.working_years.read_from(beijing_day(now).year)
        self.reads: tuple[Read[list[Limit]], Read[list[WorkingYear]]] = (self._limits, self._years)

    def start(self, step: LimitStep, category: Category) -> list[Deadline]:
        """Return the deadline of the step. Without a limit, return nothing."""
        limit = applicable_limit(self._limits.result, step, category, self._path, self._now)
        return [start_deadline(limit, self._years.result, self._now)] if limit else []

    def after(self, known: Sequence[Deadline], to: CaseState, category: Category) -> list[Deadline]:
        """Return the deadlines of a case that moves to a state now."""
        met = meet(known, DONE[to], self._now) if to in DONE else list(known)
        return [*met, *(self.start(STARTED[to], category) if to in STARTED else [])]


async def office_and_terms(context: Context, office_id: str, office_path: str) -> tuple[Unit | None, Terms]:
    """Read an office together with the terms of its new deadlines, by one command."""
    terms = Terms(context.store, office_path, context.now)
    office = context.store.units.read_many([office_id])
    await run_together(context.store.mongo, (office, *terms.reads))
    return next(iter(office.result), None), terms


async def deadlines_after(context: Context, case: Case, to: CaseState) -> list[Deadline] | None:
    """Return the deadlines of a case that moves to a state now. Return None if they stay as they are."""
    if to not in DONE and to not in STARTED:
        return None
    terms = Terms(context.store, case.office_path, context.now)
    if to in STARTED:
        await run_together(context.store.mongo, terms.reads)
    return terms.after(case.deadlines, to, case.category)


async def recount_deadlines(store: Store, now: datetime) -> int:
    """Count provisional deadlines again whose years are loaded now, with an entry in the case's history.

    Return the number of cases. Any number of workers may do this: a case that another one has changed is left out.
    """
    waited_for = await store.case_deadlines.waited_for()
    if not waited_for:
        return 0
    years = await store.working_years.of_years(range(min(waited_for) - 3, max(waited_for) + 3))
    loaded = {year.year for year in latest_years(years, now)}
    ready, done, left = sorted(loaded.intersection(waited_for)), 0, list[str]()
    while ready and (cases := await store.case_deadlines.waiting(ready, left, BATCH)):
        for case in cases:
            counted = recount(case.deadlines, years, now)
            if counted != case.deadlines and await store.case_deadlines.recount(
                case, counted, _entry(case, counted, now)
            ):
                done += 1
            else:
                left.append(case.id)
    return done


def _entry(case: Case, counted: Sequence[Deadline], now: datetime) -> CaseEvent:
    changed = [
        f"{new.step.value} {_text(old.due_at)} -> {_text(new.due_at)}"
        for old, new in zip(case.deadlines, counted, strict=True)
        if old != new
    ]
    return CaseEvent(
        id=compose("evt", now, secrets.token_bytes(10)),
        kind=CaseEventKind.DEADLINE_COUNTED,
        at=now,
        state=case.state,
        note="; ".join(changed),
        by_id="",
        by_capacity=UNKNOWN_OPEN,
    )


def _text(at: datetime | None) -> str:
    return beijing_day(at).isoformat() if at else "?"


def _years_from(context: Context, years: list[int]) -> LoaderRead:
    async def arrange(found: Sequence[WorkingYear]) -> list[list[WorkingYear]]:
        return [[each for each in found if each.year >= year] for year in years]

    return LoaderRead([context.store.working_years.read_from(min(years))], arrange)


LOADERS = (ReadLoader(WorkingYear, ("year",), _years_from),)
