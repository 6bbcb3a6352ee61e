"""Test the catalogue: an entry has a scope and is identified by unit, kind, code and first day.

Entries are closed, but never deleted.
"""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from api.imports.runner import Noun, import_file
from schema.catalogue.entries import DEFAULTS, CatalogueEntry
from storage.mongodb.codecs import from_document
from tests.support.import_office import NOW, Office, counts
from tests.support.table_files import csv_bytes, xlsx
from tests.support.world import World, new_id

TITLES = ["类别", "编号", "名称", "适用单位代码", "生效日期", "失效日期"]
GRADE = [*TITLES, "分值"]
SERVICE = [*TITLES, "法定时限", "承诺时限", "责任科室代码", "所需材料", "办理流程"]
FEE = [*TITLES, "收费标准", "收费依据"]
ENTRY = """
id kind code name validFrom validTo score office { code }
service { statutoryDays promisedDays documents steps unit { code } } fee { standard legalBasis }
"""
LIST = f"""
query List($kind: CatalogueKind, $at: Date, $first: Int! = 50, $after: String) {{
  catalogue(kind: $kind, at: $at, first: $first, after: $after) {{
    edges {{ node {{ {ENTRY} }} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
NODE = "query One($id: ID!) { node(id: $id) { id ... on CatalogueEntry { name } } }"


@pytest.fixture
def loading(world: World, tmp_path: Path) -> Office:
    """Return an import office with the small world and a folder for the files."""
    return Office(world.store, tmp_path)


def service(code: str = "JT-01", days: int | str = 7, **fields: str) -> list[str]:
    given = {"unit": "360703-JT", "from": "2026-01-01", "to": "", "name": "道路运输经营许可"} | fields
    return [
        *("行政审批事项", code, given["name"], given["unit"], given["from"], given["to"]),
        *("20", str(days), "360703-JT-1", "申请表; 营业执照", "受理; 审查; 发证"),
    ]


def fee(code: str = "S1", **fields: str) -> list[str]:
    given = {"unit": "360703", "from": "2026-01-01", "to": "", "standard": "每吨 0.8 元"} | fields
    return ["涉企收费目录", code, "水费", given["unit"], given["from"], given["to"], given["standard"], "示例文件"]


def grade(code: str = "优", score: str = "95", unit: str = "360703", **fields: str) -> list[str]:
    given = {"from": "2026-01-01", "to": ""} | fields
    return ["满意度等级", code, code, unit, given["from"], given["to"], score]


async def load(office: Office, titles: Sequence[str], *rows: Sequence[Any], dry_run: bool = False) -> list[str]:
    return list((await office.load([titles, *rows], Noun.CATALOGUES, dry_run=dry_run)).lines())


async def stored(office: Office) -> list[CatalogueEntry]:
    """Return all imported entries. The product's initial entries are left out."""
    kept = (await office.kept())["catalogue"]
    entries = [from_document(CatalogueEntry, each) for each in kept if each["unit_id"]]
    return sorted(entries, key=lambda each: (each.code, each.valid_from))


async def listed(world: World, name: str, **variables: Any) -> list[dict[str, Any]]:
    return [edge["node"] for edge in (await world.ask(name, LIST, **variables))["catalogue"]["edges"]]


async def test_all_fields_of_an_entry_are_returned(world: World, loading: Office) -> None:
    await load(loading, SERVICE, service(to="2999-12-31"))
    await load(loading, FEE, fee())
    entry, levy = [*await listed(world, "monitor", kind="SERVICE_ITEM"), *await listed(world, "admin", kind="FEE_ITEM")]
    assert entry | {"id": ""} == {
        "id": "",
        "kind": "SERVICE_ITEM",
        "code": "JT-01",
        "name": "道路运输经营许可",
        "validFrom": "2026-01-01",
        "validTo": "2999-12-31",
        "score": None,
        "office": {"code": "360703-JT"},
        "service": {
            "statutoryDays": 20,
            "promisedDays": 7,
            "documents": ["申请表", "营业执照"],
            "steps": ["受理", "审查", "发证"],
            "unit": {"code": "360703-JT-1"},
        },
        "fee": None,
    }
    assert levy["fee"] == {"standard": "每吨 0.8 元", "legalBasis": "示例文件"}
    assert levy["service"] is None
    assert (await world.ask("inspector", NODE, id=entry["id"]))["node"]["name"] == "道路运输经营许可"


