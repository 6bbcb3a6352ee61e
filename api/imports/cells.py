"""Define what a cell of a table file can be, and read texts as people mean them."""

import re
from dataclasses import dataclass
from datetime import date

_ERRORS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#####"})
_SCIENTIFIC = re.compile(r"\d(\.\d+)?E\+\d{2,}", re.IGNORECASE)
_TEXT_FORMULA = re.compile(r'="(.*)"')


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


Text = str | SpoiledCell


@dataclass(frozen=True)
class NumberCell:
    """A cell that holds a number. A column of numbers takes `value`, a column of codes `code`, any other `shown`.

    `shown` is what people see, and `value` is the exact number. `code` is what people see, unless the program may have
    dropped zeros at its end.
    """

    shown: Text
    value: Text
    code: Text


Cell = Text | NumberCell


@dataclass(frozen=True)
class Sheet:
    """The rows that are not empty, with their row numbers in the file (from 1), and remarks about skipped parts.

    `name` is the name of the sheet in a workbook, or None for a CSV file.
    """

    rows: list[tuple[int, list[Cell]]]
    remarks: list[str]
    name: str | None = None


def from_text(value: str) -> Text:
    if as_formula := _TEXT_FORMULA.fullmatch(value.strip()):  # people write ="007" so that Excel keeps the zeros
        value = as_formula[1]
    text = strip(value)
    if text in _ERRORS:
        return SpoiledCell("holds the error of a formula")
    if _SCIENTIFIC.fullmatch(text):
        return SpoiledCell("was shortened by Excel to a power of ten: format the column as text, and type it again")
    return text


def strip(value: str) -> str:
    """Strip white space, and replace each run of white space inside by one space.

    Full-width spaces count as white space. Zero-width spaces are removed.
    """
    return " ".join(re.sub("[\ufeff\u200b-\u200d\u2060]", "", value).split())
