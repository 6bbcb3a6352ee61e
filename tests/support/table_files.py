"""Make table files: CSV and XLSX."""

import csv
import io
import zipfile
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


def rewrite_part(path: Path, part: str, old: bytes, new: bytes) -> None:
    """Replace bytes in one part of a workbook. Raise `ValueError` if the part does not hold them."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if old not in parts[part]:
        raise ValueError(parts[part].decode())
    parts[part] = parts[part].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
