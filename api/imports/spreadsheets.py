"""Read the rows of a CSV or XLSX file."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from api.imports.cells import Cell, Sheet, UnreadableSpreadsheetError, from_text
from api.imports.workbooks import read_workbook

MAX_BYTES = 50 * 1024 * 1024
MAX_ROWS = 100_000
DELIMITERS = ",;\t"
_OLD_EXCEL = bytes.fromhex("d0cf11e0a1b11ae1")


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
        place = f"The sheet “{sheet.name}” of {path}" if sheet.name else path
        raise UnreadableSpreadsheetError(
            f"{place} is empty: its first row names the columns. See `scripts/load --template`."
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
                yield [from_text(value) for value in row]
        except csv.Error as error:
            raise UnreadableSpreadsheetError(
                f"{path} breaks off at line {reader.line_num}: {error}. Save it again as CSV."
            ) from error

    return Sheet(_non_empty_rows(rows(), path), [])


def _from_xlsx(path: Path, raw: bytes) -> Sheet:
    name, rows, remarks = read_workbook(path, raw)
    return Sheet(_non_empty_rows(rows, path), remarks, name)


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
