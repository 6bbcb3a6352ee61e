"""Test reading CSV and XLSX as spreadsheet programs write them, without a database."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from api.imports.cells import UnreadableSpreadsheetError
from api.imports.spreadsheets import read_sheet
from api.imports.tables import BadTableError, Column, ImportTable, column_letter, read_table
from tests.support.table_files import csv_bytes, xlsx

COLUMNS = (
    Column("code", ("code", "代码"), required=True, is_code=True, max_length=20),
    Column("name", ("name", "名称"), required=True),
    Column("parent", ("parent", "上级代码"), is_code=True),
)
ROWS = [["代码", "名称", "上级代码"], ["360703", "南康区", "360700"], ["007", "龙南市", ""]]


def read(path: Path) -> ImportTable:
    table = read_table(path, COLUMNS)
    table.check()
    return table


def values(path: Path) -> list[tuple[str, str, str]]:
    return [(row.text("code"), row.text("name"), row.text("parent")) for row in read(path).rows]


EXPECTED = [("360703", "南康区", "360700"), ("007", "龙南市", "")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_encoding_and_delimiter_reads_the_same(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "units.csv"
    path.write_bytes(csv_bytes(ROWS, encoding, delimiter))
    assert values(path) == EXPECTED


def test_the_delimiter_line_for_excel_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    path.write_bytes(b"sep=;\r\n" + csv_bytes(ROWS, "utf-8", ";"))
    assert values(path) == EXPECTED


@pytest.mark.parametrize(
    "header",
    [
        ["code", "name", "parent"],
        [" Code ", "NAME", "Parent"],
        ["ｃｏｄｅ", "名\u3000称", "上级 代码"],
        ["代码（必填）", "名称*", "上级代码："],
    ],
)
def test_titles_are_recognized_in_both_languages_and_any_spacing(tmp_path: Path, header: list[str]) -> None:
    path = tmp_path / "units.csv"
    path.write_bytes(csv_bytes([header, *ROWS[1:]]))
    assert values(path) == EXPECTED


def test_cells_are_trimmed_and_codes_converted_to_halfwidth(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    path.write_bytes(
        csv_bytes([ROWS[0], [" ３６０７０３\u3000", "\ufeff 南康区\u200b", '="0360700"'], ["", "", ""], []])
    )
    assert values(path) == [("360703", "南康区", "0360700")]


def test_xlsx_numbers_are_read_as_their_displayed_digits(tmp_path: Path) -> None:
    path = tmp_path / "units.xlsx"
    book = xlsx(path, [ROWS[0], [360703, "南康区", 360700.0], ["007", "龙南市", None], [7, "定南县", None]])
    book.active["A4"].number_format = "000000"
    book.active["F900"].number_format = "0.00"  # a formatted cell beyond the last value
    book.save(path)
    assert values(path) == [("360703", "南康区", "360700"), ("007", "龙南市", ""), ("000007", "定南县", "")]


def test_every_fault_in_a_file_is_reported_with_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "units.xlsx"
    rows: list[list[Any]] = [
        ["代码", "备注", "名称", "上级代码"],
        [date(2026, 3, 7), "", "南康区", 12345678901234567890],
        ["", "", "", "360700"],
        ["360704" * 4, "", "#REF!", None, "stray"],
    ]
    xlsx(path, rows).save(path)
    with pytest.raises(BadTableError) as bad:
        read(path)
    found = [
        (fault.row, column_letter(fault.column), fault.title, fault.message.split()[0]) for fault in bad.value.faults
    ]
    assert found == [
        (2, "A", "代码", "The"),
        (2, "D", "上级代码", "The"),
        (3, "A", "代码", "A"),
        (3, "C", "名称", "A"),
        (4, "A", "代码", "Write"),
        (4, "C", "名称", "The"),
        (4, "E", "", "A"),
    ]
    assert str(bad.value.faults[0]).startswith("row 2, column A (代码): The cell was turned into a date by Excel")
    assert "more than 15 digits" in str(bad.value.faults[1])


def test_a_code_that_excel_shortened_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    path.write_bytes(csv_bytes([ROWS[0], ["3.60703E+11", "南康区", ""]]))
    with pytest.raises(BadTableError, match=r"row 2, column A \(代码\): The cell was shortened by Excel"):
        read(path)


@pytest.mark.parametrize("merged", ["A1:B1", "C2:C3"])
def test_merged_cells_are_refused_with_their_range(tmp_path: Path, merged: str) -> None:
    path = tmp_path / "units.xlsx"
    book = xlsx(path, ROWS)
    book.active.merge_cells(merged)
    book.save(path)
    with pytest.raises(UnreadableSpreadsheetError, match=f"merged cells .{merged}."):
        read_sheet(path)


def test_missing_and_duplicate_columns_are_faults_and_unknown_ones_remarks(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    path.write_bytes(csv_bytes([["代码", "code", "备注"], ["360703", "360703", "x"]]))
    with pytest.raises(BadTableError) as bad:
        read(path)
    assert [str(fault) for fault in bad.value.faults] == [
        "row 1: The column “name / 名称” is missing: write its title in the first row.",
        "row 1, column B (code): Column A is the same column: keep one of the two.",
    ]
    path.write_bytes(csv_bytes([["代码", "名称", "备注"], ["360703", "南康区", "x"]]))
    assert read(path).remarks == ["column C (备注): unknown, so it was skipped."]


def test_only_the_first_sheet_is_read_and_a_remark_says_so(tmp_path: Path) -> None:
    path = tmp_path / "units.xlsx"
    book = xlsx(path, ROWS)
    book.create_sheet("其他").append(["x"])
    book.save(path)
    table = read(path)
    assert len(table.rows) == 2
    assert table.remarks == ["Only the sheet “Sheet” was read, not: 其他."]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\r\n,,\r\n", "is empty"),
        ("代码,名称\r\n".encode(), "a header and no rows"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 600, "Excel's old format"),
        (b"PK\x03\x04 not a workbook", "not an Excel workbook"),
        (b"\xff\xd8\xff\xe0 a photo", "neither UTF-8, GB18030 nor UTF-16"),
        ('代码,名称\r\n1,"open'.encode(), "breaks off at line 2"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused_with_the_reason(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "units"
    path.write_bytes(content)
    with pytest.raises(UnreadableSpreadsheetError, match=says):
        read(path)


def test_a_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSpreadsheetError, match=r"units\.csv can't be read: No such file"):
        read(tmp_path / "units.csv")


def test_column_letters_are_those_of_spreadsheets() -> None:
    assert [column_letter(column) for column in (1, 26, 27, 52, 703)] == ["A", "Z", "AA", "AZ", "AAA"]
