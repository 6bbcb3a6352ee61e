"""Test that the cells of a workbook are read as people see them, or refused by cell."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from api.imports.cells import UnreadableSpreadsheetError
from api.imports.tables import BadTableError, Column, ImportTable, read_table
from tests.support.table_files import csv_bytes, rewrite_part, xlsx

COLUMNS = (
    Column("code", ("code", "编号"), required=True, is_code=True, max_length=20),
    Column("name", ("name", "名称"), required=True),
    Column("latitude", ("latitude", "纬度"), is_number=True),
    Column("former", ("former codes", "原代码"), has_codes=True),
)
HEADER = ["编号", "名称", "纬度", "原代码"]


def read(path: Path) -> ImportTable:
    table = read_table(path, COLUMNS)
    table.check()
    return table


def write(path: Path, row: list[Any], **formats: str) -> Path:
    book = xlsx(path, [HEADER, row])
    for column, number_format in formats.items():
        book.active[f"{column}2"].number_format = number_format
    book.save(path)
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(BadTableError) as bad:
        read(path)
    return [str(fault).split(":")[0] for fault in bad.value.faults]


@pytest.mark.parametrize(
    ("value", "number_format", "code"),
    [(3, '"BUG-"000', "BUG-003"), (4, "000-000", "000-004"), (1.1, "0.00", "1.10"), ("003", '"BUG-"@', "BUG-003")],
)
def test_a_code_is_read_as_its_format_shows_it(tmp_path: Path, value: Any, number_format: str, code: str) -> None:
    table = read(write(tmp_path / "points.xlsx", [value, "甲子厂"], A=number_format))
    assert table.rows[0].text("code") == code


def test_a_number_takes_its_exact_value_and_not_what_a_format_rounds(tmp_path: Path) -> None:
    table = read(write(tmp_path / "points.xlsx", ["P-1", "甲子厂", 25.8552], C="0.0"))
    assert table.rows[0].text("latitude") == "25.8552"


def test_cells_that_hide_or_lose_something_are_refused_by_cell(tmp_path: Path) -> None:
    row = [1.1, 1234, 0.95, 1.1]
    found = faults(write(tmp_path / "points.xlsx", row, B=";;;", C="0%"))
    assert found == [
        "row 2, column A (编号)",
        "row 2, column B (名称)",
        "row 2, column C (纬度)",
        "row 2, column D (原代码)",
    ]


def test_escapes_of_characters_are_read_as_the_characters(tmp_path: Path) -> None:
    path = write(tmp_path / "points.xlsx", ["P-1", "甲子厂_x000D_\n（虚构）"])
    assert read(path).rows[0].text("name") == "甲子厂 （虚构）"
    write(path, ["P-1", "甲子厂_x005F_x000D_"])
    assert read(path).rows[0].text("name") == "甲子厂_x000D_"
    write(path, ["P-1", "甲子厂_xD83C__xDF4A_"])
    assert read(path).rows[0].text("name") == "甲子厂🍊"
    write(path, ["P-1", "甲子厂_x0001_"])
    assert faults(path) == ["row 2, column B (名称)"]


def test_a_formula_without_a_result_is_refused_and_one_with_a_result_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "points.xlsx", ["P-1", "甲子厂", "=25.5+0.3552", '="A"&"B"'])
    assert faults(path) == ["row 2, column C (纬度)", "row 2, column D (原代码)"]
    rewrite_part(path, "xl/worksheets/sheet1.xml", b"<f>25.5+0.3552</f><v />", b"<f>25.5+0.3552</f><v>25.8552</v>")
    assert faults(path) == ["row 2, column D (原代码)"]
    rewrite_part(
        path,
        "xl/worksheets/sheet1.xml",
        b'<c r="D2"><f>"A"&amp;"B"</f><v /></c>',
        b'<c r="D2" t="str"><f>1</f><v/></c>',
    )
    [row] = read(path).rows
    assert (row.text("latitude"), row.text("former")) == ("25.8552", "")


def test_the_first_visible_sheet_is_read_and_named(tmp_path: Path) -> None:
    path = tmp_path / "points.xlsx"
    book = xlsx(path, [["产业"], ["家具"]])
    book.active.title, book.active.sheet_state = "字典", "hidden"
    sheet = book.create_sheet("监测点")
    for row in (HEADER, ["P-8", "甲子厂"]):
        sheet.append(row)
    book.save(path)
    table = read(path)
    assert table.rows[0].text("code") == "P-8"
    assert table.remarks == ["Only the sheet “监测点” was read, not: 字典 (hidden)."]
    sheet["B2"] = None
    book.save(path)
    with pytest.raises(BadTableError) as bad:
        read(path)
    assert bad.value.sheet == "监测点"
    sheet.delete_rows(2)
    book.save(path)
    with pytest.raises(UnreadableSpreadsheetError, match=r"The sheet “监测点” of .* has a header and no rows"):
        read(path)


def test_hidden_rows_are_read_and_a_remark_says_so(tmp_path: Path) -> None:
    path = tmp_path / "points.xlsx"
    book = xlsx(path, [HEADER, ["P-1", "甲子厂"], ["P-2", "乙丑厂"]])
    book.active.row_dimensions[3].hidden = True
    book.save(path)
    table = read(path)
    assert [row.text("code") for row in table.rows] == ["P-1", "P-2"]
    assert table.remarks == ["1 rows are hidden, and were read, too, from row 3 on."]


@pytest.mark.parametrize("typed", ["'BUG-201", "BUG\u2013201", "BUG\u2014\u2014201", "\u2019BUG\u2011201"])
def test_dashes_in_codes_are_hyphens_and_a_leading_apostrophe_is_dropped(tmp_path: Path, typed: str) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes(csv_bytes([HEADER, [typed, "甲子厂 – 南康", "", f"{typed};P-9"]]))
    table = read(path)
    [row] = table.rows
    assert (row.text("code"), row.text("name"), row.codes("former")) == ("BUG-201", "甲子厂 – 南康", ["BUG-201", "P-9"])
    assert table.remarks == ["row 2: 编号 was read as BUG-201."]


def test_a_workbook_that_is_damaged_inside_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "points.xlsx", ["P-1", "甲子厂"])
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    rewrite_part(path, "xl/worksheets/sheet1.xml", sheet[-200:], b"<broken")
    with pytest.raises(UnreadableSpreadsheetError, match="is not an Excel workbook, or is damaged"):
        read(path)
