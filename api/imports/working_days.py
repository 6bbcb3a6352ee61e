"""Plan the import of working days (工作日历): each row is a holiday or a day that is worked in exchange.

All rows of a year become one record. A year that differs from its record that counts now becomes a new record.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime

import strawberry

from api.imports.days import day_of
from api.imports.plans import ImportPlan, batches_of, differences_of
from api.imports.tables import Column, ImportTable, TableRow, normalize
from schema.casework.working_years import (
    MAX_ADDRESS,
    MAX_NAME,
    MAX_PAPER,
    HolidayPeriod,
    MakeUpDay,
    WorkingYear,
    faults_of_year,
    latest_years,
)
from schema.core.ids import compose
from storage.store import Store

COLUMNS = (
    Column("year", ("year", "年度", "年份"), required=True, is_number=True),
    Column("kind", ("kind", "类别", "放假或上班"), required=True, max_length=20),
    Column("name", ("name", "节日", "节假日"), required=True, max_length=MAX_NAME),
    Column("first_day", ("first day", "开始日期", "日期"), required=True, is_day=True),
    Column("last_day", ("last day", "结束日期"), is_day=True),
    Column("paper", ("paper", "文号"), required=True, max_length=MAX_PAPER),
    Column("address", ("address", "网址"), max_length=MAX_ADDRESS),
)
_PAPER, _ADDRESS = "示例文件〔2025〕1号", "https://www.gov.cn/"
EXAMPLE = tuple(
    ("2026", *rest, _PAPER, _ADDRESS)
    for rest in (
        ("放假", "元旦", "2026-01-01", "2026-01-03"),
        ("上班", "元旦", "2026-01-04", ""),
        ("放假", "春节", "2026-02-15", "2026-02-23"),
        ("上班", "春节", "2026-02-14", ""),
        ("上班", "春节", "2026-02-28", ""),
        ("放假", "清明节", "2026-04-04", "2026-04-06"),
        ("放假", "劳动节", "2026-05-01", "2026-05-05"),
        ("上班", "劳动节", "2026-05-09", ""),
        ("放假", "端午节", "2026-06-19", "2026-06-21"),
        ("放假", "中秋节", "2026-09-25", "2026-09-27"),
        ("放假", "国庆节", "2026-10-01", "2026-10-07"),
        ("上班", "国庆节", "2026-09-20", ""),
        ("上班", "国庆节", "2026-10-10", ""),
    )
)
_OFF, _WORKED = "OFF", "WORKED"
KINDS = {
    normalize(word): kind
    for kind, words in {_OFF: "off holiday 放假 休息", _WORKED: "worked 上班 调休上班 补班"}.items()
    for word in words.split()
}


async def plan(
    store: Store, table: ImportTable, *, now: datetime, random: Callable[[int], bytes]
) -> ImportPlan[WorkingYear]:
    """Plan the import, and write nothing. Raise `BadTableError` with all faults of the file."""
    rows_by_year: dict[int, list[TableRow]] = {}
    for row in table.rows:
        if (year := _year(row)) is not None:
            rows_by_year.setdefault(year, []).append(row)
    stored = {each.year: each for each in latest_years(await store.working_years.of_years(rows_by_year), now)}
    import_plan, years = ImportPlan[WorkingYear](store.working_years.add_all), []
    for year, rows in sorted(rows_by_year.items()):
        known = stored.get(year)
        record = _record(year, rows, strawberry.ID(compose("wyr", now, random(10))), now)
        if record is None:
            continue
        differences = differences_of(_values(known), _values(record)) if known else None
        if import_plan.add(rows[0], str(year), record, differences):
            years.append(record)
    table.check()
    import_plan.batches = list(batches_of(years))
    return import_plan


def _year(row: TableRow) -> int | None:
    text = row.text("year")
    if text.isascii() and text.isdigit() and len(text) == 4:
        return int(text)
    if text:
        row.fault("year", "Write a year as 2026.")
    return None


def _record(year: int, rows: Sequence[TableRow], id: strawberry.ID, now: datetime) -> WorkingYear | None:
    """Return the record that the rows of a year make. If a row has a fault, add it and return None."""
    holidays: list[HolidayPeriod] = []
    make_up_days: list[MakeUpDay] = []
    faults_before = len(rows[0].table.faults)
    for row in rows:
        _read(row, holidays, make_up_days)
        for column in ("paper", "address"):
            if row.text(column) != rows[0].text(column):
                row.fault(column, f"All rows of {year} name the same {column}.")
    if len(rows[0].table.faults) > faults_before:
        return None
    holidays.sort(key=lambda each: each.first_day)
    make_up_days.sort(key=lambda each: each.on)
    for _, sentence in faults_of_year(year, holidays, make_up_days):
        rows[0].fault("year", sentence)
    return WorkingYear(
        id=id,
        year=year,
        paper=rows[0].text("paper"),
        address=rows[0].text("address") or None,
        holidays=holidays,
        make_up_days=make_up_days,
        effective_from=now,
        entered_at=now,
    )


def _read(row: TableRow, holidays: list[HolidayPeriod], make_up_days: list[MakeUpDay]) -> None:
    kind, name = KINDS.get(normalize(row.text("kind"))), row.text("name")
    first, last = day_of(row, "first_day"), day_of(row, "last_day")
    if row.text("kind") and kind is None:
        row.fault("kind", "The kind is 放假 or 上班.")
    if first is None or kind is None:
        return
    if kind is _OFF:
        holidays.append(HolidayPeriod(name=name, first_day=first, last_day=last or first))
    elif last not in {None, first}:
        row.fault("last_day", "Write each day that is worked in a row of its own.")
    else:
        make_up_days.append(MakeUpDay(name=name, on=first))


def _values(year: WorkingYear) -> dict[str, str]:
    def period(first: date, last: date) -> str:
        return str(first) if first == last else f"{first} to {last}"

    return {
        "paper": year.paper or "",
        "address": year.address or "",
        "days off": "; ".join(f"{each.name} {period(each.first_day, each.last_day)}" for each in year.holidays),
        "days worked": "; ".join(f"{each.name} {each.on}" for each in year.make_up_days),
    }
