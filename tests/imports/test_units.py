"""Test the import of units: any order, all faults at once, and ids that survive new names and codes."""

from typing import Any

from tests.support.import_office import HEADER, UNITS, Office, check_tree, counts


async def test_missing_columns_leave_stored_values_unchanged(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    done = await office.load([["代码", "名称", "层级"], ["360703", "南康区（新）", "县"]])
    county = (await office.units())["360703"]
    assert [each.column for each in done.plan.changed[0].differences] == ["name"]
    assert county.position
    assert county.former_names


async def test_numeric_cells_are_read_as_codes(office: Office) -> None:
    rows: list[list[Any]] = [
        HEADER[:4],
        [360000, "江西省", "省", None],
        [360700.0, "赣州市", "市", 360000],
        ["", None, "", ""],
    ]
    await office.load(rows)
    assert sorted(await office.units()) == ["360000", "360700"]


async def test_all_faults_in_a_file_of_units_are_reported_at_once(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    rows = [
        HEADER,
        ["360703", "南康区", "县", "360000"],  # moved, and below a level that doesn't fit
        ["360704", "赣县区", "县", "369999"],
        ["360704", "赣县区", "县", "360700"],
        ["360705", "某区", "郡", "360700"],
        ["360706", "某区", "县", ""],
        ["360707", "某窗口", "窗口", "360700"],
        ["A", "甲股", "科室", "B"],
        ["B", "乙股", "科室", "A"],
        ["360708", "某区", "县", "360700", "1;2", "甲;乙;丙", "25.8", "", "WGS84"],
        ["360709", "某区", "县", "360700", "", "", "114.7", "25.8", "WGS84"],
        ["360710", "某区", "县", "360700", "", "", "25.8", "114.7", ""],
        ["360711", "某区", "县", "360700", "", "", "0", "0", "GPS"],
        ["", "无码", "县", "360700"],
    ]
    found = await office.faults(rows)
    assert found == [
        (
            "row 2, column D (上级代码): 360703 is below 360700 赣州市. "
            "An import does not move a unit: give its present superior."
        ),
        "row 2, column D (上级代码): A COUNTY belongs below CITY; 360000 is a PROVINCE.",
        "row 3, column D (上级代码): No unit has the code 369999: import it first, or correct the code.",
        "row 4, column A (代码): Row 3 has the code 360704 already: keep one of the two.",
        (
            "row 5, column C (层级): The level is one of PROVINCE, CITY, COUNTY, TOWNSHIP, DEPARTMENT, SECTION, WINDOW, "
            "or its Chinese word."
        ),
        "row 6, column D (上级代码): Every unit except a PROVINCE has a superior: give its code.",
        "row 7, column D (上级代码): A WINDOW belongs below TOWNSHIP or DEPARTMENT or SECTION; 360700 is a CITY.",
        "row 8, column D (上级代码): A SECTION belongs below TOWNSHIP or DEPARTMENT; B is a SECTION.",
        "row 8, column D (上级代码): The unit would be below itself: A > B > A.",
        "row 9, column D (上级代码): A SECTION belongs below TOWNSHIP or DEPARTMENT; A is a SECTION.",
        "row 10, column F (原名称): 2 former codes and 3 former names: give the same number of both.",
        "row 10, column H (经度): The other coordinate is missing.",
        "row 11, column G (纬度): Latitude and longitude are swapped: China lies between 3 and 54 degrees of latitude.",
        "row 12, column I (坐标系): A position needs its datum: WGS84 (GPS), GCJ02 (AMap, Tencent) or BD09 (Baidu).",
        "row 13, column G (纬度): Not coordinates: latitude is within 90 degrees, longitude within 180, and not both are 0.",
        "row 14, column A (代码): A value is needed.",
    ]


async def test_a_unit_keeps_its_id_when_its_code_changes(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    before = await office.units()
    rows = [
        HEADER,
        ["360799", "南康新区", "县", "360700", "３６０７８２；360703", "南康市；南康区"],
        ["360799-WJ", "卫健局", "局委办", "360703"],
    ]
    done = await office.load(rows)
    after = await office.units()
    assert [each.column for each in done.plan.changed[0].differences] == [
        "code",
        "name",
        "former codes and names",
        "position",
    ]
    assert any("360703 is a former code of 360799 南康新区; that unit is used" in remark for remark in done.remarks)
    assert (after["360799"].id, after["360799"].path) == (before["360703"].id, before["360703"].path)
    assert after["360799-WJ"].parent_id == before["360703"].id
    assert "360703" not in after
    check_tree(after)
    assert counts(await office.load(rows)) == (0, 0, 2)


async def test_a_freed_code_can_be_taken_by_the_next_import(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    before = await office.units()
    rows = [HEADER, ["360784", "龙南市", "县", "360700", "360783"], ["360783", "南康区", "县", "360700", "360703"]]
    # In one file, the row with the code 360783 would keep that unit, and 360784 would be new. Hence two imports.
    await office.load(rows[:2])
    assert (await office.units())["360784"].id == before["360783"].id
    await office.load([HEADER, rows[2]])
    assert (await office.units())["360783"].id == before["360703"].id


async def test_a_former_code_claimed_by_several_rows_or_units_is_a_fault(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    claimed = [["360790", "甲区", "县", "360700", "360703"], ["360791", "乙区", "县", "360700", "360703"]]
    assert await office.faults([HEADER, *claimed]) == [
        "row 2, column E (原代码): Row 3 also names 360703 as its former code: only one row can.",
        "row 3, column E (原代码): Row 2 also names 360703 as its former code: only one row can.",
    ]
    [several] = await office.faults([HEADER, ["360790", "甲区", "县", "360700", "360703;360783"]])
    assert "Only one of 360703 南康区, 360783 龙南市 can become 360790" in several
    done = await office.load([HEADER, ["360782", "南康市", "县", "360700"]], dry_run=True)
    assert done.remarks == ("row 2: 360782 is also a former code of 360703 南康区; from now on it means this unit.",)


async def test_a_level_changes_only_if_the_units_below_still_fit(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    await office.load([HEADER[:4], ["T", "唐江镇", "乡镇", "360703"], ["T-1", "农技站", "局委办", "T"]])
    [fault] = await office.faults([HEADER[:3], ["T", "唐江镇", "局委办"]])
    assert fault == "row 2, column C (层级): T-1 农技站 is below it, and can't be below a DEPARTMENT."
    done = await office.load([HEADER[:3], ["360703-JT", "南康区交通局", "乡镇"]])
    assert [each.column for each in done.plan.changed[0].differences] == ["level"]
