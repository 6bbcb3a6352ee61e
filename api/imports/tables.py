"""Read a sheet as a table: find its columns by their Chinese or English titles, and collect all faults."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.imports.cells import Cell, NumberCell, SpoiledCell, Text, UnreadableSpreadsheetError
from api.imports.spreadsheets import read_sheet

_NAME_SEPARATORS = re.compile(r"[;；、]")
_CODE_SEPARATORS = re.compile(r"[;、,|/\s]")
_REMARK = re.compile(r"[(\[].*[)\]]$")
_DASHES = re.compile("[\u2010-\u2013\u2212\ufe58]|[\u2014\u2015]+")
"""Dashes that word processors write for a hyphen. A Chinese keyboard writes two long ones for one key."""
_APOSTROPHES = "'\u2018\u2019`"
_DECORATION = re.compile(r"[\s_\-*:.]+")


@dataclass(frozen=True)
class Column:
    """A column that a file may have.

    `titles` are the accepted titles: first the English one, then the Chinese one, then others. A file must have each
    `required` column, and each row must have a value in it. In a column with `is_code`, full-width letters become
    half-width and spaces are removed; one with `has_codes` lists codes. A column with `is_number` takes the exact
    number of a cell, all others take what people see. A column with `is_day` accepts cells that a spreadsheet program
    has turned into dates.
    """

    field: str
    titles: tuple[str, ...]
    required: bool = False
    is_code: bool = False
    has_codes: bool = False
    is_number: bool = False
    is_day: bool = False
    max_length: int = 200

    @property
    def wording(self) -> str:
        return " / ".join(self.titles[:2])


@dataclass(frozen=True, order=True)
class TableFault:
    """A fault in one place of a file. Row and column count from 1. 0 means the whole file."""

    row: int
    column: int
    title: str
    message: str

    def __str__(self) -> str:
        where = [f"row {self.row}"] if self.row else []
        where += [f"column {column_letter(self.column)}"] if self.column else []
        place = ", ".join(where) + (f" ({self.title})" if self.title else "")
        return f"{place}: {self.message}" if place else self.message


class BadTableError(Exception):
    """A file can't be imported. `faults` are all its faults, in the order of the file.

    `sheet` is the name of the sheet that was read, or None for a CSV file.
    """

    def __init__(self, faults: Sequence[TableFault], sheet: str | None = None) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = sorted(set(faults))
        self.sheet = sheet


@dataclass
class TableRow:
    """One row. `values` holds the text of each field, without the empty cells."""

    number: int
    table: "ImportTable" = field(repr=False)
    values: dict[str, str] = field(default_factory=dict, repr=False)

    def text(self, name: str) -> str:
        return self.values.get(name, "")

    def names(self, name: str) -> list[str]:
        """Return the names that are listed in a cell, each name once."""
        return _split_list(_NAME_SEPARATORS, self.text(name))

    def codes(self, name: str) -> list[str]:
        """Return the codes or keywords that are listed in a cell, each once and in half-width letters."""
        words = _split_list(_CODE_SEPARATORS, unicodedata.normalize("NFKC", self.text(name)))
        return list(dict.fromkeys(spell_code(word) for word in words))

    def fault(self, name: str, message: str) -> None:
        place, title = self.table.places.get(name, (0, ""))
        self.table.faults.append(TableFault(self.number, place, title, message))

    def remark(self, message: str) -> None:
        self.table.remarks.append(f"row {self.number}: {message}")


@dataclass
class ImportTable:
    """The rows of a file.

    `places` maps the name of a field to the number of its column, counted from 1, and the column's title. `sheet` is
    the name of the sheet that was read, or None for a CSV file.
    """

    places: dict[str, tuple[int, str]]
    sheet: str | None = None
    rows: list[TableRow] = field(default_factory=list)
    faults: list[TableFault] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        return name in self.places

    def check(self) -> None:
        """Raise `BadTableError` if any fault has been found so far."""
        if self.faults:
            raise BadTableError(self.faults, self.sheet)


def read_table(path: Path, columns: Sequence[Column]) -> ImportTable:
    """Read a file.

    Raise `UnreadableSpreadsheetError` if the file is not a table, `BadTableError` if its header has faults.
    """
    sheet = read_sheet(path)
    (number, header), *rows = sheet.rows
    table = _read_header(number, header, columns)
    table.remarks += sheet.remarks
    table.sheet = sheet.name
    table.check()
    if not rows:
        place = f"The sheet “{sheet.name}” of {path}" if sheet.name else path
        raise UnreadableSpreadsheetError(f"{place} has a header and no rows.")
    titled = {place for place, title in enumerate(header, start=1) if title != ""}
    by_place = {table.places[column.field][0]: column for column in columns if table.has(column.field)}
    for row_number, cells in rows:
        table.rows.append(_read_row(table, row_number, cells, by_place))
        table.faults += [
            TableFault(
                row_number,
                place,
                "",
                "A value stands in a column without a title: give the column a title, or clear the cell.",
            )
            for place, cell in enumerate(cells, start=1)
            if cell != "" and place not in titled
        ]
    return table


def _read_row(table: ImportTable, number: int, cells: Sequence[Cell], by_place: Mapping[int, Column]) -> TableRow:
    row = TableRow(number, table)
    for place, column in by_place.items():
        cell = cells[place - 1] if place <= len(cells) else ""
        if cell != "":
            row.values[column.field] = _read_cell(row, column, cell)
        elif column.required:
            row.fault(column.field, "A value is needed.")
    return row


def _read_header(number: int, header: Sequence[Cell], columns: Sequence[Column]) -> ImportTable:
    known = {normalize(title): column for column in columns for title in column.titles}
    table = ImportTable({})
    for place, cell in enumerate(header, start=1):
        seen = cell.shown if isinstance(cell, NumberCell) else cell
        title = seen if isinstance(seen, str) else ""
        column = known.get(normalize(title)) or known.get(
            normalize(_REMARK.sub("", unicodedata.normalize("NFKC", title)))
        )
        if column is None:
            if title:
                table.remarks.append(f"column {column_letter(place)} ({title}): unknown, so it was skipped.")
        elif column.field in table.places:
            first = column_letter(table.places[column.field][0])
            table.faults.append(
                TableFault(number, place, title, f"Column {first} is the same column: keep one of the two.")
            )
        else:
            table.places[column.field] = place, title
    for column in columns:
        if column.required and column.field not in table.places:
            fault = TableFault(
                number, 0, "", f"The column “{column.wording}” is missing: write its title in the first row."
            )
            table.faults.append(fault)
    return table


def _read_cell(row: TableRow, column: Column, cell: Cell) -> str:
    text = _text_for(column, cell)
    if isinstance(text, SpoiledCell):
        row.fault(column.field, f"The cell {text.why}.")
        return ""
    if column.is_code:
        typed = "".join(unicodedata.normalize("NFKC", text).split())
        text = spell_code(typed)
        if text != typed:
            row.remark(f"{column.titles[1]} was read as {text}.")
    if len(text) > column.max_length:
        row.fault(column.field, f"Write at most {column.max_length} characters.")
        return ""
    if any(unicodedata.category(letter) in {"Cc", "Cs"} or letter == "\ufffd" for letter in text):
        row.fault(column.field, "The text holds a broken character: type it again.")
        return ""
    return text


def _text_for(column: Column, cell: Cell) -> Text:
    """Return what a column takes from a cell."""
    if isinstance(cell, NumberCell):
        is_code = column.is_code or column.has_codes
        return cell.value if column.is_number else cell.code if is_code else cell.shown
    if isinstance(cell, SpoiledCell) and column.is_day and cell.day:
        return cell.day.isoformat()
    return cell


def spell_code(code: str) -> str:
    """Return a code as it is compared: dashes are hyphens, and no apostrophe stands before it.

    Word processors turn hyphens into dashes. Excel's mark of a text cell, an apostrophe, comes along into CSV files.
    """
    return _DASHES.sub("-", code).lstrip(_APOSTROPHES)


def _split_list(separators: re.Pattern[str], text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in separators.split(text) if part.strip()))


def normalize(words: str) -> str:
    """Return a title or keyword in the form in which it is compared.

    Letters are half-width and lower-case. Spaces and punctuation such as `-`, `_` and `:` are removed.
    """
    return _DECORATION.sub("", unicodedata.normalize("NFKC", words).casefold())


def column_letter(column: int) -> str:
    """Return A for 1, Z for 26, AA for 27."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
