"""Plan the import of units (单位). A unit is identified by its code.

A unit keeps its id when its name changes. When its code changes, it keeps its id if the row names the old code as a
former code.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import strawberry

from api.imports.plans import POSITION_COLUMNS, ImportPlan, batches_of, differences_of, position_of, position_text
from api.imports.tables import Column, ImportTable, TableRow, normalize
from api.imports.unit_tree import UnitNode, UnitTree, order_by_freed_codes
from schema.core.ids import compose
from schema.geography.positions import GeoPoint
from schema.organisation.units import FormerName, Unit, UnitLevel, path_below
from storage.store import Store

COLUMNS = (
    Column("code", ("code", "代码", "单位代码", "unit code"), required=True, is_code=True, max_length=100),
    Column("name", ("name", "名称", "单位名称", "unit name"), required=True),
    Column("level", ("level", "层级", "级别"), required=True),
    Column("parent", ("parent", "上级代码", "上级单位代码", "parent code"), is_code=True, max_length=100),
    Column("former_codes", ("former codes", "原代码", "曾用代码", "former code"), has_codes=True, max_length=1000),
    Column("former_names", ("former names", "原名称", "曾用名", "former name"), max_length=1000),
    *POSITION_COLUMNS,
)
LEVELS = {
    normalize(words): level
    for level, names in {
        UnitLevel.PROVINCE: "PROVINCE 省 省级 自治区 直辖市",
        UnitLevel.CITY: "CITY 市 设区市 地级市 市级",
        UnitLevel.COUNTY: "COUNTY 县 区 县级 县级市 市辖区 县（市、区） 县市区 开发区",
        UnitLevel.TOWNSHIP: "TOWNSHIP 乡 镇 街道 乡镇 乡镇、街道 乡镇街道 乡级",
        UnitLevel.DEPARTMENT: "DEPARTMENT 局 委 办 局、委、办 局委办 部门 单位",
        UnitLevel.SECTION: "SECTION 股室 科室 股 科 处 处室",
        UnitLevel.WINDOW: "WINDOW 窗口 服务窗口",
    }.items()
    for words in names.split()
}
EXAMPLE = (
    ("360000", "江西省", "省", "", "", "", "", "", ""),
    ("360700", "赣州市", "设区市", "360000", "", "", "", "", ""),
    ("360703", "南康区", "县", "360700", "360782", "南康市", "25.8552", "114.7114", "WGS84"),
    ("360703-XNB", "南康区效能办", "局委办", "360703", "", "", "", "", ""),
    ("360703-JT", "南康区交通局", "局委办", "360703", "", "", "", "", ""),
    ("360703-JT-1", "交通局运管窗口", "窗口", "360703-JT", "", "", "25.6601", "114.7602", "GCJ02"),
)


async def plan(store: Store, table: ImportTable, *, now: datetime, random: Callable[[int], bytes]) -> ImportPlan[Unit]:
    """Plan the import, and write nothing. Raise `BadTableError` with all faults of the file."""
    tree = UnitTree(_nodes(table))
    await tree.join(store)
    nodes = list(tree.nodes.values())
    positions = {node: position_of(node.row, node.existing.position if node.existing else None) for node in nodes}
    recoded = order_by_freed_codes([node for node in nodes if node.existing and node.existing.code != node.code])
    table.check()
    built: dict[UnitNode, Unit] = {}

    def build(node: UnitNode) -> Unit:
        if node not in built:
            above = build(node.parent) if isinstance(node.parent, UnitNode) else node.parent
            built[node] = _unit(node, above, positions[node], now, random)
        return built[node]

    import_plan = ImportPlan[Unit](store.units.put_all)
    planned = []
    for node in nodes:
        unit = build(node)
        differences = differences_of(_values(node.existing), _values(unit)) if node.existing else None
        if import_plan.add(node.row, node.label, unit, differences):
            planned.append(node)
    import_plan.batches = _batches(recoded, planned, built)
    return import_plan


def _nodes(table: ImportTable) -> dict[str, UnitNode]:
    nodes: dict[str, UnitNode] = {}
    for row in table.rows:
        code, level = row.text("code"), LEVELS.get(normalize(row.text("level")))
        if row.text("level") and level is None:
            row.fault(
                "level",
                f"The level is one of {', '.join(str(known.value) for known in UnitLevel)}, or its Chinese word.",
            )
        if code in nodes:
            row.fault("code", f"Row {nodes[code].row.number} has the code {code} already: keep one of the two.")
        elif code:
            nodes[code] = UnitNode(row, code, level, _former_names(row))
    return nodes


def _former_names(row: TableRow) -> list[FormerName]:
    """Return pairs of a former code and a former name.

    If the row has only former codes, the unit's current name completes each pair. If it has only former names, the
    unit's current code does.
    """
    codes, names = row.codes("former_codes"), row.names("former_names")
    if codes and names and len(codes) != len(names):
        row.fault(
            "former_names", f"{len(codes)} former codes and {len(names)} former names: give the same number of both."
        )
    names = names or [row.text("name")] * len(codes)
    codes = codes or [row.text("code")] * len(names)
    return [FormerName(name=name, code=code) for code, name in zip(codes, names, strict=False)]


def _unit(
    node: UnitNode, above: Unit | None, position: GeoPoint | None, now: datetime, random: Callable[[int], bytes]
) -> Unit:
    if node.level is None:
        raise ValueError("A row without a level can't become a unit.")
    name, old = node.row.text("name"), node.existing
    if old:
        formers = _keep_years(node.formers, old) if _has_former_columns(node.row) else old.former_names
        return replace(old, code=node.code, name=name, level=node.level, former_names=formers, position=position)
    id = compose("unt", now, random(10))
    return Unit(
        id=strawberry.ID(id),
        code=node.code,
        name=name,
        level=node.level,
        former_names=node.formers,
        position=position,
        path=path_below(above.path if above else "", id),
        parent_id=str(above.id) if above else None,
        ancestor_ids=(*above.ancestor_ids, str(above.id)) if above else (),
        created_at=now,
    )


def _has_former_columns(row: TableRow) -> bool:
    return row.table.has("former_codes") or row.table.has("former_names")


def _keep_years(formers: list[FormerName], old: Unit) -> list[FormerName]:
    """Copy the last year of each former name from the stored unit, because a file has no column for this year."""
    years = {(former.code, former.name): former.until for former in old.former_names}
    return [replace(former, until=years.get((former.code, former.name))) for former in formers]


def _values(unit: Unit) -> dict[str, str]:
    return {
        "code": unit.code,
        "name": unit.name,
        "level": str(unit.level.value),
        "former codes and names": "; ".join(f"{former.code} {former.name}" for former in unit.former_names),
        "position": position_text(unit.position),
    }


def _batches(recoded: list[UnitNode], planned: list[UnitNode], built: dict[UnitNode, Unit]) -> list[list[Unit]]:
    """Divide the units into batches.

    A code is freed before another unit gets it. A superior is stored before its subordinates. So if an import is
    killed, every stored unit has its superior, and running the import again completes it.
    """
    batches = [[built[node]] for node in recoded]
    rest = [built[node] for node in planned if node not in recoded]
    for depth in sorted({len(unit.ancestor_ids) for unit in rest}):
        batches += batches_of([unit for unit in rest if len(unit.ancestor_ids) == depth])
    return batches
