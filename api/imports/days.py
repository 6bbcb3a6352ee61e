"""Read days from cells, in the ways in which people write them."""

import re
from datetime import date

from api.imports.tables import TableRow

_DATE = re.compile(r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})日?|(\d{4})(\d{2})(\d{2})")


def day_of(row: TableRow, column: str) -> date | None:
    """Return the day in a cell, or None if the cell is empty. If it holds no day, add a fault and return None."""
    text = row.text(column)
    if not text:
        return None
    match = _DATE.fullmatch("".join(text.split()))
    try:
        year, month, day = (int(part) for part in match.groups() if part) if match else (0, 0, 0)
        return date(year, month, day)
    except ValueError:
        row.fault(column, "Write a day as 2026-01-31.")
        return None
