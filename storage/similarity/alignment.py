"""Align a cropped copy with the whole picture: move the edges of a window in the picture until it fits the copy best.

This is arithmetic on small matrices of grey values.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from schema.checks.similarity import DETAIL_BITS, detail_bits_apart
from storage.similarity.keypoints import WHOLE
from storage.similarity.perceptual_hash import GREY_SIDE, SIDE, Box, compute_hashes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

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


def aligned_bits_apart(part: bytes, whole: bytes, start: Box, within: Box = WHOLE) -> int:
    """Find the window of `whole` that best fits the area `within` of `part`. Return how many hash bits differ.

    The search begins with the window `start`. It moves the window's edges, but not the area `within`.
    Both boxes are in fractions of their pictures, which have GREY_SIDE x GREY_SIDE grey values.
    Return DETAIL_BITS (all bits) if the area or the window is blank, or if they are too different at the start.
    """
    if len(part) != GREY_SIDE**2 or len(whole) != GREY_SIDE**2:
        return DETAIL_BITS
    piece, ground, cut, first = (
        _integral_image(part),
        _integral_image(whole),
        _in_pixels(_snap(within)),
        _in_pixels(start),
    )
    target = _normalise(_downscale(piece, [cut], _COMPARED))[0]
    if _correlations(target, ground, [first])[0] < _MIN_CORRELATION:
        return DETAIL_BITS
    box = _find_best(target, ground, first)
    one = compute_hashes(_downscale(piece, [cut], SIDE)[0].tolist())
    other = compute_hashes(_downscale(ground, [box], SIDE)[0].tolist())
    return detail_bits_apart(one[1], other[1]) if one and other else DETAIL_BITS


def _snap(box: Box) -> Box:
    left, top, right, bottom = (round(edge) if min(edge, 1 - edge) < _NO_CUT else edge for edge in box)
    return left, top, right, bottom


def _in_pixels(box: Box) -> Box:
    left, top, right, bottom = box
    return GREY_SIDE * left, GREY_SIDE * top, GREY_SIDE * right, GREY_SIDE * bottom


def _find_best(target: Values, ground: Values, start: Box) -> Box:
    """Move the window's edges as long as its correlation with `target` grows. Repeat with smaller steps."""
    [best], box = _correlations(target, ground, [start]), start
    for step in _STEPS:
        while moves := list(_iter_moves(box, step)):
            better = [pair for pair in zip(_correlations(target, ground, moves), moves, strict=True) if pair[0] > best]
            if not better:
                break
            best, box = better[0]
    return box


def _iter_moves(box: Box, step: float) -> Iterator[Box]:
    for edge in range(4):
        for by in (-step, step):
            left, top, right, bottom = (at + by if place == edge else at for place, at in enumerate(box))
            if left >= 0 and top >= 0 and max(right, bottom) <= GREY_SIDE and min(right - left, bottom - top) >= _MIN:
                yield left, top, right, bottom


@functools.lru_cache(maxsize=4)
def _integral_image(grey: bytes) -> Values:
    """Return the sums of all grey values above and to the left of each corner of a pixel.

    The result is cached, because one picture is compared with many.
    """
    import numpy as np  # noqa: PLC0415  only the worker aligns pictures; the import takes 17 MB and 0.2 s of CPU

    area = np.zeros((GREY_SIDE + 1, GREY_SIDE + 1))
    area[1:, 1:] = np.frombuffer(grey, np.uint8).reshape(GREY_SIDE, GREY_SIDE).cumsum(0, float).cumsum(1)
    return area


def _downscale(area: Values, boxes: Sequence[Box], side: int) -> Values:
    """Return, for each box, the means of side x side equal parts. A pixel on an edge counts by its share in the part."""
    import numpy as np  # noqa: PLC0415  as above

    left, top, right, bottom = np.array(boxes).T[:, :, None]
    parts = np.arange(side + 1) / side
    x, y = left + (right - left) * parts, top + (bottom - top) * parts
    column, row = np.minimum(x.astype(int), GREY_SIDE - 1), np.minimum(y.astype(int), GREY_SIDE - 1)
    across, down = (x - column)[:, None, :], (y - row)[:, :, None]
    column, row = column[:, None, :], row[:, :, None]
    high = area[row, column] + (area[row, column + 1] - area[row, column]) * across
    low = area[row + 1, column] + (area[row + 1, column + 1] - area[row + 1, column]) * across
    sums = np.diff(np.diff(high + (low - high) * down, axis=1), axis=2)
    means: Values = (sums * side**2 / ((right - left) * (bottom - top))[:, :, None]).reshape(len(boxes), -1)
    return means


def _normalise(values: Values) -> Values:
    """Scale each line to mean 0 and length 1, so that brightness and contrast don't count."""
    apart = values - values.mean(axis=1, keepdims=True)
    length = (apart**2).sum(axis=1, keepdims=True) ** 0.5
    length[length == 0] = 1
    normal: Values = apart / length
    return normal


def _correlations(target: Values, ground: Values, boxes: Sequence[Box]) -> list[float]:
    """Return how well each window of the picture fits `target`, at most 1."""
    values: list[float] = (_normalise(_downscale(ground, boxes, _COMPARED)) @ target).tolist()
    return values
