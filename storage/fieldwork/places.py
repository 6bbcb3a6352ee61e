"""Store with an observation in which subtrees of units and in which cells of the map it lies.

An index of these names, followed by the time of receipt, finds the newest observations of a place, and examines no
others. A range of paths or a circle can't be followed by a time in an index.
Observations of earlier versions lack the names. Each filter admits those too, and checks the place itself.
"""

import math
from collections.abc import Sequence
from typing import Any

from schema.geography.distances import EARTH_RADIUS_METRES
from schema.organisation.units import SEPARATOR
from storage.mongodb.client import ASCENDING, Document, Filter, Sort
from storage.mongodb.filters import within

SUBTREES = "unit_subtrees"
"""Field with the paths of the observation's unit and of all units above it. It is absent without a unit."""
CELLS = "location.cells"
"""Field with the cell of each size. It is a part of `location`, which earlier versions replace with each revision."""
POINT = "Point"
SIZES = (0.01, 0.05, 0.25)
"""Sides of the cells in degrees, the smallest first: a circle of 2 km has some 25 of the smallest."""
WITH_WRONG_NAMES: Filter = {
    "$or": [
        {"unit_path": {"$ne": None}, "$expr": {"$ne": [{"$arrayElemAt": [f"${SUBTREES}", -1]}, "$unit_path"]}},
        {"unit_path": None, SUBTREES: {"$ne": None}},
        {"location.type": POINT, CELLS: None},
    ]
}
"""Match observations that an earlier version has stored, or has given another unit or position."""
MAX_CELLS = 64
"""Each cell is a range of the index. A circle that needs more of the largest is found without cells."""
WIDEST_LATITUDE = 85.0
_MARGIN = 1e-6  # degrees, a tenth of a metre: more than the rounding of any step
_ROW = 1_000_000


def indexes(sort: Sort) -> list[tuple[Sort, dict[str, Any]]]:
    """Return the indexes of subtrees and cells, in which the observations of each follow in the order of `sort`."""
    return [
        (((SUBTREES, ASCENDING), *sort), {"partialFilterExpression": {"unit_path": {"$gt": ""}}}),
        (((CELLS, ASCENDING), *sort), {"partialFilterExpression": {"location.type": POINT}}),
    ]


def subtrees(path: str) -> list[str]:
    return [path[: end + 1] for end, letter in enumerate(path) if letter == SEPARATOR]


def of_unit(placement: Document) -> Document:
    """Return the field for the unit of a placement, if it has one."""
    path = placement.get("unit_path")
    return {SUBTREES: subtrees(path)} if path else {}


def without_unit(placement: Document) -> Document:
    """Return the field that a new placement removes: a name of an earlier unit must not stay."""
    return {} if placement.get("unit_path") else {SUBTREES: ""}


def location(content: Document) -> Document:
    """Return the field `location`: a GeoJSON point with its cells, or None without a usable position."""
    position = content["position"]
    if position is None or position["latitude"] is None:
        return {"location": None}
    latitude, longitude = position["latitude"], position["longitude"]
    cells = [_cell(size, _row(latitude, size), _row(longitude, size)) for size in range(len(SIZES))]
    return {"location": {"type": POINT, "coordinates": [longitude, latitude], "cells": cells}}


def within_unit(path: str) -> Filter:
    """Match observations about the unit at `path` or about a unit below it."""
    return {SUBTREES: {"$in": [path, None]}, **within("unit_path", [path])}


def near(latitude: float, longitude: float, radius_metres: float) -> Filter:
    """Return a filter for observations whose position is within a circle on the ground."""
    radius = radius_metres / EARTH_RADIUS_METRES
    circle: Document = {"location": {"$geoWithin": {"$centerSphere": [[longitude, latitude], radius]}}}
    cells = cover(latitude, longitude, radius)
    return circle | {"location.type": POINT, CELLS: {"$in": [*cells, None]}} if cells else circle


def cover(latitude: float, longitude: float, radius: float) -> Sequence[int]:
    """Return the smallest cells that cover a circle without being too many. `radius` is in radians.

    Return no cells if the circle is too large, or if it reaches a pole or the antimeridian (180°).
    """
    for size in range(len(SIZES)):
        cells = _cover(latitude, longitude, radius, size)
        if len(cells) <= MAX_CELLS:
            return cells
    return ()


def _cover(latitude: float, longitude: float, radius: float, size: int) -> list[int]:
    height = math.degrees(radius) + _MARGIN
    south, north = latitude - height, latitude + height
    if max(-south, north) > WIDEST_LATITUDE:
        return []
    cells: list[int] = []
    for row in range(_row(south, size), _row(north, size) + 1):
        edges = row * SIZES[size], (row + 1) * SIZES[size]
        width = _half_width(latitude, radius, edges) + _MARGIN
        if max(width - longitude, width + longitude) > 180:
            return []
        columns = range(_row(longitude - width, size), _row(longitude + width, size) + 1)
        cells += [_cell(size, row, column) for column in columns]
        if len(cells) > MAX_CELLS:
            break
    return cells


def _half_width(latitude: float, radius: float, edges: tuple[float, float]) -> float:
    """Return how many degrees of longitude the circle reaches to either side, between two latitudes at most."""
    centre = math.radians(latitude)
    widest = math.asin(math.sin(centre) / math.cos(radius))
    at = min(max(widest, math.radians(edges[0])), math.radians(edges[1]))
    cosine = (math.cos(radius) - math.sin(centre) * math.sin(at)) / (math.cos(centre) * math.cos(at))
    return math.degrees(math.acos(min(max(cosine, -1.0), 1.0)))


def _row(degrees: float, size: int) -> int:
    return math.floor(degrees / SIZES[size])


def _cell(size: int, row: int, column: int) -> int:
    """Return a number that no other cell of any size has. Rows and columns are less than 100,000 from 0."""
    return (size * _ROW + row + _ROW // 2) * _ROW + column + _ROW // 2