async def test_viewers_find_entries_of_their_scope_and_of_the_units_above(world: World, loading: Office) -> None:
    await load(
        loading,
        FEE,
        fee("S-city", unit="360700"),
        fee("S-own", unit="360703"),
        fee("S-bureau", unit="360703-JT"),
        fee("S-office", unit="360703-XNB"),
        fee("S-other", unit="360783"),
    )
    wanted = {
        "monitor": ["S-bureau", "S-city", "S-office", "S-own"],
        "liaison": ["S-bureau", "S-city", "S-own"],
        "neighbour": ["S-city", "S-other"],
        "city_officer": ["S-bureau", "S-city", "S-office", "S-other", "S-own"],
    }
    for name, codes in wanted.items():
        assert [each["code"] for each in await listed(world, name, kind="FEE_ITEM")] == codes
        assert len(await listed(world, name, kind="RATING_GRADE")) == len(DEFAULTS)
    [other] = [each for each in await stored(loading) if each.code == "S-other"]
    assert (await world.ask("liaison", NODE, id=other.id))["node"] is None
    assert (await world.ask("liaison", NODE, id=new_id("cat")))["node"] is None
    assert await world.errors(None, LIST) == ["UNAUTHENTICATED"]


async def test_pages_are_ordered_and_complete(world: World, loading: Office) -> None:
    await load(loading, FEE, *(fee(f"S{number}") for number in range(5)))
    found, after = [], None
    while True:
        page = (await world.ask("monitor", LIST, first=3, after=after))["catalogue"]
        found += [(edge["node"]["kind"], edge["node"]["code"]) for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(found) == len(set(found)) == 10
    assert found == sorted(found)


async def test_a_later_version_ends_the_earlier_one_and_both_are_kept(world: World, loading: Office) -> None:
    await load(loading, SERVICE, service(days=15))
    said = await load(loading, SERVICE, service(days=7, **{"from": "2026-07-01"}))
    assert said == [
        "new: row 2, JT-01 道路运输经营许可 from 2026-07-01",
        "changed: row 2, JT-01 道路运输经营许可 from 2026-01-01",
        "    valid to: (empty) -> 2026-06-30",
        "catalogues: 1 added, 1 changed, 0 unchanged.",
    ]
    for day, days in (("2026-01-01", 15), ("2026-06-30", 15), ("2026-07-01", 7), ("2040-01-01", 7)):
        [found] = await listed(world, "officer", kind="SERVICE_ITEM", at=day)
        assert found["service"]["promisedDays"] == days
    assert await listed(world, "officer", kind="SERVICE_ITEM", at="2025-12-31") == []
    await load(loading, SERVICE, service(days=5, **{"from": "2999-01-01"}))
    ahead = await listed(world, "officer", kind="SERVICE_ITEM")
    assert {each["service"]["promisedDays"] for each in ahead} == {7, 5}
    before = await loading.kept()
    for rows in (
        [service(days=5, **{"from": "2999-01-01"})],
        [service(days=15)],
        [service(days=7, **{"from": "2026-07-01"}), service(days=15)],
    ):
        assert counts(await loading.load([SERVICE, *rows], Noun.CATALOGUES))[:2] == (0, 0)
    assert await loading.kept() == before


async def test_an_entry_is_closed_or_corrected_under_its_own_id(world: World, loading: Office) -> None:
    await load(loading, FEE, fee())
    [first] = await stored(loading)
    assert (await load(loading, FEE, fee(to="2026-05-31", standard="每吨 0.7 元")))[1:3] == [
        "    valid to: (empty) -> 2026-05-31",
        "    standard: 每吨 0.8 元 -> 每吨 0.7 元",
    ]
    [closed] = await stored(loading)
    assert (closed.id, closed.valid_to) == (first.id, date(2026, 5, 31))
    assert await listed(world, "officer", kind="FEE_ITEM", at="2026-06-01") == []
    await load(loading, [*TITLES[:5], "收费标准"], [*fee()[:5], "每吨 0.6 元"])
    [mended] = await stored(loading)
    assert mended.fee
    assert (mended.valid_to, mended.fee.standard, mended.fee.legal_basis) == (
        date(2026, 5, 31),
        "每吨 0.6 元",
        "示例文件",
    )


async def test_a_dry_run_writes_nothing(loading: Office) -> None:
    before = await loading.kept()
    said = await load(loading, FEE, fee(), dry_run=True)
    assert said == [
        "new: row 2, S1 水费 from 2026-01-01",
        "catalogues: 1 would be added, 0 would be changed, 0 unchanged.",
    ]
    assert await loading.kept() == before


@pytest.mark.parametrize(
    ("titles", "rows", "faults"),
    [
        (GRADE, [["星级", *grade()[1:]]], ["行政审批事项"]),
        (GRADE, [grade(score="")], ["score"]),
        (GRADE, [grade(score="101"), grade("良", "九十"), grade("差", "-1")], ["from 0 to 100"] * 3),
        (GRADE, [grade(unit="nowhere")], ["unit"]),
        (GRADE, [grade(), grade(score="90")], ["row 2 has the same entry"]),
        (GRADE, [grade(**{"from": "2026-02-30"}), grade("良", **{"from": "soon"})], ["2026-01-31"] * 2),
        (GRADE, [grade(to="2025-12-31")], ["can't end before it begins"]),
        (GRADE, [grade(to="2026-08-01"), grade(**{"from": "2026-08-01"})], ["end the earlier one sooner"]),
        (FEE, [fee(standard="")], ["standard"]),
        (SERVICE, [service(unit="360703-XNB")], ["is not below"]),
        (SERVICE, [service(days="半年")], ["whole number"]),
        ([*FEE, "分值"], [[*fee(), "3"]], ["no such column"]),
        (TITLES[1:], [fee()[1:]], ["missing"]),
    ],
)
async def test_a_faulty_file_changes_nothing_and_every_fault_is_reported(
    loading: Office, titles: list[str], rows: list[list[str]], faults: list[str]
) -> None:
    found = await loading.faults([titles, *rows], Noun.CATALOGUES)
    assert len(found) == len(faults), found
    for said, wanted in zip(found, faults, strict=True):
        assert wanted.lower() in said.lower()


async def test_an_entry_that_overlaps_a_closed_one_is_refused(loading: Office) -> None:
    await load(loading, FEE, fee(to="2026-12-31"))
    [fault] = await loading.faults([FEE, fee(**{"from": "2026-06-01"})], Noun.CATALOGUES)
    assert "S1 水费 from 2026-01-01 is valid until 2026-12-31" in fault


@pytest.mark.parametrize("day", ["2026-01-31", "2026/1/31", "2026.1.31", "2026年1月31日", "20260131"])
async def test_days_are_read_in_every_common_format(loading: Office, day: str) -> None:
    path = loading.folder / "fees.csv"
    path.write_bytes(csv_bytes([FEE, fee(**{"from": day})], "gb18030"))
    await import_file(loading.store, Noun.CATALOGUES, path, now=NOW)
    assert [each.valid_from for each in await stored(loading)] == [date(2026, 1, 31)]


async def test_an_excel_date_is_read_as_a_day_but_refused_as_a_name(loading: Office) -> None:
    row: list[Any] = fee()
    row[4] = datetime(2026, 1, 31)  # noqa: DTZ001  a spreadsheet's dates have no zone
    path = loading.folder / "fees.xlsx"
    xlsx(path, [FEE, row]).save(path)
    await import_file(loading.store, Noun.CATALOGUES, path, now=NOW)
    assert [each.valid_from for each in await stored(loading)] == [date(2026, 1, 31)]
    row[2] = datetime(2026, 1, 31)  # noqa: DTZ001
    assert "turned into a date" in (await loading.faults([FEE, row], Noun.CATALOGUES))[0]


async def test_default_grades_are_data_and_a_restart_keeps_their_changes(world: World) -> None:
    assert {each["code"]: each["score"] for each in await listed(world, "monitor", kind="RATING_GRADE")} == {
        "优": 90,
        "良": 75,
        "一般": 60,
        "较差": 45,
        "差": 30,
    }
    await world.store.mongo.collection("catalogue").update_one({"code": "优"}, {"$set": {"score": 92}})
    await world.store.catalogue.begin()
    assert {each["score"] for each in await listed(world, "monitor", kind="RATING_GRADE") if each["code"] == "优"} == {
        92
    }
