"""Count limits in working days, half days and working hours (时限计算).

The day or half day in which a limit starts does not count (民法典 201). A limit ends when the office closes on its last
day (民法典 203). A day or half day that a pause touches does not count. A limit in hours runs only while the office is
open and no pause lasts. A count that meets a year without a record is provisional.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from schema.casework.working_days import COUNTED, Count, CountStep, CountStepKind, LimitUnit, WorkingCalendar
from schema.core.times import BEIJING, beijing_day

K = CountStepKind
DAY = timedelta(days=1)
MAX_DAYS = 4_000
"""Number of days after which a count is given up, because pauses leave no day to count."""
HOUR_MILLIS = 3_600_000
MINUTE_MILLIS = 60_000


@dataclass(frozen=True)
class OpenPeriod:
    """A part of the day in which a counter is open, from `opens` to `closes` in Beijing time."""

    opens: time
    closes: time

    def on(self, day: date) -> tuple[datetime, datetime]:
        return datetime.combine(day, self.opens, BEIJING), datetime.combine(day, self.closes, BEIJING)


@dataclass(frozen=True)
class Pause:
    """A time during which a limit does not run. `until` is None while the pause lasts."""

    since: datetime
    until: datetime | None
    reason: str = ""


WHOLE_DAY = (OpenPeriod(time(0, 0), time(23, 59, 59)),)
"""The hours for a count of days alone."""


def count_limit(
    calendar: WorkingCalendar,
    start: datetime,
    amount: int,
    unit: LimitUnit,
    periods: Sequence[OpenPeriod],
    pauses: Sequence[Pause] = (),
) -> Count:
    """Count a limit of `amount` units from the instant `start`. `periods` are the hours of a working day, in order.

    A limit of 0 working days is due at the end of the first working day, the day of the start included.
    """
    first = beijing_day(start)
    if unit is LimitUnit.WORKING_DAYS:
        counted_from = first + DAY if amount else first
        parts_of = _whole_days(counted_from, periods[-1].closes, pauses)
        return _Counting(calendar, max(amount, 1), first).run(parts_of)
    if unit is LimitUnit.HALF_DAYS:
        return _Counting(calendar, amount, first).run(lambda day: _half_days(day, start, periods, pauses))
    counting = _Counting(calendar, amount * HOUR_MILLIS, first, unit_millis=MINUTE_MILLIS)
    return counting.run(lambda day: _open_hours(day, start, periods, pauses))


def count_days(calendar: WorkingCalendar, start: date, amount: int) -> Count:
    """Count working days from a day. The limit is due at the end of its last day."""
    return count_limit(calendar, datetime.combine(start, time(), BEIJING), amount, LimitUnit.WORKING_DAYS, WHOLE_DAY)


class _DayParts(NamedTuple):
    """What a day adds to a count if it is a working day: amounts, each with the instant at which it is complete.

    A day without parts adds nothing, because of `pause` or because the limit has not started.
    """

    parts: tuple[tuple[int, datetime], ...] = ()
    pause: Pause | None = None


def _pause_between(since: datetime, until: datetime, pauses: Sequence[Pause]) -> Pause | None:
    """Return the first pause that touches this time."""
    touching = (pause for pause in pauses if pause.since < until and (pause.until is None or pause.until >= since))
    return next(touching, None)


def _whole_days(counted_from: date, closes: time, pauses: Sequence[Pause]) -> Callable[[date], _DayParts]:
    paused = [(beijing_day(one.since), beijing_day(one.until) if one.until else date.max, one) for one in pauses]

    def parts_of(day: date) -> _DayParts:
        if day < counted_from:
            return _DayParts()
        for since, until, pause in paused:
            if since <= day <= until:
                return _DayParts(pause=pause)
        return _DayParts(((1, datetime.combine(day, closes, BEIJING)),))

    return parts_of


def _half_days(day: date, start: datetime, periods: Sequence[OpenPeriod], pauses: Sequence[Pause]) -> _DayParts:
    ahead = [(opens, closes) for opens, closes in (period.on(day) for period in periods) if opens > start]
    parts = tuple((1, closes) for opens, closes in ahead if not _pause_between(opens, closes, pauses))
    return _DayParts(parts, _pause_between(ahead[0][0], ahead[-1][1], pauses) if ahead and not parts else None)


def _open_hours(day: date, start: datetime, periods: Sequence[OpenPeriod], pauses: Sequence[Pause]) -> _DayParts:
    spans = [(max(opens, start), closes) for opens, closes in (period.on(day) for period in periods)]
    ahead = [(since, until) for since, until in spans if since < until]
    free = [part for span in ahead for part in _without_pauses(*span, pauses)]
    parts = tuple(((until - since) // timedelta(milliseconds=1), until) for since, until in free)
    return _DayParts(parts, _pause_between(ahead[0][0], ahead[-1][1], pauses) if ahead and not parts else None)


def _without_pauses(since: datetime, until: datetime, pauses: Sequence[Pause]) -> Iterator[tuple[datetime, datetime]]:
    """Yield what the pauses leave of a time, in order."""
    for pause in sorted(pauses, key=lambda one: one.since):
        if pause.since >= until:
            break
        if since < pause.since:
            yield since, pause.since
        since = max(since, pause.until or until)
    if since < until:
        yield since, until


class _Counting:
    """One count: what is still wanted, and the steps so far."""

    def __init__(self, calendar: WorkingCalendar, wanted: int, first: date, unit_millis: int = 0) -> None:
        self._calendar, self._wanted, self._first, self._unit_millis = calendar, wanted, first, unit_millis
        self._counted = 0
        self._steps: list[CountStep] = []
        self._waits_for: set[int] = set()

    def run(self, parts_of: Callable[[date], _DayParts]) -> Count:
        for offset in range(MAX_DAYS):
            day = self._first + offset * DAY
            due_at, is_stopped = self._add(day, parts_of(day))
            if due_at or is_stopped:
                return self._result(due_at)
        return self._result(None)

    def _result(self, due_at: datetime | None) -> Count:
        return Count(due_at, tuple(self._steps), tuple(sorted(self._waits_for)))

    def _add(self, day: date, given: _DayParts) -> tuple[datetime | None, bool]:
        """Add a day. Return when the limit is due, if it is complete, and whether an open pause stops the count."""
        if given.pause:
            self._append(day, K.PAUSED, given.pause.reason or None)
            return None, given.pause.until is None
        if not given.parts:
            self._append(day, K.START)
            return None, False
        kind, name = self._calendar.kind_of(day)
        missing = self._calendar.waits_for(day)
        if missing:
            self._waits_for.add(missing)
        before, due_at = self._counted, None
        if kind in COUNTED:
            for amount, end in given.parts:
                self._counted += amount
                if self._counted >= self._wanted:
                    due_at = end - timedelta(milliseconds=self._counted - self._wanted)
                    self._counted = self._wanted
                    break
        minutes = (self._counted - before) // self._unit_millis if self._unit_millis and kind in COUNTED else None
        self._append(day, kind, name, minutes, assumed=missing is not None)
        return due_at, False

    def _append(
        self, day: date, kind: CountStepKind, name: str | None = None, minutes: int | None = None, assumed: bool = False
    ) -> None:
        """Append a step, or make the last step longer if it is of the same kind."""
        last = self._steps[-1] if self._steps else None
        if last is None or (last.kind, last.name, last.assumed) != (kind, name, assumed):
            last = CountStep(kind=kind, first_day=day, last_day=day, counted=0, name=name, assumed=assumed)
            self._steps.append(last)
        last.last_day, last.counted = day, self._counted // (self._unit_millis or 1)
        if minutes is not None:
            last.minutes = (last.minutes or 0) + minutes
