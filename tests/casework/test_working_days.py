"""Test the count of working days against limits that were worked out by hand, and against a second counter."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.casework.statutory_days import knows_lunar_days, statutory_days
from schema.casework.working_days import MAX_COUNT, MAX_STEPS, CountStepKind, LimitUnit, WorkingCalendar, reason_of
from schema.casework.working_time import OpenPeriod, Pause, count_days, count_limit
from schema.casework.working_years import HolidayPeriod, MakeUpDay, WorkingYear, faults_of_year, missing_years
from schema.core.times import BEIJING
from storage.casework.known_years import known_years
from tests.support.day_counter import OPEN, QUARTER, SetCounter
from tests.support.limits_by_hand import ACROSS_2027, IN_HALF_DAYS, IN_HOURS, PAUSED, SETTLED
from tests.support.working_years import year_2027

KNOWN = WorkingCalendar(known_years())
WITH_2027 = WorkingCalendar([*known_years(), year_2027()])
PERIODS = tuple(OpenPeriod(opens, closes) for opens, closes in OPEN)
DAYS, HALF_DAYS, HOURS = LimitUnit.WORKING_DAYS, LimitUnit.HALF_DAYS, LimitUnit.HOURS


def lines(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


def beijing(text: str, hour: int = 10) -> datetime:
    """Return an instant of a day, at `hour` if the text has no time of its own."""
    return datetime.fromisoformat(text if "T" in text else f"{text}T{hour:02}:00").replace(tzinfo=BEIJING)


def pauses_of(texts: list[str]) -> list[Pause]:
    spans = (text.split("/") for text in texts)
    return [Pause(beijing(since, 9), beijing(until, 11), "补正材料") for since, until in spans]


@pytest.mark.parametrize(("start", "count", "due"), lines(SETTLED))
def test_a_limit_ends_on_the_day_that_was_worked_out_by_hand(start: str, count: str, due: str) -> None:
    for calendar in (KNOWN, WITH_2027):
        found = count_limit(calendar, beijing(start), int(count), DAYS, PERIODS)
        assert (found.due_at, found.waits_for) == (beijing(due, 17), ())


@pytest.mark.parametrize(("start", "count", "assumed", "due"), lines(ACROSS_2027))
def test_a_limit_that_runs_into_a_missing_year_is_provisional(start: str, count: str, assumed: str, due: str) -> None:
    found = count_limit(KNOWN, beijing(start), int(count), DAYS, PERIODS)
    assert (found.due_at, found.waits_for) == (beijing(assumed, 17), (2027,))
    settled = count_limit(WITH_2027, beijing(start), int(count), DAYS, PERIODS)
    assert (settled.due_at, settled.waits_for) == (beijing(due, 17), ())


@pytest.mark.parametrize("line", lines(PAUSED), ids=" ".join)
def test_days_that_a_pause_touches_do_not_count(line: list[str]) -> None:
    found = count_limit(KNOWN, beijing(line[0]), int(line[1]), DAYS, PERIODS, pauses_of(line[3:]))
    assert (found.due_at, found.provisional) == (beijing(line[2], 17), line[2] > "2026-12-24")


@pytest.mark.parametrize(
    ("unit", "line"),
    [(HOURS, line) for line in lines(IN_HOURS)] + [(HALF_DAYS, line) for line in lines(IN_HALF_DAYS)],
    ids=str,
)
def test_hours_and_half_days_run_while_the_counter_is_open(unit: LimitUnit, line: list[str]) -> None:
    found = count_limit(KNOWN, beijing(line[0]), int(line[1]), unit, PERIODS, pauses_of(line[3:]))
    assert found.due_at == beijing(line[2])


def test_a_pause_that_lasts_leaves_the_end_open() -> None:
    pause = [Pause(beijing("2025-06-10"), None, "等待鉴定")]
    for unit in LimitUnit:
        found = count_limit(KNOWN, beijing("2025-06-09"), 30, unit, PERIODS, pause)
        assert (found.due_at, found.due_on) == (None, None)
        assert found.steps[-1].kind is CountStepKind.PAUSED


def test_a_count_explains_each_day() -> None:
    found = count_limit(KNOWN, beijing("2026-02-12"), 4, DAYS, PERIODS, pauses_of(["2026-02-25/2026-02-26"]))
    told = [
        (step.kind.name, f"{step.first_day:%m%d}-{step.last_day:%m%d}", step.counted, step.name) for step in found.steps
    ]
    assert told == [
        ("START", "0212-0212", 0, None),
        ("WORKING", "0213-0213", 1, None),
        ("MADE_UP", "0214-0214", 2, "春节"),
        ("HOLIDAY", "0215-0223", 2, "春节"),
        ("WORKING", "0224-0224", 3, None),
        ("PAUSED", "0225-0226", 3, "补正材料"),
        ("WORKING", "0227-0227", 4, None),
    ]
    assert not any(step.assumed for step in found.steps)
    assert len(count_days(KNOWN, date(2024, 1, 1), MAX_COUNT).steps) <= MAX_STEPS


def test_a_count_in_hours_explains_the_minutes() -> None:
    found = count_limit(KNOWN, beijing("2024-04-30T16:00"), 2, HOURS, PERIODS)
    told = [(step.kind.name, step.minutes, step.counted) for step in found.steps]
    assert told == [("WORKING", 60, 60), ("HOLIDAY", None, 60), ("WORKING", 60, 120)]


def test_a_provisional_count_says_what_was_assumed() -> None:
    found = count_days(KNOWN, date(2026, 12, 24), 6)
    assert {step.assumed for step in found.steps if step.kind is not CountStepKind.START} == {True}
    assert [(step.name, step.first_day) for step in found.steps if step.name] == [("元旦", date(2027, 1, 1))]
    assert "2027 is not loaded" in (reason_of(found.waits_for) or "")
    assert "lunar" not in (reason_of(found.waits_for) or "")
    assert "lunar" in (reason_of(count_days(KNOWN, date(2040, 1, 1), 6).waits_for) or "")
    assert reason_of(()) is None


def drawn_limits(count: int) -> Iterator[tuple[datetime, int, LimitUnit, list[Pause]]]:
    draw = random.Random(20261201)  # noqa: S311  limits, not secrets
    for _ in range(count):
        unit = draw.choices((DAYS, HALF_DAYS, HOURS), (8, 1, 1))[0]
        start = datetime(2023, 6, 1, tzinfo=BEIJING) + draw.randrange(4 * 365 * 96) * QUARTER
        amount = draw.randrange(1, {DAYS: 61, HALF_DAYS: 15, HOURS: 20}[unit])
        pauses, after = [], start
        for _ in range(draw.choice((0, 0, 0, 1, 2))):
            since = after + draw.randrange(1, 1000) * QUARTER
            after = since + draw.randrange(1, 1000) * QUARTER
            pauses.append(Pause(since, after))
        yield start, amount, unit, pauses


@pytest.mark.parametrize("has_2027", [False, True])
def test_two_independent_counters_agree(has_2027: bool) -> None:
    """Ten thousand drawn limits in all. They disagree on none."""
    calendar = WITH_2027 if has_2027 else KNOWN
    second = SetCounter([*known_years(), *([year_2027()] if has_2027 else [])], 2022, 2031)
    for start, amount, unit, pauses in drawn_limits(5_000):
        found = count_limit(calendar, start, amount, unit, PERIODS, pauses)
        spans = [(pause.since, pause.until or pause.since) for pause in pauses]
        limit = f"{start} {amount} {unit} {spans}"
        if unit is DAYS:
            assert (found.due_on, found.provisional) == second.days(start, amount, spans), limit
        else:
            count = second.half_days if unit is HALF_DAYS else second.hours
            assert found.due_at == count(start, amount, spans), limit


def test_another_calendar_agrees_on_each_day() -> None:
    """The two packages differ on 2005-12-31 alone, and the product's record corrects it."""
    other = holidays.country_holidays("CN", years=range(2004, 2027))
    days = [date(2004, 1, 1) + timedelta(days=offset) for offset in range((date(2027, 1, 1) - date(2004, 1, 1)).days)]
    assert [day for day in days if KNOWN.is_working_day(day) != other.is_working_day(day)] == []
    assert KNOWN.is_working_day(date(2005, 12, 31))
    assert KNOWN.loaded == set(range(2004, 2027))


