"""Importing the catalogue (目录): rows become grades, service items and fee items, by unit, kind, code and first day.

An entry that another of its code follows ends the day before; none is deleted. What all imports share is in `plans.py`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import strawberry

from api.imports.plans import ImportPlan, UnitNames, batches_of, differences_of, fetch_by_names
from api.imports.tables import Column, ImportTable, TableRow, plain
from schema.catalogue.entries import CatalogueEntry, CatalogueKind, FeeTerms, ServiceTerms
from schema.core.ids import compose
from schema.organisation.units import Unit
from storage.store import Store

COLUMNS = (
    Column("kind", ("kind", "类别", "目录类别"), required=True, most=50),
    Column("code", ("code", "编号", "事项编号", "代码"), required=True, is_code=True, most=100),
    Column("name", ("name", "名称", "事项名称"), required=True),
    Column("unit", ("unit", "适用单位代码", "单位代码"), required=True, is_code=True, most=100),
    Column("valid_from", ("valid from", "生效日期"), required=True, is_day=True),
    Column("valid_to", ("valid to", "失效日期"), is_day=True),
    Column("score", ("score", "分值")),
    Column("statutory_days", ("statutory days", "法定时限", "法定时限（工作日）")),
    Column("promised_days", ("promised days", "承诺时限", "承诺时限（工作日）")),
    Column("section", ("section", "责任科室代码", "责任科室"), is_code=True, most=100),
    Column("documents", ("documents", "所需材料"), most=5000),
    Column("steps", ("steps", "办理流程"), most=5000),
    Column("standard", ("standard", "收费标准"), most=1000),
    Column("legal_basis", ("legal basis", "收费依据"), most=1000),
)
EXAMPLE = (
    ("满意度等级", "优", "优", "360703", "2026-01-01", "", "95", "", "", "", "", "", "", ""),
    (
        *("行政审批事项", "JT-01", "道路运输经营许可", "360703-JT", "2026-01-01", "", "", "20", "7", "360703-JT-1"),
        *("申请表; 营业执照; 车辆清单", "受理; 审查; 发证", "", ""),
    ),
    (
        *("涉企收费目录", "JT-S1", "车辆检测费", "360703", "2026-01-01", "2026-12-31", "", "", "", "", "", ""),
        *("每辆次 100 元", "示例文件〔2025〕1号"),
    ),
)
KINDS = {
    plain(word): kind
    for kind, words in {
        CatalogueKind.RATING_GRADE: "RATING_GRADE 满意度等级 等级",
        CatalogueKind.SERVICE_ITEM: "SERVICE_ITEM 行政审批事项 审批事项",
        CatalogueKind.FEE_ITEM: "FEE_ITEM 涉企收费目录 收费项目",
    }.items()
    for word in words.split()
}
OF_KIND = {
    CatalogueKind.RATING_GRADE: ("score",),
    CatalogueKind.SERVICE_ITEM: ("statutory_days", "promised_days", "section", "documents", "steps"),
    CatalogueKind.FEE_ITEM: ("standard", "legal_basis"),
}
"""The columns that belong to one kind alone."""
DAY = timedelta(days=1)
MAX_DAYS = 3_650
_DATE = re.compile(r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})日?|(\d{4})(\d{2})(\d{2})")

Key = tuple[str, CatalogueKind, str]


@dataclass(eq=False)
class _Version:
    """An entry as it would be, the row that asks for it, and what is stored of it."""

    row: TableRow | None
    entry: CatalogueEntry
    old: CatalogueEntry | None

    @property
    def label(self) -> str:
        return f"{self.entry.code} {self.entry.name} from {self.entry.valid_from}"


async def plan(
    store: Store, table: ImportTable, *, now: datetime, random: Callable[[int], bytes]
) -> ImportPlan[CatalogueEntry]:
    """Raise `BadTable` with all faults; nothing is written."""
    codes = [code for row in table.rows for code in (row.text("unit"), row.text("section"))]
    units = await UnitNames.among(store, codes)
    named = [str(unit.id) for unit in units.present.values()]
    named += [str(unit.id) for former in units.former.values() for unit in former]
    stored = await fetch_by_names(store.catalogue.of_units, named)
    sections = [entry.service.unit_id or "" for entry in stored if entry.service]
    above = {str(unit.id): unit for unit in await fetch_by_names(store.units.many, [*named, *sections])}
    kept = {_identity(each): each for each in stored}
    versions: dict[Key, list[_Version]] = {}
    for each in stored:
        versions.setdefault(_key(each), []).append(_Version(None, each, each))
    for row in table.rows:
        entry = _entry(row, units, kept, lambda: strawberry.ID(compose("cat", now, random(10))))
        if entry is not None:
            _put(versions.setdefault(_key(entry), []), _Version(row, entry, kept.get(_identity(entry))))
    made, written = ImportPlan[CatalogueEntry](store.catalogue.put_all), []
    for row, each in _in_order(versions.values()):
        differences = differences_of(_values(each.old, above), _values(each.entry, above)) if each.old else None
        if made.note(row, each.label, each.entry, differences):
            written.append(each.entry)
    table.check()
    made.batches = list(batches_of(written))
    return made


def _put(versions: list[_Version], new: _Version) -> None:
    for place, each in enumerate(versions):
        if each.entry.valid_from == new.entry.valid_from:
            if each.row is not None and new.row is not None:
                new.row.fault("valid_from", f"Row {each.row.number} says the same entry from the same day.")
            versions[place] = new
            return
    versions.append(new)


def _in_order(groups: Iterable[list[_Version]]) -> list[tuple[TableRow, _Version]]:
    """What rows ask for, in their order; an entry that ends because of the one after it stands with that one's row."""
    asked: list[tuple[TableRow, _Version]] = []
    for versions in groups:
        versions.sort(key=lambda each: each.entry.valid_from)
        for each, after in pairwise(versions):
            _end_before(each, after)
        for each, follower in zip(versions, [*versions[1:], None], strict=True):
            row = each.row or (follower.row if follower else None)
            if row is not None and (each.row is not None or each.entry != each.old):
                asked.append((row, each))
    return sorted(asked, key=lambda item: item[0].number)


