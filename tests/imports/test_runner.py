"""Test imports into a real database.

An import is planned as a whole and written in batches. It can be repeated. If it was killed, the next one completes it.
"""

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from api.imports import plans
from api.imports.runner import Noun, csv_template, import_file
from schema.organisation.units import Unit, UnitLevel
from storage.embedded.engines import Addresses
from tests.support.import_office import HEADER, NOW, UNITS, Office, check_tree, counts
from tests.support.table_files import csv_bytes, xlsx
from tests.support.world import World

ENGLISH = ["code", "name", "level", "parent", "former codes", "former names", "latitude", "longitude", "datum"]


async def test_templates_load_in_order_and_loading_again_changes_nothing(office: Office) -> None:
    for noun in Noun:
        path = office.folder / f"{noun}.csv"
        path.write_text(csv_template(noun), encoding="utf-8", newline="")
        first = await import_file(office.store, noun, path, now=NOW)
        # The year of the template is known already, without the number of its paper.
        assert counts(first)[1:] == ((1, 0) if noun is Noun.WORKING_DAYS else (0, 0))
        kept = await office.kept()
        again = await import_file(office.store, noun, path, now=NOW)
        assert counts(again) == (0, 0, len(first.plan.added) + len(first.plan.changed))
        assert await office.kept() == kept
    [point] = await office.store.monitoring_points.named(["JC-001"])
    [monitor] = await office.store.users.many(point.monitor_ids)
    assert monitor.user_name == "jc001"


@pytest.mark.parametrize(
    ("encoding", "titles"),
    [
        ("utf-8-sig", HEADER),
        ("utf-8", ENGLISH),
        ("gb18030", HEADER),
        ("utf-16", ENGLISH),
        (None, HEADER),
        (None, ENGLISH),
    ],
)
async def test_every_file_format_gives_the_same_tree(office: Office, encoding: str | None, titles: list[str]) -> None:
    levels = {
        "窗口": "WINDOW",
        "局委办": "department",
        "县": "County",
        "县级市": "COUNTY",
        "设区市": "CITY",
        "省": "PROVINCE",
    }
    rows = [titles, *([*row[:2], levels[row[2]], *row[3:]] if titles is not HEADER else row for row in UNITS)]
    path = office.folder / "units"
    if encoding:
        path.write_bytes(csv_bytes([[*row, *[""] * (9 - len(row))] for row in rows], encoding))
    else:
        xlsx(path, rows).save(path)
    assert counts(await import_file(office.store, Noun.UNITS, path, now=NOW)) == (6, 0, 0)
    units = await office.units()
    check_tree(units)
    county = units["360703"]
    assert (county.name, county.level, county.created_at) == ("南康区", UnitLevel.COUNTY, NOW)
    assert [(former.code, former.name) for former in county.former_names] == [("360782", "南康市")]
    assert county.position
    assert (county.position.latitude, county.position.longitude) == (25.85517, 114.71139)
    assert units["360703-JT-1"].path.startswith(county.path)


async def test_a_dry_run_lists_the_changes_and_writes_nothing(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    before = await office.kept()
    rows = [
        HEADER,
        ["360703", "南康", "县", "360700", "360782", "南康市", "", "", ""],
        *UNITS[:2],
        ["360704", "赣县区", "区", "360700"],
    ]
    done = await office.load(rows, dry_run=True)
    assert await office.kept() == before
    assert done.placed is None
    assert list(done.lines()) == [
        "new: row 5, 360704 赣县区",
        "changed: row 2, 360703 南康",
        "    name: 南康区 -> 南康",
        "    position: 25.85517, 114.71139 WGS84 -> (empty)",
        "units: 1 would be added, 1 would be changed, 2 unchanged.",
    ]
    assert counts(await office.load(rows)) == (1, 1, 2)
    assert (await office.units())["360703"].name == "南康"


class Killed(BaseException):
    """Ends an import as if the process were killed. It is a `BaseException`, so that no code catches it."""


@pytest.mark.parametrize("survived", [0, 1, 3, 5])
async def test_an_import_that_ends_between_batches_is_completed_by_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    monkeypatch.setattr(plans, "BATCH_SIZE", 1)
    put_all, left = office.store.units.put_all, survived

    async def put_some(units: Sequence[Unit]) -> None:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        await put_all(units)

    monkeypatch.setattr(office.store.units, "put_all", put_some)
    with pytest.raises(Killed):
        await office.load([HEADER, *UNITS])
    stored = await office.units()
    assert len(stored) == survived
    monkeypatch.setattr(office.store.units, "put_all", put_all)
    assert counts(await office.load([HEADER, *UNITS])) == (6 - survived, 0, survived)
    units = await office.units()
    check_tree(units)
    assert {code: units[code].id for code in stored} == {code: unit.id for code, unit in stored.items()}


async def test_an_import_whose_process_is_killed_is_completed_by_the_next(
    office: Office, engines: Addresses, tmp_path: Path
) -> None:
    rows = [HEADER[:4], *(row[:4] for row in UNITS[1:])]
    rows += [[f"36070301{number:04d}", f"乡镇{number}", "乡镇", "360703"] for number in range(6000)]
    path = tmp_path / "units.csv"
    path.write_bytes(csv_bytes(rows, "gb18030"))
    database = office.store.mongo._database.name
    environment = {**os.environ, **engines.environment(), "MINGCHA_MONGO_DATABASE": database, "PYTHONPATH": "."}
    command = [sys.executable, "-m", "scripts.load", "units", str(path), "--data", str(tmp_path / "data")]
    killed = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
    async with asyncio.timeout(60):
        while await office.store.mongo.collection("units").count({}) < 6:  # noqa: ASYNC110  another process writes
            await asyncio.sleep(0.005)
    killed.kill()
    await killed.wait()
    again = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    said, _ = await again.communicate()
    assert again.returncode == 0
    found = re.search(r"units: (\d+) added, 0 changed, (\d+) unchanged\.", said.decode())
    assert found
    assert int(found[1]) + int(found[2]) == len(rows) - 1
    assert int(found[2]) >= 6
    units = await office.units()
    assert len(units) == len(rows) - 1
    check_tree(units)


async def test_an_unplaced_observation_is_placed_once_its_unit_is_imported(world: World, tmp_path: Path) -> None:
    id = await world.observe(unit="360703-GA")
    office = Office(world.store, tmp_path)
    done = await office.load([HEADER, ["360703-GA", "南康区公安局", "局委办", "360703"]])
    assert done.placed == 1
    assert list(done.lines())[-1] == "1 observations found their place."
    [observation] = await world.store.observations.many([id])
    assert observation.unit_path == (await office.units())["360703-GA"].path
