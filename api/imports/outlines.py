"""Import the outlines of units (行政区划边界) from a GeoJSON file. A file with any fault is not imported.

Each feature names its unit by code, in the property `adcode`, `code` or `代码`. Import units first.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.imports.plans import UnitNames, batches_of, fetch_by_names
from schema.geography.datums import bd09_to_gcj02, gcj02_to_wgs84
from schema.geography.positions import Datum
from schema.organisation.outlines import Outline, Polygon, Ring, Vertex
from storage.store import Store

CODE_PROPERTIES = ("adcode", "code", "代码")
MAX_BYTES = 256 * 2**20


class BadOutlinesError(Exception):
    """The file can't be imported, and nothing was changed. `faults` lists everything that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class LoadedOutlines:
    """The codes of the units whose outline was stored, or would be stored without the dry run."""

    codes: tuple[str, ...]
    is_dry: bool

    def lines(self) -> Iterator[str]:
        yield f"outlines: {len(self.codes)} {'would be stored' if self.is_dry else 'stored'}."


async def import_outlines(
    store: Store, path: Path, *, datum: Datum = Datum.WGS84, dry_run: bool = False
) -> LoadedOutlines:
    """Import a file. Raise `BadOutlinesError` with all faults.

    `datum` is the datum of the file's coordinates. GeoJSON should be in WGS-84 (RFC 7946), but files of Chinese map
    makers often use another datum.
    """
    faults: list[str] = []
    polygons_by_code: dict[str, tuple[Polygon, ...]] = {}
    for number, feature in enumerate(_features(path), start=1):
        try:
            code, polygons = _feature(feature, datum)
            if code in polygons_by_code:
                raise _OutlineError(f"{code} comes twice")  # noqa: TRY301  collected with the other faults
            polygons_by_code[code] = polygons
        except _OutlineError as fault:
            faults.append(f"Feature {number}: {fault}.")
    names = UnitNames(await fetch_by_names(store.units.named, list(polygons_by_code)))
    units = {code: names.present.get(code) or next(iter(names.former.get(code, ())), None) for code in polygons_by_code}
    faults += [f"There is no unit {code}: load it first." for code, unit in units.items() if unit is None]
    if faults:
        raise BadOutlinesError(faults)
    outlines = [Outline(str(unit.id), polygons_by_code[code]) for code, unit in units.items() if unit]
    if not dry_run:
        for batch in batches_of(outlines):
            await store.outlines.put_all(batch)
    return LoadedOutlines(tuple(polygons_by_code), dry_run)


class _OutlineError(Exception):
    """One feature is malformed."""


def _features(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadOutlinesError([f"{path} is larger than {MAX_BYTES // 2**20} MiB: simplify the outlines."])
        collection = json.loads(path.read_bytes())
    except OSError as error:
        raise BadOutlinesError([f"{path} can't be read: {error.strerror}."]) from error
    except (ValueError, RecursionError) as error:
        raise BadOutlinesError([f"{path} is not GeoJSON: {error}."]) from error
    features = collection.get("features") if isinstance(collection, dict) else None
    if not isinstance(features, list):
        raise BadOutlinesError([f"{path} is not a GeoJSON FeatureCollection."])
    return features


def _feature(feature: Any, datum: Datum) -> tuple[str, tuple[Polygon, ...]]:
    if not isinstance(feature, Mapping):
        raise _OutlineError("is not a GeoJSON feature")
    properties, geometry = feature.get("properties"), feature.get("geometry")
    values = properties if isinstance(properties, Mapping) else {}
    code = next((str(values[name]).strip() for name in CODE_PROPERTIES if values.get(name)), None)
    if code is None:
        raise _OutlineError(f"names no unit: one of {', '.join(CODE_PROPERTIES)} is missing")
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    coordinates = geometry.get("coordinates") if isinstance(geometry, Mapping) else None
    if kind not in {"Polygon", "MultiPolygon"} or not isinstance(coordinates, list):
        raise _OutlineError(f"{code} has no Polygon or MultiPolygon")
    polygons = [coordinates] if kind == "Polygon" else coordinates
    return code, tuple(_polygon(code, polygon, datum) for polygon in polygons)


def _polygon(code: str, rings: Any, datum: Datum) -> Polygon:
    if not isinstance(rings, list) or not rings:
        raise _OutlineError(f"{code} has a polygon without a ring")
    return tuple(_ring(code, ring, datum) for ring in rings)


def _ring(code: str, vertices: Any, datum: Datum) -> Ring:
    ring = tuple(_vertex(code, vertex, datum) for vertex in vertices) if isinstance(vertices, list) else ()
    if len(ring) < 4 or ring[0] != ring[-1]:
        raise _OutlineError(f"{code} has a ring that is not closed, or has no area")
    return ring


def _vertex(code: str, vertex: Any, datum: Datum) -> Vertex:
    numbers = vertex[:2] if isinstance(vertex, list) else []
    if len(numbers) != 2 or not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise _OutlineError(f"{code} has coordinates that are not numbers")
    longitude, latitude = float(numbers[0]), float(numbers[1])
    if abs(longitude) > 180 or abs(latitude) > 90:
        raise _OutlineError(f"{code} has coordinates out of range: write longitude, then latitude")
    if datum is Datum.BD09:
        latitude, longitude = bd09_to_gcj02(latitude, longitude)
    if datum is not Datum.WGS84:
        latitude, longitude = gcj02_to_wgs84(latitude, longitude)
    return longitude, latitude
