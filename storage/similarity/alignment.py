"""Align a cropped copy with the whole picture: move the edges of a window in the picture until it fits the copy best.

This is arithmetic on small matrices of grey values.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from operator import add, mul

from schema.checks.similarity import DETAIL_BITS, detail_bits_apart
from storage.similarity.keypoints import WHOLE
from storage.similarity.perceptual_hash import GREY_SIDE, SIDE, Box, compute_hashes

_COMPARED = 16
"""Side of the matrices that are compared while the edges move."""
_STEPS = (4.0, 2.0, 1.0, 0.5)
"""Distances by which an edge moves, in pixels of GREY_SIDE."""
_MIN_CORRELATION = 0.3
"""If the correlation (at most 1) is lower than this at the start, there is no search."""
_MIN = 0.4 * GREY_SIDE
"""The smallest side of a window, in pixels of GREY_SIDE."""
_NO_CUT = 0.04
"""An edge of the area `within` is moved to the edge of `part` if it is closer than this share of a side."""
_ROW = GREY_SIDE + 1

Area = Sequence[float]
"""An integral image: the sums of all grey values above and to the left of each corner of a pixel."""


def aligned_bits_apart(part: bytes, whole: bytes, start: Box, within: Box = WHOLE) -> int:
    """Find the window of `whole` that best fits the area `within` of `part`. Return how many hash bits differ.

    The search begins with the window `start`. It moves the window's edges, but not the area `within`.
    Both boxes are in fractions of their pictures, which have GREY_SIDE x GREY_SIDE grey values.
    Return DETAIL_BITS (all bits) if the area or the window is blank, or if they are too different at the start.
    """
    if len(part) != GREY_SIDE**2 or len(whole) != GREY_SIDE**2:
        return DETAIL_BITS
    piece, ground, cut = _integral_image(part), _integral_image(whole), _in_pixels(_snap(within))
    target = _normalise(_downscale(piece, cut, _COMPARED))
    if _dot(target, _normalise(_downscale(ground, _in_pixels(start), _COMPARED))) < _MIN_CORRELATION:
        return DETAIL_BITS
    box = _find_best(target, ground, _in_pixels(start))
    one = compute_hashes(_downscale(piece, cut, SIDE))
    other = compute_hashes(_downscale(ground, box, SIDE))
    return detail_bits_apart(one[1], other[1]) if one and other else DETAIL_BITS


def _snap(box: Box) -> Box:
    left, top, right, bottom = (round(edge) if min(edge, 1 - edge) < _NO_CUT else edge for edge in box)
    return left, top, right, bottom


def _in_pixels(box: Box) -> Box:
    left, top, right, bottom = box
    return GREY_SIDE * left, GREY_SIDE * top, GREY_SIDE * right, GREY_SIDE * bottom


def _find_best(target: Sequence[float], ground: Area, start: Box) -> Box:
    """Move the window's edges as long as its correlation with `target` grows. Repeat with smaller steps."""

    def correlation(box: Box) -> float:
        return _dot(target, _normalise(_downscale(ground, box, _COMPARED)))

    best, box = correlation(start), start
    for step in _STEPS:
        moved = True
        while moved:
            moved = False
            for candidate in _iter_moves(box, step):
                score = correlation(candidate)
                if score > best:
                    best, box, moved = score, candidate, True
                    break
    return box


def _iter_moves(box: Box, step: float) -> Iterator[Box]:
    for edge in range(4):
        for by in (-step, step):
            left, top, right, bottom = (at + by if place == edge else at for place, at in enumerate(box))
            if left >= 0 and top >= 0 and max(right, bottom) <= GREY_SIDE and min(right - left, bottom - top) >= _MIN:
                yield left, top, right, bottom


@functools.lru_cache(maxsize=4)
def _integral_image(grey: bytes) -> Area:
    """Compute a picture's integral image. The result is cached, because one picture is compared with many."""
    area = [0.0] * _ROW
    for start in range(0, GREY_SIDE**2, GREY_SIDE):
        area += map(add, area[-_ROW:], accumulate(grey[start : start + GREY_SIDE], initial=0))
    return tuple(area)


def _downscale(area: Area, box: Box, side: int) -> list[float]:
    """Return the means of side x side equal parts of the box. A pixel on an edge counts by its share in the part."""
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
    """Return the edges of `count` equal parts: the pixel of each edge, and how far into this pixel the edge lies."""
    edges = (start + (end - start) * number / count for number in range(count + 1))
    return [(at, edge - at) for edge in edges for at in (min(int(edge), GREY_SIDE - 1),)]


def _normalise(values: Sequence[float]) -> list[float]:
    """Scale to mean 0 and length 1, so that brightness and contrast don't count."""
    mean = sum(values) / len(values)
    apart = [value - mean for value in values]
    length = math.sqrt(_dot(apart, apart)) or 1.0
    return [value / length for value in apart]


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    total: float = sum(map(mul, one, other))
    return total
