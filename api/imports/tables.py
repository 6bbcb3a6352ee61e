"""Tables: a sheet's columns known by their titles, Chinese or English, and its cells by field; every fault is collected.

Reading the file is left to `sheets.py`, what the values mean to the import of each noun.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.imports.spreadsheets import Cell, Spoiled, UnreadableSpreadsheetError, read_sheet

_NAME_SEPARATORS = re.compile(r"[;；、]")
_CODE_SEPARATORS = re.compile(r"[;、,|/\s]")
_REMARK = re.compile(r"[(\[].*[)\]]$")
_DECORATION = re.compile(r"[\s_\-*:.]+")


@dataclass(frozen=True)
class Column:
    """A column by its field and its titles: the English one first, then the Chinese one, then others that are understood.

    A file needs each `required` column, and each row a value in it. Codes are read as half-width and without spaces; a
    column of days takes cells that a spreadsheet has made dates of.
    """

    field: str
    titles: tuple[str, ...]
    required: bool = False
    is_code: bool = False
    is_day: bool = False
    most: int = 200

    @property
    def wording(self) -> str:
        return " / ".join(self.titles[:2])


@dataclass(frozen=True, order=True)
class TableFault:
    """What is wrong in one place of a file; row and column count from 1, and are 0 where the file as a whole is meant."""

    row: int
    column: int
    title: str
    sentence: str

    def __str__(self) -> str:
        where = [f"row {self.row}"] if self.row else []
        where += [f"column {letter_of(self.column)}"] if self.column else []
        place = ", ".join(where) + (f" ({self.title})" if self.title else "")
        return f"{place}: {self.sentence}" if place else self.sentence


class BadTableError(Exception):
    """A file can't be imported; `faults` are all that was found, in the order of the file."""

    def __init__(self, faults: Sequence[TableFault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = sorted(set(faults))


@dataclass
class TableRow:
    """One row: text by field, empty where there is none."""

    number: int
    table: "ImportTable" = field(repr=False)
    values: dict[str, str] = field(default_factory=dict, repr=False)

    def text(self, name: str) -> str:
        return self.values.get(name, "")

    def names(self, name: str) -> list[str]:
        """The names that one cell lists, each once."""
        return _listed(_NAME_SEPARATORS, self.text(name))

    def codes(self, name: str) -> list[str]:
        """The codes, or words of a vocabulary, that one cell lists, each once and in half-width letters."""
        return _listed(_CODE_SEPARATORS, unicodedata.normalize("NFKC", self.text(name)))

    def fault(self, name: str, sentence: str) -> None:
        place, title = self.table.places.get(name, (0, ""))
        self.table.faults.append(TableFault(self.number, place, title, sentence))

    def remark(self, sentence: str) -> None:
        self.table.remarks.append(f"row {self.number}: {sentence}")


@dataclass
class ImportTable:
    """`places` says in which column, counted from 1, a field stands, and under what title."""

    places: dict[str, tuple[int, str]]
    rows: list[TableRow] = field(default_factory=list)
    faults: list[TableFault] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        return name in self.places

    def check(self) -> None:
        """Raise `BadTableError` where any fault was found so far."""
        if self.faults:
            raise BadTableError(self.faults)


def read_table(path: Path, columns: Sequence[Column]) -> ImportTable:
    """Raise `UnreadableSpreadsheetError` for what is no table, `BadTableError` for one whose header can't be understood."""
    sheet = read_sheet(path)
    (number, header), *rows = sheet.rows
    table = _headed(number, header, columns)
    table.remarks += sheet.remarks
    table.check()
    if not rows:
        raise UnreadableSpreadsheetError(f"{path} has a header and no rows.")
    titled = {place for place, title in enumerate(header, start=1) if title != ""}
    by_place = {table.places[column.field][0]: column for column in columns if table.has(column.field)}
    for row_number, cells in rows:
        table.rows.append(_row(table, row_number, cells, by_place))
        table.faults += [
            TableFault(row_number, place, "", "A value stands in a column without a title: give it one, or clear it.")
            for place, cell in enumerate(cells, start=1)
            if cell != "" and place not in titled
        ]
    return table


def _row(table: ImportTable, number: int, cells: Sequence[Cell], by_place: Mapping[int, Column]) -> TableRow:
    row = TableRow(number, table)
    for place, column in by_place.items():
        cell = cells[place - 1] if place <= len(cells) else ""
        if cell != "":
            row.values[column.field] = _read(row, column, cell)
        elif column.required:
            row.fault(column.field, "A value is needed.")
    return row


def _headed(number: int, header: Sequence[Cell], columns: Sequence[Column]) -> ImportTable:
    known = {plain(title): column for column in columns for title in column.titles}
    table = ImportTable({})
    for place, cell in enumerate(header, start=1):
        title = cell if isinstance(cell, str) else ""
        column = known.get(plain(title)) or known.get(plain(_REMARK.sub("", unicodedata.normalize("NFKC", title))))
        if column is None:
            if title:
                table.remarks.append(f"column {letter_of(place)} ({title}): not known here, and passed over.")
        elif column.field in table.places:
            first = letter_of(table.places[column.field][0])
            table.faults.append(TableFault(number, place, title, f"Column {first} says the same: keep one of the two."))
        else:
            table.places[column.field] = place, title
    for column in columns:
        if column.required and column.field not in table.places:
            fault = TableFault(
                number, 0, "", f"The column “{column.wording}” is missing: its title stands in the first row."
            )
            table.faults.append(fault)
    return table


def _read(row: TableRow, column: Column, cell: Cell) -> str:
    if isinstance(cell, Spoiled) and column.is_day and cell.day:
        return cell.day.isoformat()
    if isinstance(cell, Spoiled):
        row.fault(column.field, f"The cell {cell.why}.")
        return ""
    text = "".join(unicodedata.normalize("NFKC", cell).split()) if column.is_code else cell
    if len(text) > column.most:
        row.fault(column.field, f"At most {column.most} characters fit.")
        return ""
    if any(unicodedata.category(letter) in {"Cc", "Cs"} or letter == "\ufffd" for letter in text):
        row.fault(column.field, "The text holds a character that is none: type it again.")
        return ""
    return text


def _listed(separators: re.Pattern[str], text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in separators.split(text) if part.strip()))


def plain(words: str) -> str:
    """Titles and vocabulary as they are compared: whatever their width, case, spaces and decoration."""
    return _DECORATION.sub("", unicodedata.normalize("NFKC", words).casefold())


def letter_of(column: int) -> str:
    """A for 1, Z for 26, AA for 27."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
