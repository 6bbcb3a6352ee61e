"""Make table files: CSV and XLSX."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl


def csv_bytes(rows: Sequence[Sequence[str]], encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    return stream.getvalue().encode(encoding)


def xlsx(path: Path, rows: Sequence[Sequence[Any]]) -> Any:
    """Return a workbook that has these rows in one sheet. The workbook is not saved yet."""
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(list(row))
    return book
