"""Lay out a small map sketch: positions on blank paper with a scale and a north arrow, without map tiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from schema.geography.distances import metres_between

WIDTH, HEIGHT = 170.0, 95.0
"""Size of the sketch in millimetres."""
MARGIN = 14.0
METRES_PER_DEGREE = 111_320.0
MIN_SPAN = 60.0
"""The sketch shows at least this many metres in each direction. Otherwise a single place would be enlarged beyond the
accuracy of a phone."""
FAR = 4.0
"""A photo's position is described in text and not drawn if it is further from the middle than this many times the
extent of the other positions."""
DIRECTIONS = ("北", "东北", "东", "东南", "南", "西南", "西", "西北")
NEAR_ENOUGH = 2_000.0
"""A position within this many metres of the middle is always drawn."""


@dataclass(frozen=True)
class SketchPlace:
    """A position to draw, in degrees of WGS-84.

    `kind` is `seen`, `photo` or `unit`. `radius` is the accuracy of the position in metres.
    """

    kind: str
    name: str
    latitude: float
    longitude: float
    radius: float | None = None


@dataclass(frozen=True)
class SketchMark:
    """A position on the paper, in millimetres from the top left corner.

    `radius` shows the accuracy of the position. It is 0 if the accuracy is unknown.
    """

    kind: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Label:
    """A text that begins to the right of (`x`, `y`)."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Sketch:
    """A map sketch. All lengths are in millimetres.

    `bar` is the length of the scale bar, and `scale` is the text beside it. `beyond` has one line for each place that
    lies outside the sketch.
    """

    width: float
    height: float
    marks: Sequence[SketchMark]
    labels: Sequence[Label]
    bar: float
    scale: str
    beyond: Sequence[str]


def sketch_of(places: Sequence[SketchPlace]) -> Sketch | None:
    """Return the sketch, or None if there is nothing to draw."""
    claimed = [place for place in places if place.kind != "photo"] or list(places)
    if not claimed:
        return None
    latitude, longitude = (
        _middle([place.latitude for place in claimed]),
        _middle([place.longitude for place in claimed]),
    )
    east = math.cos(math.radians(latitude)) * METRES_PER_DEGREE

    def metres(place: SketchPlace) -> tuple[float, float]:
        turn = (place.longitude - longitude + 180) % 360 - 180
        return turn * east, (place.latitude - latitude) * METRES_PER_DEGREE

    extent = max(math.hypot(*metres(place)) for place in claimed)
    reach = max(NEAR_ENOUGH, FAR * extent)
    drawn = [place for place in places if place in claimed or math.hypot(*metres(place)) <= reach]
    points = [metres(place) for place in drawn]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    across, up = max(right - left, MIN_SPAN), max(high - low, MIN_SPAN)
    factor = min((WIDTH - 2 * MARGIN) / across, (HEIGHT - 2 * MARGIN) / up)  # millimetres on paper for a metre
    middle = (left + right) / 2, (low + high) / 2
    marks, shared = [], dict[tuple[int, int], tuple[SketchMark, list[str]]]()
    for place, (x, y) in zip(drawn, points, strict=True):
        at = WIDTH / 2 + (x - middle[0]) * factor, HEIGHT / 2 - (y - middle[1]) * factor
        radius = (place.radius or 0.0) * factor
        mark = SketchMark(place.kind, round(at[0], 2), round(at[1], 2), round(min(radius, WIDTH), 2))
        marks.append(mark)
        shared.setdefault((round(at[0] / 3), round(at[1] / 3)), (mark, []))[1].append(place.name)
    labels = [_label(mark, names) for mark, names in shared.values()]
    length = _round_length((WIDTH / 4) / factor)
    beyond = [_beyond(place, latitude, longitude) for place in places if place not in drawn]
    return Sketch(WIDTH, HEIGHT, marks, labels, round(length * factor, 2), _length(length), beyond)


def _label(mark: SketchMark, names: Sequence[str]) -> Label:
    """Return one label for all marks at the same spot."""
    text = "、".join(dict.fromkeys(names))
    beside = mark.radius if 1 < mark.radius < 20 else 0.0  # not across its own ring
    return Label(mark.x + beside, mark.y, text if len(text) <= 24 else text[:23] + "…")


def _middle(values: Sequence[float]) -> float:
    return (min(values) + max(values)) / 2


def _round_length(most: float) -> float:
    """Return the largest number that is 1, 2 or 5 times a power of ten and does not exceed `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return next((step * power for step in (5, 2) if step * power <= most), power)


def _length(metres: float) -> str:
    return f"{metres:,.0f} 米" if metres < 1000 else f"{metres / 1000:,.0f} 公里"


def _beyond(place: SketchPlace, latitude: float, longitude: float) -> str:
    """Describe a place outside the sketch: its distance from the middle along the globe, and its direction."""
    start, end = math.radians(latitude), math.radians(place.latitude)
    turn = math.radians(place.longitude - longitude)
    east = math.sin(turn) * math.cos(end)
    north = math.cos(start) * math.sin(end) - math.sin(start) * math.cos(end) * math.cos(turn)
    kilometres = metres_between((latitude, longitude), (place.latitude, place.longitude)) / 1000
    direction = DIRECTIONS[round(math.degrees(math.atan2(east, north)) / 45) % 8]
    far = f"{kilometres:,.1f}" if kilometres < 100 else f"{kilometres:,.0f}"
    return f"{place.name}：图外，{direction}方约 {far} 公里（{place.latitude:.5f}, {place.longitude:.5f}）"
