"""Plan what an import would add and change, and read the columns that several imports share. Nothing is written."""

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from api.imports.tables import Column, TableRow, normalize
from schema.geography.china_outline import in_china
from schema.geography.positions import Datum, GeoPoint, GeoPointInput, PositionProblem, PositionSource, locate
from schema.organisation.units import Unit
from storage.store import Store

BATCH_SIZE = 500
"""Largest number of records in one write, and of names in one look-up."""

R = TypeVar("R")
K = TypeVar("K")

POSITION_COLUMNS = (
    Column("latitude", ("latitude", "纬度", "lat"), is_number=True),
    Column("longitude", ("longitude", "经度", "lon", "lng"), is_number=True),
    Column("datum", ("datum", "坐标系", "坐标系统")),
)
DATUMS = {
    normalize(words): datum
    for datum, names in {
        Datum.WGS84: "WGS84 WGS-84 GPS CGCS2000 国家2000",  # CGCS2000 differs by centimetres
        Datum.GCJ02: "GCJ02 GCJ-02 火星坐标 火星坐标系 高德 腾讯",
        Datum.BD09: "BD09 BD-09 百度 百度坐标 百度坐标系",
    }.items()
    for words in names.split()
}


@dataclass(frozen=True)
class Difference:
    """A column whose value changes, with the old and the new value as text for people."""

    column: str
    before: str
    after: str


@dataclass(frozen=True)
class PlannedChange(Generic[R]):
    """A record to write, and the number of its row. The record of a new entry has no differences."""

    row: int
    label: str
    record: R
    differences: tuple[Difference, ...] = ()


@dataclass
class ImportPlan(Generic[R]):
    """What an import would do.

    `write` stores one batch. The `batches` must be stored in the given order.
    """

    write: Callable[[list[R]], Awaitable[None]] = field(repr=False)
    added: list[PlannedChange[R]] = field(default_factory=list)
    changed: list[PlannedChange[R]] = field(default_factory=list)
    unchanged: int = 0
    batches: list[list[R]] = field(default_factory=list, repr=False)

    def add(self, row: TableRow, label: str, record: R, differences: Sequence[Difference] | None) -> bool:
        """Add a record as new (`differences` is None), as changed or as unchanged.

        Return whether the record must be written.
        """
        if differences is None:
            self.added.append(PlannedChange(row.number, label, record))
        elif differences:
            self.changed.append(PlannedChange(row.number, label, record, tuple(differences)))
        else:
            self.unchanged += 1
            return False
        return True

    async def execute(self) -> None:
        for batch in self.batches:
            await self.write(batch)


def differences_of(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    return [Difference(name, before[name], after[name]) for name in after if before[name] != after[name]]


def batches_of(items: Sequence[K]) -> Iterator[list[K]]:
    for start in range(0, len(items), BATCH_SIZE):
        yield list(items[start : start + BATCH_SIZE])


async def fetch_by_names(fetch: Callable[[Sequence[str]], Awaitable[list[Any]]], names: Sequence[str]) -> list[Any]:
    """Fetch all records that have one of `names`, in batches. Return each record once."""
    records: dict[str, Any] = {}
    for batch in batches_of(sorted(set(names) - {""})):
        records |= {str(record.id): record for record in await fetch(batch)}
    return list(records.values())


class UnitNames:
    """Find units by code.

    A current code takes precedence over a former code. If a row uses a former code, that row gets a remark.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self.present = {unit.code: unit for unit in units}
        self.former: dict[str, list[Unit]] = {}
        for unit in units:
            for former in unit.former_names:
                self.former.setdefault(former.code, []).append(unit)

    @classmethod
    async def fetch(cls, store: Store, codes: Sequence[str]) -> "UnitNames":
        return cls(await fetch_by_names(store.units.named, codes))

    def find(self, row: TableRow, column: str, code: str) -> Unit | None:
        """Return the unit that a cell names. If no unit fits, or several do, add a fault to the row and return None."""
        if unit := self.present.get(code):
            return unit
        former = self.former.get(code, [])
        if len(former) == 1:
            row.remark(f"{code} is a former code of {former[0].code} {former[0].name}; that unit is used.")
            return former[0]
        if former:
            row.fault(
                column,
                f"{code} is a former code of {codes_of(former)}: write the present code of the unit that you mean.",
            )
        else:
            row.fault(column, f"No unit has the code {code}: import it first, or correct the code.")
        return None


def codes_of(units: Sequence[Unit]) -> str:
    return ", ".join(f"{unit.code} {unit.name}" for unit in units)


def position_of(row: TableRow, before: GeoPoint | None) -> GeoPoint | None:
    """Return the position in a row, or `before` if the file has no columns for coordinates."""
    if not (row.table.has("latitude") or row.table.has("longitude")):
        return before
    cells = {name: row.text(name) for name in ("latitude", "longitude", "datum")}
    if not cells["latitude"] and not cells["longitude"]:
        return None
    latitude, longitude = (_degrees(row, name, cells[name]) for name in ("latitude", "longitude"))
    datum = DATUMS.get(normalize(cells["datum"]))
    if datum is None:
        column = "datum" if row.table.has("datum") else "latitude"
        row.fault(column, "A position needs its datum: WGS84 (GPS), GCJ02 (AMap, Tencent) or BD09 (Baidu).")
    if latitude is None or longitude is None or datum is None:
        return None
    point = GeoPointInput(latitude=latitude, longitude=longitude, datum=datum, source=PositionSource.MANUAL)
    position = locate(point)
    if position.problem is PositionProblem.SWAPPED_AXES:
        row.fault("latitude", "Latitude and longitude are swapped: China lies between 3 and 54 degrees of latitude.")
    elif position.problem:
        row.fault(
            "latitude",
            "Not coordinates: latitude is within 90 degrees, longitude within 180, and not both are 0.",
        )
    elif not in_china(latitude, longitude):
        row.remark(f"The position {latitude}, {longitude} lies outside of China.")
    return position


def _degrees(row: TableRow, name: str, text: str) -> float | None:
    try:
        degrees = float(text)
    except ValueError:
        degrees = math.nan
    if not math.isfinite(degrees):
        row.fault(name, "Write degrees as a number such as 25.8179." if text else "The other coordinate is missing.")
        return None
    return degrees


def position_text(position: GeoPoint | None) -> str:
    if position is None:
        return ""
    datum = position.original_datum.value
    return f"{position.original_latitude}, {position.original_longitude} {datum}"