def test_another_calendar_agrees_on_the_days_off_by_law() -> None:
    years = [year for year in range(2025, 2050) if knows_lunar_days(year)]
    other = holidays.country_holidays("CN", years=years, language="en_US")
    by_law = {day for day, name in other.items() if not all("observed" in each for each in name.split("; "))}
    known = {day for year in years for day in statutory_days(year)}
    assert {day for day in known ^ by_law if day.year > 2026} == set()


LEGAL_YEARS = st.builds(
    lambda shift, length, worked: WorkingYear(
        id=year_2027().id,
        year=2027,
        paper=None,
        address=None,
        holidays=[
            HolidayPeriod(name="元旦", first_day=date(2027, 1, 1) - timedelta(days=shift), last_day=date(2027, 1, 3)),
            HolidayPeriod(name="春节", first_day=date(2027, 2, 5), last_day=date(2027, 2, 5 + length)),
            HolidayPeriod(name="劳动节", first_day=date(2027, 5, 1), last_day=date(2027, 5, 1 + length)),
            HolidayPeriod(name="国庆节", first_day=date(2027, 10, 1), last_day=date(2027, 10, 3 + length)),
        ],
        make_up_days=[
            MakeUpDay(name="元旦", on=day) for day in worked if day < date(2027, 1, 1) - timedelta(days=shift)
        ],
        effective_from=datetime(2026, 11, 4, tzinfo=UTC),
        entered_at=datetime(2026, 11, 4, tzinfo=UTC),
    ),
    st.integers(0, 5),
    st.integers(1, 8),
    st.sets(st.sampled_from([date(2026, 12, 26), date(2026, 12, 27)])),
)


