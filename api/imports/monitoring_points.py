"""Plan the import of monitoring points (监测点) with their units and monitors. A point is identified by its code.

Import units and users first.
"""

from collections.abc import Callable
from datetime import datetime

import strawberry

from api.imports.plans import (
    POSITION_COLUMNS,
    ImportPlan,
    UnitNames,
    batches_of,
    differences_of,
    fetch_by_names,
    position_of,
    position_text,
)
from api.imports.tables import Column, ImportTable, TableRow
from schema.access.viewers import Role
from schema.accounts.sessions import normalize_user_name
from schema.accounts.users import User
from schema.core.ids import compose
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit, UnitLevel
from storage.store import Store

COLUMNS = (
    Column("code", ("code", "编号", "监测点编号", "point code"), required=True, is_code=True, max_length=100),
    Column("enterprise", ("enterprise", "企业名称", "企业"), required=True),
    Column("industry", ("industry", "产业", "行业"), required=True, max_length=50),
    Column("unit", ("unit", "所属地区代码", "地区代码", "unit code"), required=True, is_code=True, max_length=100),
    Column("address", ("address", "地址"), max_length=300),
    *POSITION_COLUMNS,
    Column("monitors", ("monitors", "监测员", "监测员用户名"), has_codes=True, max_length=2000),
)
REGIONS = frozenset({UnitLevel.PROVINCE, UnitLevel.CITY, UnitLevel.COUNTY, UnitLevel.TOWNSHIP})
EXAMPLE = (
    ("JC-001", "南康甲子家具厂（虚构）", "家具", "360703", "示范路1号", "25.8552", "114.7114", "WGS84", "jc001"),
    ("JC-002", "赣州乙丑稀土厂（虚构）", "稀土", "360700", "", "", "", "", ""),
)


async def plan(
    store: Store, table: ImportTable, *, now: datetime, random: Callable[[int], bytes]
) -> ImportPlan[MonitoringPoint]:
    """Plan the import, and write nothing. Raise `BadTableError` with all faults of the file."""
    rows = _by_code(table)
    stored = {point.code: point for point in await fetch_by_names(store.monitoring_points.named, list(rows))}
    units = await UnitNames.fetch(store, [row.text("unit") for row in rows.values()])
    names = [normalize_user_name(name) for row in rows.values() for name in row.codes("monitors")]
    users = {user.user_name: user for user in await fetch_by_names(store.users.named, names)}
    old_ids = [id for point in stored.values() for id in point.monitor_ids]
    people = {str(user.id): user for user in [*users.values(), *await fetch_by_names(store.users.many, old_ids)]}
    import_plan, points = ImportPlan[MonitoringPoint](store.monitoring_points.put_all), []
    for code, row in rows.items():
        old, unit = stored.get(code), _unit(row, units)
        monitors, position = _monitors(row, users, old), position_of(row, old.position if old else None)
        if unit is None:
            continue
        point = MonitoringPoint(
            id=old.id if old else strawberry.ID(compose("pnt", now, random(10))),
            code=code,
            enterprise=row.text("enterprise"),
            industry=row.text("industry"),
            address=(row.text("address") or None) if row.table.has("address") or old is None else old.address,
            position=position,
            unit_id=unit.id,
            path=unit.path,
            monitor_ids=monitors,
            created_at=old.created_at if old else now,
        )
        differences = differences_of(_values(old, people), _values(point, people)) if old else None
        if import_plan.add(row, f"{code} {point.enterprise}", point, differences):
            points.append(point)
    table.check()
    import_plan.batches = list(batches_of(points))
    return import_plan


def _by_code(table: ImportTable) -> dict[str, TableRow]:
    rows: dict[str, TableRow] = {}
    for row in table.rows:
        code = row.text("code")
        if code in rows:
            row.fault("code", f"Row {rows[code].number} has the code {code} already: keep one of the two.")
        elif code:
            rows[code] = row
    return rows


def _unit(row: TableRow, units: UnitNames) -> Unit | None:
    code = row.text("unit")
    unit = units.find(row, "unit", code) if code else None
    if unit and unit.level not in REGIONS:
        row.fault("unit", f"Name a region, such as a county; {unit.code} {unit.name} is a {unit.level.value}.")
    return unit


def _monitors(row: TableRow, users: dict[str, User], old: MonitoringPoint | None) -> tuple[str, ...]:
    if old and not row.table.has("monitors"):
        return old.monitor_ids
    ids: list[str] = []
    for name in row.codes("monitors"):
        user = users.get(normalize_user_name(name))
        if user is None:
            row.fault("monitors", f"No user has the name {name}: import users before points.")
        elif Role.MONITOR not in user.roles:
            row.fault("monitors", f"{name} is not a monitor: give the role MONITOR (监测员) first.")
        else:
            ids.append(str(user.id))
    return tuple(dict.fromkeys(ids))


def _values(point: MonitoringPoint, people: dict[str, User]) -> dict[str, str]:
    return {
        "enterprise": point.enterprise,
        "industry": point.industry,
        "unit": f"{point.unit_id} {point.path}",
        "address": point.address or "",
        "position": position_text(point.position),
        "monitors": "; ".join(people[id].user_name if id in people else id for id in point.monitor_ids),
    }
