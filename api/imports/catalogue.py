"""Plan the import of the catalogue (目录): rows become grades, service items and fee items.

An entry is identified by its unit, kind, code and first day. When a later entry with the same code begins, the earlier
entry ends on the day before. No entry is deleted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import strawberry

from api.imports.days import day_of
from api.imports.plans import ImportPlan, UnitNames, batches_of, differences_of, fetch_by_names
from api.imports.tables import Column, ImportTable, TableRow, normalize
from schema.catalogue.entries import CatalogueEntry, CatalogueKind, FeeTerms, ServiceTerms
from schema.core.ids import compose
from schema.organisation.units import Unit
from storage.store import Store

COLUMNS = (
    Column("kind", ("kind", "类别", "目录类别"), required=True, max_length=50),
    Column("code", ("code", "编号", "事项编号", "代码"), required=True, is_code=True, max_length=100),
    Column("name", ("name", "名称", "事项名称"), required=True),
    Column("unit", ("unit", "适用单位代码", "单位代码"), required=True, is_code=True, max_length=100),
    Column("valid_from", ("valid from", "生效日期"), required=True, is_day=True),
    Column("valid_to", ("valid to", "失效日期"), is_day=True),
    Column("score", ("score", "分值"), is_number=True),
    Column("statutory_days", ("statutory days", "法定时限", "法定时限（工作日）"), is_number=True),
    Column("promised_days", ("promised days", "承诺时限", "承诺时限（工作日）"), is_number=True),
    Column("section", ("section", "责任科室代码", "责任科室"), is_code=True, max_length=100),
    Column("documents", ("documents", "所需材料"), max_length=5000),
    Column("steps", ("steps", "办理流程"), max_length=5000),
    Column("standard", ("standard", "收费标准"), max_length=1000),
    Column("legal_basis", ("legal basis", "收费依据"), max_length=1000),
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
    normalize(word): kind
    for kind, words in {
        CatalogueKind.RATING_GRADE: "RATING_GRADE 满意度等级 等级",
        CatalogueKind.SERVICE_ITEM: "SERVICE_ITEM 行政审批事项 审批事项",
        CatalogueKind.FEE_ITEM: "FEE_ITEM 涉企收费目录 收费项目",
    }.items()
    for word in words.split()
}
KIND_COLUMNS = {
    CatalogueKind.RATING_GRADE: ("score",),
    CatalogueKind.SERVICE_ITEM: ("statutory_days", "promised_days", "section", "documents", "steps"),
    CatalogueKind.FEE_ITEM: ("standard", "legal_basis"),
}
"""The columns that only entries of this kind may fill."""
DAY = timedelta(days=1)
MAX_DAYS = 3_650

Key = tuple[str, CatalogueKind, str]


@dataclass(eq=False)
class _Version:
    """A planned entry.

    `row` is the row that asks for the entry, or None if only the store has it. `old` is the stored entry, or None if
    the entry is new.
    """

    row: TableRow | None
    entry: CatalogueEntry
    old: CatalogueEntry | None

    @property
    def label(self) -> str:
        return f"{self.entry.code} {self.entry.name} from {self.entry.valid_from}"


async def plan(
    store: Store, table: ImportTable, *, now: datetime, random: Callable[[int], bytes]
) -> ImportPlan[CatalogueEntry]:
    """Plan the import, and write nothing. Raise `BadTableError` with all faults of the file."""
    codes = [code for row in table.rows for code in (row.text("unit"), row.text("section"))]
    units = await UnitNames.fetch(store, codes)
    unit_ids = [str(unit.id) for unit in units.present.values()]
    unit_ids += [str(unit.id) for former in units.former.values() for unit in former]
    stored = await fetch_by_names(store.catalogue.of_units, unit_ids)
    sections = [entry.service.unit_id or "" for entry in stored if entry.service]
    units_by_id = {str(unit.id): unit for unit in await fetch_by_names(store.units.many, [*unit_ids, *sections])}
    stored_by_identity = {_identity(entry): entry for entry in stored}
    versions: dict[Key, list[_Version]] = {}
    for entry in stored:
        versions.setdefault(_key(entry), []).append(_Version(None, entry, entry))
    for row in table.rows:
        new = _entry(row, units, stored_by_identity, lambda: strawberry.ID(compose("cat", now, random(10))))
        if new is not None:
            version = _Version(row, new, stored_by_identity.get(_identity(new)))
            _replace_version(versions.setdefault(_key(new), []), version)
    import_plan, entries = ImportPlan[CatalogueEntry](store.catalogue.put_all), []
    for row, version in _planned_versions(versions.values()):
        before = _values(version.old, units_by_id) if version.old else None
        differences = differences_of(before, _values(version.entry, units_by_id)) if before else None
        if import_plan.add(row, version.label, version.entry, differences):
            entries.append(version.entry)
    table.check()
    import_plan.batches = list(batches_of(entries))
    return import_plan


def _replace_version(versions: list[_Version], new: _Version) -> None:
    """Replace the version that has the same first day as `new`, or append `new` if no version has it."""
    for index, version in enumerate(versions):
        if version.entry.valid_from == new.entry.valid_from:
            if version.row is not None and new.row is not None:
                new.row.fault("valid_from", f"Row {version.row.number} has the same entry from the same day.")
            versions[index] = new
            return
    versions.append(new)


def _planned_versions(groups: Iterable[list[_Version]]) -> list[tuple[TableRow, _Version]]:
    """Return the versions to write, each with its row, in the order of the rows.

    A stored entry may have to end because a later entry begins. Then it is returned with the row of the later entry.
    """
    planned: list[tuple[TableRow, _Version]] = []
    for versions in groups:
        versions.sort(key=lambda version: version.entry.valid_from)
        for version, follower in pairwise(versions):
            _end_before(version, follower)
        for version, next_version in zip(versions, [*versions[1:], None], strict=True):
            row = version.row or (next_version.row if next_version else None)
            if row is not None and (version.row is not None or version.entry != version.old):
                planned.append((row, version))
    return sorted(planned, key=lambda item: item[0].number)


def _end_before(version: _Version, follower: _Version) -> None:
    """Let a version without a last day end on the day before `follower` begins.

    If a version with a last day overlaps `follower`, add a fault.
    """
    last_day = follower.entry.valid_from - DAY
    if version.entry.valid_to is None:
        version.entry = replace(version.entry, valid_to=last_day)
    elif version.entry.valid_to > last_day and (row := follower.row or version.row):
        row.fault(
            "valid_from" if follower.row else "valid_to",
            f"{version.label} is valid until {version.entry.valid_to}, but {follower.label} begins before that: "
            "end the earlier one sooner.",
        )


def _entry(
    row: TableRow,
    units: UnitNames,
    stored: dict[tuple[Key, date], CatalogueEntry],
    new_id: Callable[[], strawberry.ID],
) -> CatalogueEntry | None:
    kind = KINDS.get(normalize(row.text("kind")))
    if row.text("kind") and kind is None:
        row.fault("kind", "The kind is one of 满意度等级, 行政审批事项 and 涉企收费目录.")
    unit = units.find(row, "unit", row.text("unit")) if row.text("unit") else None
    first, last = day_of(row, "valid_from"), day_of(row, "valid_to")
    if first and last and last < first:
        row.fault("valid_to", "An entry can't end before it begins.")
    if kind is None or unit is None or first is None or not row.text("code"):
        return None
    for other, columns in KIND_COLUMNS.items():
        for column in columns if other is not kind else ():
            if row.text(column):
                row.fault(column, f"A {kind.value} has no such column: clear the cell.")
    old = stored.get(((str(unit.id), kind, row.text("code")), first))
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
        row.remark("The promised days exceed the statutory days.")
    section = units.find(row, "section", row.text("section")) if row.text("section") else None
    if section and not section.path.startswith(unit.path):
        row.fault("section", f"{section.code} {section.name} is not below {unit.code} {unit.name}.")
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
        row.fault("standard", "A fee needs its standard: how much, for what.")
    return FeeTerms(
        standard=standard, legal_basis=(row.text("legal_basis") or None) if has("legal_basis") else before.legal_basis
    )


def _number(row: TableRow, column: str, limit: int) -> int | None:
    text = row.text(column)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= limit):
        row.fault(column, f"Write a whole number from 0 to {limit}.")
        return None
    return int(text)


def _key(entry: CatalogueEntry) -> Key:
    return str(entry.unit_id), entry.kind, entry.code


def _identity(entry: CatalogueEntry) -> tuple[Key, date]:
    return _key(entry), entry.valid_from


def _values(entry: CatalogueEntry, units: dict[str, Unit]) -> dict[str, str]:
    service, fee = entry.service or ServiceTerms(), entry.fee or FeeTerms(standard="")
    section = units.get(service.unit_id or "")

    def as_text(value: object) -> str:
        return "" if value is None else str(value)

    return {
        "name": entry.name,
        "valid to": as_text(entry.valid_to),
        "score": as_text(entry.score),
        "statutory days": as_text(service.statutory_days),
        "promised days": as_text(service.promised_days),
        "section": section.code if section else as_text(service.unit_id),
        "documents": _join(service.documents),
        "steps": _join(service.steps),
        "standard": fee.standard,
        "legal basis": as_text(fee.legal_basis),
    }


def _join(words: Sequence[str]) -> str:
    return "; ".join(words)