@settings(max_examples=30)
@given(LEGAL_YEARS, st.dates(date(2026, 9, 1), date(2026, 12, 31)))
def test_loading_a_year_changes_exactly_the_provisional_limits(year: WorkingYear, start: date) -> None:
    """No settled limit changes, and no limit stays provisional, however the State Council arranges the year."""
    assert list(faults_of_year(year.year, year.holidays, year.make_up_days)) == []
    loaded = WorkingCalendar([*known_years(), year])
    for amount in range(1, 100, 7):
        before, after = count_days(KNOWN, start, amount), count_days(loaded, start, amount)
        assert before == after if not before.provisional else not after.provisional


@pytest.mark.parametrize(
    ("today", "loaded", "missing"),
    [
        (date(2026, 9, 30), (2026,), []),
        (date(2026, 10, 1), (2026,), [2027]),
        (date(2026, 12, 1), (2026, 2027), []),
        (date(2027, 1, 1), (2026,), [2027]),
        (date(2027, 10, 1), (2026,), [2027, 2028]),
    ],
)
def test_the_next_year_is_missed_from_october_on(today: date, loaded: tuple[int, ...], missing: list[int]) -> None:
    assert missing_years(loaded, today) == missing


@pytest.mark.parametrize(
    ("holidays_of", "worked", "field"),
    [
        ([("2026-12-24", "2027-01-03")], [], "holidays.0"),
        ([("2027-01-03", "2027-01-01")], [], "holidays.0"),
        ([("2027-01-01", "2028-01-01")], [], "holidays.0"),
        ([("2027-01-01", "2027-01-03"), ("2027-01-03", "2027-01-04")], [], "holidays"),
        ([("2027-01-01", "2027-01-03")], [], "holidays"),
        ([("2027-01-01", "2027-12-31")], ["2026-12-20"], "makeUpDays.0"),
        ([("2027-01-01", "2027-12-31")], ["2026-12-28"], "makeUpDays.0"),
        ([("2027-01-01", "2027-12-31")], ["2027-02-14"], "makeUpDays.0"),
        ([("2027-01-01", "2027-12-31")], ["2026-12-26", "2026-12-26"], "makeUpDays"),
        ([], [], "holidays"),
    ],
)
def test_a_year_that_no_paper_could_arrange_has_faults(
    holidays_of: list[tuple[str, str]], worked: list[str], field: str
) -> None:
    periods = [
        HolidayPeriod(name="节", first_day=date.fromisoformat(first), last_day=date.fromisoformat(last))
        for first, last in holidays_of
    ]
    make_up_days = [MakeUpDay(name="节", on=date.fromisoformat(day)) for day in worked]
    assert next(faults_of_year(2027, periods, make_up_days))[0] == field
    assert [fault[0] for fault in faults_of_year(1949, periods, make_up_days)] == ["year"]


def test_a_session_is_in_beijing_time() -> None:
    opens, closes = OpenPeriod(time(9), time(17)).on(date(2026, 12, 1))
    assert (opens.astimezone(UTC).hour, closes.astimezone(UTC).hour) == (1, 9)
