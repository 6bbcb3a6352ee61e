"""Alignment: where in a picture a cut of it lies, found by laying one over the other and moving the edges.

Arithmetic on small grey values; which pairs are worth it is left to `likeness`.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from operator import add, mul

from schema.checks.similarity import DETAIL_BITS, detail_bits_apart
from storage.similarity.keypoints import WHOLE
from storage.similarity.perceptual_hash import GREY_SIDE, SIDE, Box, hashes_of

_COMPARED = 16
"""Side of what is compared while the edges move."""
_STEPS = (4.0, 2.0, 1.0, 0.5)
"""By which an edge moves, in pixels of GREY_SIDE."""
_WORTH_IT = 0.3
"""Correlation, of 1, below which two pictures don't begin to lie on each other."""
_MIN = 0.4 * GREY_SIDE
"""A smaller cut than this is not looked for."""
_NO_CUT = 0.04
"""Share of a side: a part that seems to be cut by less is not cut there. Only the window in the whole is moved."""
_ROW = GREY_SIDE + 1

Area = Sequence[float]
"""Sums of all grey values above and to the left of each corner of a pixel."""


def bits_when_laid_over(part: bytes, whole: bytes, start: Box, within: Box = WHOLE) -> int:
    """In how many bits what is `within` one picture differs from that window of another which it fits best.

    Looked for from `start` on; both boxes are in fractions of their pictures, which are GREY_SIDE x GREY_SIDE. All bits
    where either is blank, or where the two are so unlike at the start that no search is worth it.
    """
    if len(part) != GREY_SIDE**2 or len(whole) != GREY_SIDE**2:
        return DETAIL_BITS
    piece, ground, cut = _area(part), _area(whole), _in_pixels(_snapped(within))
    wanted = _levelled(_scaled(piece, cut, _COMPARED))
    if _times(wanted, _levelled(_scaled(ground, _in_pixels(start), _COMPARED))) < _WORTH_IT:
        return DETAIL_BITS
    box = _best(wanted, ground, _in_pixels(start))
    one = hashes_of(_scaled(piece, cut, SIDE))
    other = hashes_of(_scaled(ground, box, SIDE))
    return detail_bits_apart(one[1], other[1]) if one and other else DETAIL_BITS


def _snapped(box: Box) -> Box:
    left, top, right, bottom = (round(edge) if min(edge, 1 - edge) < _NO_CUT else edge for edge in box)
    return left, top, right, bottom


def _in_pixels(box: Box) -> Box:
    left, top, right, bottom = box
    return GREY_SIDE * left, GREY_SIDE * top, GREY_SIDE * right, GREY_SIDE * bottom


def _best(wanted: Sequence[float], ground: Area, start: Box) -> Box:
    """Every edge is moved as long as that makes the two more alike, then by smaller steps."""

    def likeness(box: Box) -> float:
        return _times(wanted, _levelled(_scaled(ground, box, _COMPARED)))

    best, box = likeness(start), start
    for step in _STEPS:
        moved = True
        while moved:
            moved = False
            for candidate in _moved(box, step):
                found = likeness(candidate)
                if found > best:
                    best, box, moved = found, candidate, True
                    break
    return box


def _moved(box: Box, step: float) -> Iterator[Box]:
    for edge in range(4):
        for by in (-step, step):
            left, top, right, bottom = (at + by if place == edge else at for place, at in enumerate(box))
            if left >= 0 and top >= 0 and max(right, bottom) <= GREY_SIDE and min(right - left, bottom - top) >= _MIN:
                yield left, top, right, bottom


@functools.lru_cache(maxsize=4)
def _area(grey: bytes) -> Area:
    """Of one picture for all that are laid over it."""
    area = [0.0] * _ROW
    for start in range(0, GREY_SIDE**2, GREY_SIDE):
        area += map(add, area[-_ROW:], accumulate(grey[start : start + GREY_SIDE], initial=0))
    return tuple(area)


def _scaled(area: Area, box: Box, side: int) -> list[float]:
    """The means of side x side equal parts of the box; pixels that lie on an edge count by their share."""
    left, top, right, bottom = box
    across, down = _cuts(left, right, side), _cuts(top, bottom, side)
    sums = []
    for y, share in down:
        above, below = area[y * _ROW : (y + 1) * _ROW], area[(y + 1) * _ROW : (y + 2) * _ROW]
        row = []
        for x, part in across:
            high = above[x] + (above[x + 1] - above[x]) * part
            low = below[x] + (below[x + 1] - below[x]) * part
            row.append(high + (low - high) * share)
        sums.append(row)
    pixels = (right - left) * (bottom - top) / side**2
    return [
        ((d - c) - (b - a)) / pixels
        for upper, lower in pairwise(sums)
        for (a, b), (c, d) in zip(pairwise(upper), pairwise(lower), strict=True)
    ]


def _cuts(start: float, end: float, count: int) -> list[tuple[int, float]]:
    """The edges of equal parts: the pixel that each falls into, and how far into it."""
    edges = (start + (end - start) * number / count for number in range(count + 1))
    return [(at, edge - at) for edge in edges for at in (min(int(edge), GREY_SIDE - 1),)]


def _levelled(values: Sequence[float]) -> list[float]:
    """With mean 0 and length 1: neither brightness nor contrast is a likeness."""
    mean = sum(values) / len(values)
    apart = [value - mean for value in values]
    length = math.sqrt(_times(apart, apart)) or 1.0
    return [value / length for value in apart]


def _times(one: Sequence[float], other: Sequence[float]) -> float:
    total: float = sum(map(mul, one, other))
    return total
