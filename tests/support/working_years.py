"""Make a working year that is not published yet: 2027 as it could be arranged."""

from datetime import UTC, date, datetime
from typing import Any

import strawberry

from schema.casework.working_years import HolidayPeriod, MakeUpDay, WorkingYear

HOLIDAYS = (
    ("元旦", "2026-12-31", "2027-01-03"),
    ("春节", "2027-02-05", "2027-02-12"),
    ("清明节", "2027-04-03", "2027-04-05"),
    ("劳动节", "2027-05-01", "2027-05-05"),
    ("端午节", "2027-06-09", "2027-06-09"),
    ("中秋节", "2027-09-15", "2027-09-15"),
    ("国庆节", "2027-10-01", "2027-10-07"),
)
MAKE_UP_DAYS = (
    ("元旦", "2026-12-26"),
    ("春节", "2027-01-31"),
    ("春节", "2027-02-14"),
    ("劳动节", "2027-04-25"),
    ("劳动节", "2027-05-08"),
    ("国庆节", "2027-09-26"),
    ("国庆节", "2027-10-09"),
)
PAPER = "示例文件〔2026〕1号"
ADD = """
mutation AddWorkingYear($input: AddWorkingYearInput!) {
  addWorkingYear(input: $input) {
    ... on WorkingYearPayload {
      workingYear { id year paper holidays { name firstDay lastDay } makeUpDays { name on } enteredBy { id } note }
    }
    ... on Refused { code field message }
  }
}
"""


def year_2027() -> WorkingYear:
    at = datetime(2026, 11, 4, tzinfo=UTC)
    return WorkingYear(
        id=strawberry.ID("wyr_01a2008d-7400-7000-8000-000000002027"),
        year=2027,
        paper=PAPER,
        address=None,
        holidays=[
            HolidayPeriod(name=name, first_day=date.fromisoformat(first), last_day=date.fromisoformat(last))
            for name, first, last in HOLIDAYS
        ],
        make_up_days=[MakeUpDay(name=name, on=date.fromisoformat(on)) for name, on in MAKE_UP_DAYS],
        effective_from=at,
        entered_at=at,
    )


def input_2027(id: str, **changed: Any) -> dict[str, Any]:
    """Return the input of `addWorkingYear`."""
    holidays = [{"name": name, "firstDay": first, "lastDay": last} for name, first, last in HOLIDAYS]
    given = {
        "id": id,
        "year": 2027,
        "paper": PAPER,
        "holidays": holidays,
        "makeUpDays": [{"name": name, "on": on} for name, on in MAKE_UP_DAYS],
    }
    return given | changed


def rows_2027() -> list[list[str]]:
    """Return the rows of a file that `scripts/load working-days` takes."""
    header = ["年度", "类别", "节日", "开始日期", "结束日期", "文号"]
    off = [["2027", "放假", name, first, last, PAPER] for name, first, last in HOLIDAYS]
    return [header, *off, *(["2027", "上班", name, on, "", PAPER] for name, on in MAKE_UP_DAYS)]
