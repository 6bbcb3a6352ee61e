"""Test outlines: how far outside a position lies, and the import of a GeoJSON file, whole or not at all."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from api.imports.outlines import BadOutlinesError, import_outlines
from schema.geography.datums import wgs84_to_gcj02
from schema.geography.positions import Datum
from schema.organisation.outlines import metres_outside
from scripts.load import load
from storage.embedded.engines import Addresses
from tests.support.import_office import UNITS, Office

COUNTIES = Path(__file__).parents[3] / "shared" / "data" / "geo" / "ganzhou-counties.geojson"
RING = ((114.0, 25.0), (115.0, 25.0), (115.0, 26.0), (114.0, 26.0), (114.0, 25.0))
HOLE = ((114.4, 25.4), (114.6, 25.4), (114.6, 25.6), (114.4, 25.6), (114.4, 25.4))
DEGREE = 111_318
APP = typer.Typer()
APP.command()(load)
COMMAND = typer.main.get_command(APP)


@pytest.mark.parametrize(
    ("latitude", "longitude", "metres"),
    [
        (25.2, 114.2, 0),
        (25.5, 114.5, 0.1 * DEGREE * math.cos(math.radians(25.5))),
        (26.1, 114.5, 0.1 * DEGREE),
        (24.9, 113.9, math.hypot(0.1, 0.1 * math.cos(math.radians(24.9))) * DEGREE),
    ],
)
def test_the_distance_outside_an_outline_is_measured(latitude: float, longitude: float, metres: float) -> None:
    assert metres_outside([(RING, HOLE)], latitude, longitude) == pytest.approx(metres, rel=1e-3)


def test_several_polygons_count_as_one_outline() -> None:
    island = tuple((x + 2, y) for x, y in RING)
    assert metres_outside([(RING,), (island,)], 25.5, 116.5) == 0
    assert metres_outside([(RING,), (island,)], 25.5, 115.9) == pytest.approx(
        0.1 * DEGREE * math.cos(math.radians(25.5)), rel=1e-3
    )


def test_the_distance_is_measured_across_the_antimeridian() -> None:
    ring = ((179.0, 0.0), (179.9, 0.0), (179.9, 1.0), (179.0, 1.0), (179.0, 0.0))
    assert metres_outside([(ring,)], 0.5, -179.9) == pytest.approx(0.2 * DEGREE, rel=1e-3)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_every_position_has_a_distance(latitude: float, longitude: float) -> None:
    assert metres_outside([(RING,)], latitude, longitude) >= 0


def feature(code: str = "360703", rings: Any = (RING,), **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"adcode": code} | properties,
        "geometry": {"type": "Polygon", "coordinates": rings},
    }


def written(folder: Path, *features: Any) -> Path:
    path = folder / "outlines.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


async def test_outlines_are_loaded_by_code_and_replaced_as_a_whole(office: Office) -> None:
    await office.load([["代码", "名称", "层级", "上级代码", "原代码", "原名称"], *[row[:6] for row in UNITS]])
    county = (await office.units())["360703"]
    path = written(office.folder, feature())
    dry = await import_outlines(office.store, path, dry_run=True)
    assert (len(dry.codes), await office.store.outlines.many([county.id])) == (1, [])
    await import_outlines(office.store, path)
    [kept] = await office.store.outlines.many([county.id])
    assert kept.polygons == ((RING,),)
    await import_outlines(office.store, written(office.folder, feature("360782", (RING, HOLE))))
    [kept] = await office.store.outlines.many([county.id])
    assert kept.polygons == ((RING, HOLE),)


async def test_outlines_in_another_datum_are_converted_to_wgs84(office: Office) -> None:
    await office.load([["代码", "名称", "层级", "上级代码", "原代码", "原名称"], *[row[:6] for row in UNITS]])
    shifted = [[(moved[1], moved[0]) for x, y in RING for moved in (wgs84_to_gcj02(y, x),)]]
    await import_outlines(office.store, written(office.folder, feature(rings=shifted)), datum=Datum.GCJ02)
    [kept] = await office.store.outlines.many([(await office.units())["360703"].id])
    for (x, y), (kept_x, kept_y) in zip(RING, kept.polygons[0][0], strict=True):
        assert (kept_x, kept_y) == pytest.approx((x, y), abs=1e-6)


@pytest.mark.parametrize(
    ("features", "fault"),
    [
        ([feature("999999")], "no unit"),
        ([feature(rings=[RING[:-1]])], "closed"),
        ([feature(rings=[RING[:2]])], "closed"),
        ([feature(rings=[[(25.0, 114.0), (25.0, 115.0), (26.0, 115.0), (25.0, 114.0)]])], "longitude"),
        ([feature(rings=[[("a", 1), (2, 3), (4, 5), ("a", 1)]])], "numbers"),
        ([feature(rings=[[(114, 1e999), (115, 25), (114, 26), (114, 1e999)]])], "numbers"),
        ([feature(rings=[])], "ring"),
        ([feature(), feature()], "twice"),
        ([{"type": "Feature", "properties": {}, "geometry": None}], "adcode"),
        (
            [
                {
                    "type": "Feature",
                    "properties": {"adcode": "360703"},
                    "geometry": {"type": "Point", "coordinates": [1, 2]},
                }
            ],
            "Polygon",
        ),
        (["x"], "feature"),
    ],
)
async def test_a_file_with_any_fault_changes_nothing(office: Office, features: list[Any], fault: str) -> None:
    await office.load([["代码", "名称", "层级", "上级代码", "原代码", "原名称"], *[row[:6] for row in UNITS]])
    good = feature("360783")
    with pytest.raises(BadOutlinesError, match=fault):
        await import_outlines(office.store, written(office.folder, good, *features))
    assert await office.store.mongo.collection("outlines").count({}) == 0


@pytest.mark.parametrize("text", ["", "[]", '{"type": "FeatureCollection"}', "\ud800".encode("utf-8", "surrogatepass")])
async def test_a_file_that_is_not_geojson_is_refused(office: Office, text: str | bytes) -> None:
    path = office.folder / "outlines.geojson"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadOutlinesError, match="GeoJSON"):
        await import_outlines(office.store, path)


async def test_the_command_loads_outlines_in_their_datum_or_lists_all_faults(
    office: Office, engines: Addresses, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await office.load([["代码", "名称", "层级", "上级代码", "原代码", "原名称"], *[row[:6] for row in UNITS]])
    for name, value in (engines.environment() | {"MINGCHA_MONGO_DATABASE": office.store.mongo.name}).items():
        monkeypatch.setenv(name, value)

    async def run(path: Path, *options: str) -> tuple[int, str]:
        """Run the command in a thread, because it has an event loop of its own. Return the exit code and the output."""
        given = ["outlines", str(path), "--data", str(office.folder / "data"), *options]
        done = await asyncio.to_thread(COMMAND.main, given, standalone_mode=False)
        return int(done or 0), "".join(capsys.readouterr())

    shifted = [[(moved[1], moved[0]) for x, y in RING for moved in (wgs84_to_gcj02(y, x),)]]
    path = written(office.folder, feature(rings=shifted))
    said = "outlines: 1 would be stored.\nThis was a dry run: nothing was changed.\n"
    assert await run(path, "--dry-run", "--datum", "GCJ02") == (0, said)
    assert await office.store.mongo.collection("outlines").count({}) == 0
    assert await run(path, "--datum", "GCJ02") == (0, "outlines: 1 stored.\n")
    kept = await office.store.mongo.collection("outlines").find({})
    [[[corner, *_]]] = kept[0]["geometry"]["coordinates"]
    assert corner == pytest.approx(list(RING[0]), abs=1e-6)
    bad = written(office.folder, feature(rings=[]), feature("999999"))
    code, said = await run(bad)
    assert (code, said.count("\n")) == (1, 3)
    assert "Feature 1: 360703" in said
    assert "There is no unit 999999: load it first." in said
    assert said.endswith("2 faults; nothing was changed.\n")
    assert (await run(office.folder / "missing.geojson"))[0] == 1
    assert await office.store.mongo.collection("outlines").find({}) == kept


@pytest.mark.skipif(not COUNTIES.exists(), reason="the shared data are not here")
async def test_the_inside_point_of_each_ganzhou_county_lies_in_no_other(office: Office) -> None:
    """Each point lies in its own county, and more than a kilometre outside every other."""
    collection = json.loads(COUNTIES.read_text("utf-8"))
    rows = [
        [each["properties"]["adcode"], each["properties"]["name"], "县", "360700"] for each in collection["features"]
    ]
    await office.load(
        [
            ["代码", "名称", "层级", "上级代码"],
            *rows,
            ["360700", "赣州市", "设区市", "360000"],
            ["360000", "江西省", "省"],
        ]
    )
    done = await import_outlines(office.store, COUNTIES)
    assert len(done.codes) == 18
    units = await office.units()
    kept = {each.unit_id: each for each in await office.store.outlines.many([unit.id for unit in units.values()])}
    for each in collection["features"]:
        longitude, latitude = each["properties"]["inside_point"]
        for code, unit in units.items():
            if unit.id in kept:
                outside = metres_outside(kept[unit.id].polygons, latitude, longitude)
                assert (outside == 0) == (code == each["properties"]["adcode"])
                assert outside == 0 or outside > 1000
