"""Read the rows of an Excel workbook (XLSX) as people see them, or say which cell can't be read so."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse
from openpyxl.cell.text import Text as RichText
from openpyxl.utils.cell import coordinate_to_tuple
from openpyxl.utils.exceptions import InvalidFileException

from api.imports.cells import Cell, NumberCell, SpoiledCell, Text, UnreadableSpreadsheetError, from_text, strip
from api.imports.number_formats import GENERAL, show_number, show_text, shows_value

MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
MAX_NAMED = 5
"""Most merged ranges and hidden rows that a message names."""
_EXACT_DIGITS = 15
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_SHARED_STRINGS = "xl/sharedStrings.xml"
_WITHOUT_RESULT = SpoiledCell(
    "has a formula without a result: open the file in a spreadsheet program, and save it again, or type the value"
)
_HIDDEN = SpoiledCell("has a format that hides a part of it: format the column as text, and type what is meant")
_FRACTION = SpoiledCell(
    "is a number with a fraction, and may have lost zeros at its end: format the column as text, and type it again"
)
_LONG = SpoiledCell(f"has more than {_EXACT_DIGITS} digits, which Excel rounds: format the column as text")


@dataclass
class SheetStructure:
    """What only the XML of a sheet says: merged ranges, hidden rows, and (row, column) of formulas without a result."""

    merged: list[str] = field(default_factory=list)
    hidden_rows: list[int] = field(default_factory=list)
    without_result: set[tuple[int, int]] = field(default_factory=set)


def read_workbook(path: Path, raw: bytes) -> tuple[str, Iterator[list[Cell]], list[str]]:
    """Return the name of the first visible sheet, its rows, and remarks about what people may not expect.

    Raise `UnreadableSpreadsheetError` if there is no such sheet, or if it has merged cells.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise UnreadableSpreadsheetError(
                    f"{path} unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB: split it."
                )
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
            sheet, remarks = _choose_sheet(path, book.worksheets)
            structure = _read_structure(archive, sheet)
            if structure.merged:
                raise UnreadableSpreadsheetError(
                    f"{path} has merged cells ({', '.join(structure.merged[:MAX_NAMED])}) in the sheet “{sheet.title}”: "
                    "unmerge them, and write every value in its own cell."
                )
            if _SHARED_STRINGS in archive.namelist():
                _spell_shared_strings(archive, sheet)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, ParseError, DefusedXmlException) as error:
        raise _damaged(path) from error
    if structure.hidden_rows:
        first = ", ".join(map(str, structure.hidden_rows[:MAX_NAMED]))
        remarks.append(f"{len(structure.hidden_rows)} rows are hidden, and were read, too, from row {first} on.")
    return sheet.title, _rows(path, sheet, structure), remarks


def _rows(path: Path, sheet: Any, structure: SheetStructure) -> Iterator[list[Cell]]:
    sheet.reset_dimensions()  # the size that the file declares may be wrong
    try:
        for number, row in enumerate(sheet.iter_rows(), start=1):
            cells = [_from_cell(cell) for cell in row]
            for place in range(1, len(cells) + 1):
                if (number, place) in structure.without_result:
                    cells[place - 1] = _WITHOUT_RESULT
            yield cells
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError, ParseError, DefusedXmlException) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> UnreadableSpreadsheetError:
    return UnreadableSpreadsheetError(f"{path} is not an Excel workbook, or is damaged: save it again as .xlsx.")


def _choose_sheet(path: Path, sheets: Sequence[Any]) -> tuple[Any, list[str]]:
    """Return the first sheet that people see, and a remark if the workbook has others."""
    chosen = next((sheet for sheet in sheets if sheet.sheet_state == "visible"), None)
    if chosen is None:
        raise UnreadableSpreadsheetError(f"{path} has no visible sheet: show the sheet that is meant.")
    others = [
        sheet.title if sheet.sheet_state == "visible" else f"{sheet.title} (hidden)"
        for sheet in sheets
        if sheet is not chosen
    ]
    return chosen, [f"Only the sheet “{chosen.title}” was read, not: {', '.join(others)}."] if others else []


def _read_structure(archive: zipfile.ZipFile, sheet: Any) -> SheetStructure:
    """Read from a sheet's XML what openpyxl does not report when it reads row by row."""
    structure, row, column = SheetStructure(), 0, 0
    part = sheet._worksheet_path.lstrip("/")  # noqa: SLF001  the only way to a sheet's part
    with archive.open(part) as file:
        for event, element in iterparse(file, events=("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if event == "start":
                if tag == "row":
                    row, column = int(float(element.get("r", row + 1))), 0
                    if element.get("hidden") in {"1", "true"}:
                        structure.hidden_rows.append(row)
                elif tag == "c":
                    column = coordinate_to_tuple(element.get("r"))[1] if element.get("r") else column + 1
                continue
            if tag == "c" and _lacks_result(element):
                structure.without_result.add((row, column))
            elif tag == "mergeCell":
                structure.merged.append(str(element.get("ref")))
            if tag in {"c", "row", "mergeCell"}:
                element.clear()
    return structure


def _lacks_result(cell: Any) -> bool:
    """Return whether a cell has a formula, but no result. An empty text is a result."""
    children = {child.tag.rpartition("}")[2]: child for child in cell}
    if "f" not in children or "is" in children:
        return False
    return not ("v" in children and (children["v"].text or cell.get("t") == "str"))


def _spell_shared_strings(archive: zipfile.ZipFile, sheet: Any) -> None:
    """Put the shared strings as the file spells them into the sheet: openpyxl drops the escape of an underscore."""
    strings = []
    with archive.open(_SHARED_STRINGS) as file:
        for _, element in iterparse(file):
            if element.tag.endswith("}si"):
                text = RichText.from_tree(element)
                strings.append(text.content if text else "")
                element.clear()
    sheet._shared_strings[:] = strings  # noqa: SLF001  the only way to a sheet's strings


def _from_cell(cell: Any) -> Cell:
    value = cell.value
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case int() | float():
            return _from_number(value, cell.number_format or GENERAL)
        case datetime() | date() | time() | timedelta():
            day = value.date() if isinstance(value, datetime) else value if isinstance(value, date) else None
            return SpoiledCell("was turned into a date by Excel: format the column as text, and type it again", day)
        case _:
            text = from_text(_unescape(str(value)))
            shown = show_text(text, cell.number_format or GENERAL) if isinstance(text, str) and text else text
            return _HIDDEN if shown is None else strip(shown) if isinstance(shown, str) else shown


def _unescape(text: str) -> str:
    """Replace `_x000D_` and its like by the characters they stand for (ECMA-376 part 1, 22.9.2.19, ST_Xstring)."""
    units = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _from_number(value: float, number_format: str) -> Cell:
    if abs(value) >= 10**_EXACT_DIGITS:
        return _LONG
    shown: Text = strip(show_number(value, number_format) or "") or _HIDDEN
    exact = format(value, f".{_EXACT_DIGITS}g")
    is_bare_fraction = not float(value).is_integer() and number_format in {GENERAL, "@"}
    return NumberCell(
        shown=shown,
        value=exact if shows_value(value, number_format) else _HIDDEN,
        code=_FRACTION if is_bare_fraction else shown,
    )
