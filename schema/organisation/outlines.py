"""Outlines (行政区划边界): the ground that a unit covers, and how far outside of it a place lies.

Coordinates are WGS-84 as GeoJSON has them (RFC 7946): longitude first. Reading files is left to `api`. An outline is about
350 m exact, so that a place near the border may lie on either side.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from schema.geography.positions import EARTH_RADIUS_METRES

Vertex = tuple[float, float]
Ring = tuple[Vertex, ...]
Polygon = tuple[Ring, ...]
"""An outer ring, then the holes in it; each ring closed."""


@dataclass(frozen=True)
class Outline:
    """The polygons of one unit; `unit_id` says whose ground it is."""

    unit_id: str
    polygons: tuple[Polygon, ...]


def metres_outside(polygons: Sequence[Polygon], latitude: float, longitude: float) -> float:
    """Metres from a place to the nearest point of the outline; 0 within it.

    Measured on a plane that touches the globe at the place: exact to a thousandth within 200 km.
    """
    if any(_within(polygon, latitude, longitude) for polygon in polygons):
        return 0.0
    shrink = math.cos(math.radians(latitude))
    nearest = math.inf
    for one, other in _edges(polygons):
        along = (_turned(one[0] - longitude) * shrink, _turned(other[0] - longitude) * shrink)
        up = (one[1] - latitude, other[1] - latitude)
        nearest = min(nearest, _to_segment(along[0], up[0], along[1], up[1]))
    return math.radians(nearest) * EARTH_RADIUS_METRES


def _edges(polygons: Sequence[Polygon]) -> Iterator[tuple[Vertex, Vertex]]:
    for polygon in polygons:
        for ring in polygon:
            yield from pairwise(ring)


def _within(polygon: Polygon, latitude: float, longitude: float) -> bool:
    """By counting how often a line eastwards crosses the rings: holes are crossed once more."""
    crossings = 0
    for ring in polygon:
        for (x1, y1), (x2, y2) in pairwise(ring):
            if (y1 > latitude) != (y2 > latitude):
                crossings += longitude < x1 + (latitude - y1) / (y2 - y1) * (x2 - x1)
    return crossings % 2 == 1


def _turned(degrees: float) -> float:
    """The shorter way round the globe."""
    return (degrees + 180) % 360 - 180


def _to_segment(x1: float, y1: float, x2: float, y2: float) -> float:
    """Distance from the origin to the segment."""
    across, up = x2 - x1, y2 - y1
    length = across * across + up * up
    share = 0.0 if length == 0 else max(0.0, min(1.0, -(x1 * across + y1 * up) / length))
    return math.hypot(x1 + share * across, y1 + share * up)
