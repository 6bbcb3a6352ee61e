"""Compute perceptual hashes, which stay nearly the same when a picture is re-encoded, scaled, brightened or framed.

This is arithmetic on grey values.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import add, mul, sub

from schema.checks.similarity import COARSE_BITS, Likeness

SIDE = 32
"""Side in pixels of the grey matrix from which a hash is computed."""
GREY_SIDE = 64
"""Side in pixels of the stored grey matrix of a whole picture."""

CUTS = 2
"""Maximum number of cuts of one picture: the whole picture, and the part inside its frame."""

Box = tuple[float, float, float, float]
"""An area: left, top, right and bottom."""

_FLAT = 0.2
"""A strength in grey levels. If most low frequencies are weaker than this, the picture has nothing to compare."""
_PLAIN = 12
"""Maximum range of grey levels in a line that belongs to a plain frame. Encoding adds a few shades."""
_WIDEST_FRAME = 0.4
"""Maximum share of a side that a frame takes at each end."""

_WAVES = [[math.cos(math.pi * (2 * x + 1) * u / (2 * SIDE)) for x in range(SIDE // 2)] for u in range(16)]
"""The first half of each cosine wave. The second half mirrors it, and has the opposite sign for odd frequencies."""
# All frequencies but the mean: brightness must not count.
_DETAIL = [(u, v) for u in range(16) for v in range(16) if u + v]
_COARSE = sorted(_DETAIL, key=lambda at: (at[0] + at[1], at))[:COARSE_BITS]


def compute_likenesses(size: tuple[int, int], grey: bytes, scaled: Callable[[Box, int], bytes]) -> tuple[Likeness, ...]:
    """Compute a likeness for each cut of an upright picture. Leave out blank cuts.

    `size` is in pixels, and `grey` has the grey values row by row.
    `scaled` returns the grey values of a box of the picture, scaled to a square with the given side in pixels.
    """
    likenesses = []
    for cut, box in _iter_cuts(*size, grey):
        hashes = compute_hashes(scaled(box, SIDE))
        if hashes is not None:
            likenesses.append(Likeness(cut, *hashes, b"" if cut else scaled(box, GREY_SIDE)))
    return tuple(likenesses)


def _iter_cuts(width: int, height: int, grey: bytes) -> Iterator[tuple[int, Box]]:
    yield 0, (0, 0, width, height)
    framed = _find_frame(width, height, grey)
    if framed != (0, 0, width, height):
        yield 1, framed


def _find_frame(width: int, height: int, grey: bytes) -> Box:
    """Return the box inside a plain frame, such as a screenshot has. Without a frame, return the whole picture."""
    top, bottom = _count_plain_ends([grey[y * width : (y + 1) * width] for y in range(height)])
    inner = grey[top * width : (height - bottom) * width]
    left, right = _count_plain_ends([inner[x::width] for x in range(width)])
    return left, top, width - right, height - bottom


def _count_plain_ends(lines: Sequence[bytes]) -> tuple[int, int]:
    """Return the number of plain lines at the beginning and at the end.

    If all lines of the widest possible frame at one end are plain, return 0 for this end.
    """
    limit = int(len(lines) * _WIDEST_FRAME)

    def count(ordered: Sequence[bytes]) -> int:
        plain = next((at for at, line in enumerate(ordered[:limit]) if max(line) - min(line) > _PLAIN), limit)
        return plain if plain < limit else 0

    return count(lines), count(lines[::-1])


def compute_hashes(matrix: Iterable[float]) -> tuple[int, str] | None:
    """Compute the coarse and the detailed hash of SIDE x SIDE grey values. Return None if the values are blank.

    Each bit says whether one low frequency of the cosine transform is stronger than the median of these frequencies.
    """
    grey = list(matrix)
    rows = [_transform(grey[start : start + SIDE]) for start in range(0, SIDE**2, SIDE)]
    columns = [_transform(column) for column in zip(*rows, strict=True)]
    strength = {(u, v): columns[u][v] for u, v in _DETAIL}
    coarse = [strength[at] for at in _COARSE]
    if sorted(map(abs, coarse))[len(coarse) // 2] * 2 / SIDE**2 < _FLAT:
        return None
    bits = _bits(coarse)
    signed = bits - (1 << COARSE_BITS) if bits >> (COARSE_BITS - 1) else bits
    return signed, f"{_bits([strength[at] for at in _DETAIL]):064x}"


def _transform(line: Sequence[float]) -> list[float]:
    """Return the lowest frequencies of a line of SIDE values."""
    half, mirrored = line[: SIDE // 2], line[: SIDE // 2 - 1 : -1]
    folded = (list(map(add, half, mirrored)), list(map(sub, half, mirrored)))
    return [sum(map(mul, folded[u % 2], wave)) for u, wave in enumerate(_WAVES)]


def _bits(strengths: Sequence[float]) -> int:
    ordered = sorted(strengths)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return sum(1 << place for place, strength in enumerate(strengths) if strength > median)