def _end_before(each: _Version, after: _Version) -> None:
    last = after.entry.valid_from - DAY
    if each.entry.valid_to is None:
        each.entry = replace(each.entry, valid_to=last)
    elif each.entry.valid_to > last and (row := after.row or each.row):
        row.fault(
            "valid_from" if after.row else "valid_to",
            f"{each.label} holds until {each.entry.valid_to}, {after.label} begins before: end the former earlier.",
        )


def _entry(
    row: TableRow,
    units: UnitNames,
    kept: dict[tuple[Key, date], CatalogueEntry],
    new_id: Callable[[], strawberry.ID],
) -> CatalogueEntry | None:
    kind = KINDS.get(plain(row.text("kind")))
    if row.text("kind") and kind is None:
        row.fault("kind", "One of 满意度等级, 行政审批事项 and 涉企收费目录 fits.")
    unit = units.find(row, "unit", row.text("unit")) if row.text("unit") else None
    first, last = _day(row, "valid_from"), _day(row, "valid_to")
    if first and last and last < first:
        row.fault("valid_to", "An entry ends no earlier than it begins.")
    if kind is None or unit is None or first is None or not row.text("code"):
        return None
    for other, columns in OF_KIND.items():
        for column in columns if other is not kind else ():
            if row.text(column):
                row.fault(column, f"A {kind.value} has no such value.")
    old = kept.get(((str(unit.id), kind, row.text("code")), first))
    return CatalogueEntry(
        id=old.id if old else new_id(),
        kind=kind,
        code=row.text("code"),
        name=row.text("name"),
        valid_from=first,
        valid_to=last if row.table.has("valid_to") or old is None else old.valid_to,
        score=_score(row, old) if kind is CatalogueKind.RATING_GRADE else None,
        service=_service(row, unit, units, old) if kind is CatalogueKind.SERVICE_ITEM else None,
        fee=_fee(row, old) if kind is CatalogueKind.FEE_ITEM else None,
        path=unit.path,
        unit_id=unit.id,
    )


def _score(row: TableRow, old: CatalogueEntry | None) -> int | None:
    if old and not row.table.has("score"):
        return old.score
    score = _number(row, "score", 100)
    if not row.text("score"):
        row.fault("score", "A grade needs its score, 0 to 100.")
    return score


def _service(row: TableRow, unit: Unit, units: UnitNames, old: CatalogueEntry | None) -> ServiceTerms:
    before = (old.service if old else None) or ServiceTerms()
    has = row.table.has
    statutory = _number(row, "statutory_days", MAX_DAYS) if has("statutory_days") else before.statutory_days
    promised = _number(row, "promised_days", MAX_DAYS) if has("promised_days") else before.promised_days
    if statutory is not None and promised is not None and promised > statutory:
        row.remark("More days are promised than the law gives.")
    section = units.find(row, "section", row.text("section")) if row.text("section") else None
    if section and not section.path.startswith(unit.path):
        row.fault("section", f"{section.code} {section.name} does not stand below {unit.code} {unit.name}.")
    return ServiceTerms(
        statutory_days=statutory,
        promised_days=promised,
        documents=row.names("documents") if has("documents") else before.documents,
        steps=row.names("steps") if has("steps") else before.steps,
        unit_id=(str(section.id) if section else None) if has("section") else before.unit_id,
    )


def _fee(row: TableRow, old: CatalogueEntry | None) -> FeeTerms:
    before = (old.fee if old else None) or FeeTerms(standard="")
    has = row.table.has
    standard = row.text("standard") if has("standard") else before.standard
    if not standard:
        row.fault("standard", "A fee needs its standard: how much, of what.")
    return FeeTerms(
        standard=standard, legal_basis=(row.text("legal_basis") or None) if has("legal_basis") else before.legal_basis
    )


def _number(row: TableRow, column: str, most: int) -> int | None:
    text = row.text(column)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= most):
        row.fault(column, f"A whole number from 0 to {most} fits.")
        return None
    return int(text)


def _day(row: TableRow, column: str) -> date | None:
    text = row.text(column)
    if not text:
        return None
    match = _DATE.fullmatch("".join(text.split()))
    try:
        year, month, day = (int(part) for part in match.groups() if part) if match else (0, 0, 0)
        return date(year, month, day)
    except ValueError:
        row.fault(column, "A day is written as 2026-01-31.")
        return None


def _key(entry: CatalogueEntry) -> Key:
    return str(entry.unit_id), entry.kind, entry.code


def _identity(entry: CatalogueEntry) -> tuple[Key, date]:
    return _key(entry), entry.valid_from


def _values(entry: CatalogueEntry, units: dict[str, Unit]) -> dict[str, str]:
    service, fee = entry.service or ServiceTerms(), entry.fee or FeeTerms(standard="")
    section = units.get(service.unit_id or "")

    def shown(value: object) -> str:
        return "" if value is None else str(value)

    return {
        "name": entry.name,
        "valid to": shown(entry.valid_to),
        "score": shown(entry.score),
        "statutory days": shown(service.statutory_days),
        "promised days": shown(service.promised_days),
        "section": section.code if section else shown(service.unit_id),
        "documents": _joined(service.documents),
        "steps": _joined(service.steps),
        "standard": fee.standard,
        "legal basis": shown(fee.legal_basis),
    }


def _joined(words: Sequence[str]) -> str:
    return "; ".join(words)
