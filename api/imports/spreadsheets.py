"""Read the rows of a CSV or XLSX file.

A cell is a text, or a `SpoiledCell` if the spreadsheet program has lost the text.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse
from openpyxl.utils.exceptions import InvalidFileException

MAX_BYTES = 50 * 1024 * 1024
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
MAX_ROWS = 100_000
DELIMITERS = ",;\t"
_OLD_EXCEL = bytes.fromhex("d0cf11e0a1b11ae1")
_ERRORS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#####"})
_SCIENTIFIC = re.compile(r"\d(\.\d+)?E\+\d{2,}", re.IGNORECASE)
_TEXT_FORMULA = re.compile(r'="(.*)"')
_EXACT_DIGITS = 15
_ZEROS = re.compile(r"0+")


class UnreadableSpreadsheetError(Exception):
    """The file is not a table. The message says why, and what to do."""


@dataclass(frozen=True)
class SpoiledCell:
    """A cell whose text the spreadsheet program has lost.

    `why` says what happened to the text and how to correct the cell, without quoting the cell. `day` is set if the
    program has turned the text into a date.
    """

    why: str
    day: date | None = None


Cell = str | SpoiledCell


@dataclass(frozen=True)
class Sheet:
    """The rows that are not empty, with their row numbers in the file (from 1), and remarks about skipped parts."""

    rows: list[tuple[int, list[Cell]]]
    remarks: list[str]


def read_sheet(path: Path) -> Sheet:
    """Read a CSV or XLSX file. The content decides which format it is, not the name.

    Raise `UnreadableSpreadsheetError` if the file can't be read as a table.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UnreadableSpreadsheetError(
                f"{path} has {size // 2**20} MB; at most {MAX_BYTES // 2**20} MB are read: split it."
            )
        raw = path.read_bytes()
    except OSError as error:
        raise UnreadableSpreadsheetError(f"{path} can't be read: {error.strerror}.") from error
    if raw.startswith(_OLD_EXCEL):
        raise UnreadableSpreadsheetError(
            f"{path} is in Excel's old format, or locked by a password: save it as .xlsx without one."
        )
    sheet = _from_xlsx(path, raw) if raw.startswith(b"PK\x03\x04") else _from_csv(path, raw)
    if not sheet.rows:
        raise UnreadableSpreadsheetError(
            f"{path} is empty: its first row names the columns. See `scripts/load --template`."
        )
    return sheet


def _non_empty_rows(rows: Iterable[list[Cell]], path: Path) -> list[tuple[int, list[Cell]]]:
    """Return the rows that are not empty, with their row numbers. Empty cells at the end of a row are removed."""
    numbered: list[tuple[int, list[Cell]]] = []
    for number, cells in enumerate(rows, start=1):
        while cells and cells[-1] == "":
            cells.pop()
        if cells:
            numbered.append((number, cells))
        if len(numbered) > MAX_ROWS:
            raise UnreadableSpreadsheetError(f"{path} has more than {MAX_ROWS} rows: split it.")
    return numbered


def _from_csv(path: Path, raw: bytes) -> Sheet:
    text = _decode(path, raw)
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # a line for Excel itself, which Excel hides
        delimiter, text = first[4], rest
    else:
        # In the header the delimiter is the most frequent of these: titles hold no such punctuation.
        delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)

    def rows() -> Iterator[list[Cell]]:
        try:
            for row in reader:
                yield [_from_text(value) for value in row]
        except csv.Error as error:
            raise UnreadableSpreadsheetError(
                f"{path} breaks off at line {reader.line_num}: {error}. Save it again as CSV."
            ) from error

    return Sheet(_non_empty_rows(rows(), path), [])


def _decode(path: Path, raw: bytes) -> str:
    """Decode a CSV file.

    Excel writes UTF-8 with a byte order mark, GB18030 ("CSV" in China) or UTF-16. Other programs write UTF-8 without a
    byte order mark.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\0" in raw[:1000]:
        # Commas and digits have a zero byte: big-endian text has it first, little-endian text second.
        zeros_first, zeros_second = raw[0:1000:2].count(0), raw[1:1000:2].count(0)
        encodings = ["utf-16-be" if zeros_first > zeros_second else "utf-16-le"]
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableSpreadsheetError(
        f"{path} is neither UTF-8, GB18030 nor UTF-16: save it as “CSV UTF-8” or as .xlsx."
    )


def _from_text(value: str) -> Cell:
    if as_formula := _TEXT_FORMULA.fullmatch(value.strip()):  # people write ="007" so that Excel keeps the zeros
        value = as_formula[1]
    text = _strip(value)
    if text in _ERRORS:
        return SpoiledCell("holds the error of a formula")
    if _SCIENTIFIC.fullmatch(text):
        return SpoiledCell("was shortened by Excel to a power of ten: format the column as text, and type it again")
    return text


def _strip(value: str) -> str:
    """Strip white space, and replace each run of white space inside by one space.

    Full-width spaces count as white space. Zero-width spaces are removed.
    """
    return " ".join(re.sub("[\ufeff\u200b-\u200d\u2060]", "", value).split())


def _from_xlsx(path: Path, raw: bytes) -> Sheet:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise UnreadableSpreadsheetError(
                    f"{path} unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB: split it."
                )
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
            sheet, *others = book.worksheets
            if merged := _merged_ranges(archive, sheet):
                raise UnreadableSpreadsheetError(
                    f"{path} has merged cells ({', '.join(merged)}): unmerge them, and write every value in its own cell."
                )
            sheet.reset_dimensions()  # the size that the file declares may be wrong
            rows = _non_empty_rows(([_from_cell(cell) for cell in row] for row in sheet.iter_rows()), path)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, ParseError, DefusedXmlException) as error:
        raise UnreadableSpreadsheetError(
            f"{path} is not an Excel workbook, or is damaged: save it again as .xlsx."
        ) from error
    remarks = [f"Only the sheet “{sheet.title}” was read, not: {', '.join(other.title for other in others)}."]
    return Sheet(rows, remarks if others else [])


def _merged_ranges(archive: zipfile.ZipFile, sheet: Any) -> list[str]:
    """Return the first merged ranges, such as A1:C1. openpyxl does not report them when it reads row by row."""
    with archive.open(sheet._worksheet_path.lstrip("/")) as part:  # noqa: SLF001  the only way to a sheet's part
        ranges = []
        for _, element in iterparse(part):
            if element.tag.endswith("}mergeCell"):
                ranges.append(str(element.get("ref")))
            element.clear()
        return ranges[:5]


def _from_cell(cell: Any) -> Cell:
    value = cell.value
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case int() | float():
            return _from_number(value, cell.number_format)
        case datetime() | date() | time() | timedelta():
            day = value.date() if isinstance(value, datetime) else value if isinstance(value, date) else None
            return SpoiledCell("was turned into a date by Excel: format the column as text, and type it again", day)
        case _:
            return _from_text(str(value))


def _from_number(value: float, number_format: str) -> Cell:
    """Return a number as digits. If only the cell's format shows leading zeros, the zeros are kept."""
    if isinstance(value, float) and not value.is_integer():
        return repr(value)
    if abs(value) >= 10**_EXACT_DIGITS:
        return SpoiledCell(f"has more than {_EXACT_DIGITS} digits, which Excel rounds: format the column as text")
    digits = str(int(value))
    return digits.zfill(len(number_format)) if _ZEROS.fullmatch(number_format) else digits
