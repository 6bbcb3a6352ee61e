"""Import files from a folder into an installation, and provide the rows of a small tree of units."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.imports.runner import Import, Noun, import_file
from api.imports.tables import BadTableError
from schema.organisation.units import Unit, path_below
from storage.store import Store
from tests.support.table_files import xlsx

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HEADER = ["代码", "名称", "层级", "上级代码", "原代码", "原名称", "纬度", "经度", "坐标系"]
UNITS = [
    ["360703-JT-1", "交通局窗口", "窗口", "360703-JT"],
    ["360703-JT", "南康区交通局", "局委办", "360703"],
    ["360703", "南康区", "县", "360700", "360782", "南康市", "25.85517", "114.71139", "WGS84"],
    ["360783", "龙南市", "县级市", "360700", "360727", "龙南县"],
    ["360700", "赣州市", "设区市", "360000"],
    ["360000", "江西省", "省"],
]


class Office:
    """A store with indexes and a folder for files."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder

    async def load(self, rows: Sequence[Sequence[Any]], noun: Noun = Noun.UNITS, *, dry_run: bool = False) -> Import:
        path = self.folder / "file.xlsx"
        xlsx(path, rows).save(path)
        return await import_file(self.store, noun, path, now=NOW, dry_run=dry_run)

    async def faults(self, rows: Sequence[Sequence[Any]], noun: Noun = Noun.UNITS) -> list[str]:
        """Import a file that has faults, check that nothing has changed, and return the faults."""
        before = await self.kept()
        with pytest.raises(BadTableError) as bad:
            await self.load(rows, noun)
        assert await self.kept() == before
        return [str(fault) for fault in bad.value.faults]

    async def kept(self) -> dict[str, list[dict[str, Any]]]:
        names = ("units", "users", "monitoring_points", "catalogue")
        return {name: await self.store.mongo.collection(name).find({}, sort=[("_id", 1)]) for name in names}

    async def units(self) -> dict[str, Unit]:
        found = await self.store.mongo.collection("units").find({})
        return {unit.code: unit for unit in await self.store.units.many([each["_id"] for each in found])}


def counts(done: Import) -> tuple[int, int, int]:
    return len(done.plan.added), len(done.plan.changed), done.plan.unchanged


def check_tree(units: dict[str, Unit]) -> None:
    """Check that every unit's path and ancestors agree with its parent."""
    by_id = {unit.id: unit for unit in units.values()}
    for unit in units.values():
        above = by_id[unit.parent_id] if unit.parent_id else None  # type: ignore[index]
        assert unit.path == path_below(above.path if above else "", unit.id)
        assert unit.ancestor_ids == ((*above.ancestor_ids, above.id) if above else ())
