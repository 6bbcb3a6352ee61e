"""Likeness hashes: figures that stay nearly the same when a picture is encoded again, scaled, brightened or framed.

Arithmetic on grey values alone; decoding pictures is left to `pictures`, finding hashes that are near to `likeness`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import add, mul, sub

from schema.checks.similarity import COARSE_BITS, Likeness

SIDE = 32
"""Side of the grey matrix that a hash is made of, pixels."""
GREY_SIDE = 64
"""Side of the grey values that are kept of the whole, pixels."""

CUTS = 2
"""Of one picture at most: the whole, and what a frame encloses."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_FLAT = 0.2
"""Grey levels: where most of the low frequencies are weaker than this, a picture shows nothing to compare."""
_PLAIN = 12
"""Grey levels within which a line of pixels is part of a frame; coding makes more than one shade of one."""
_WIDEST_FRAME = 0.4
"""Share of a side that a frame may take at each end."""

_WAVES = [[math.cos(math.pi * (2 * x + 1) * u / (2 * SIDE)) for x in range(SIDE // 2)] for u in range(16)]
"""Half of each wave: the other half mirrors it, with the same sign for even frequencies and the opposite for odd ones."""
# All but the mean: brightness is no likeness.
_DETAIL = [(u, v) for u in range(16) for v in range(16) if u + v]
_COARSE = sorted(_DETAIL, key=lambda at: (at[0] + at[1], at))[:COARSE_BITS]


def likenesses(size: tuple[int, int], grey: bytes, scaled: Callable[[Box, int], bytes]) -> tuple[Likeness, ...]:
    """Of an upright picture: `size` in pixels, its grey values row by row, and `scaled`, a box of it at a side in pixels.

    Without what is blank.
    """
    found = []
    for cut, box in _boxes(*size, grey):
        hashes = hashes_of(scaled(box, SIDE))
        if hashes is not None:
            found.append(Likeness(cut, *hashes, b"" if cut else scaled(box, GREY_SIDE)))
    return tuple(found)


def _boxes(width: int, height: int, grey: bytes) -> Iterator[tuple[int, Box]]:
    yield 0, (0, 0, width, height)
    framed = _within_frame(width, height, grey)
    if framed != (0, 0, width, height):
        yield 1, framed


def _within_frame(width: int, height: int, grey: bytes) -> Box:
    """What a plain frame encloses, as of a screenshot; the whole where there is none."""
    top, bottom = _plain_ends([grey[y * width : (y + 1) * width] for y in range(height)])
    inner = grey[top * width : (height - bottom) * width]
    left, right = _plain_ends([inner[x::width] for x in range(width)])
    return left, top, width - right, height - bottom


def _plain_ends(lines: Sequence[bytes]) -> tuple[int, int]:
    """How many lines are plain at either end; none where there is nothing but plain ones within the widest frame."""
    most = int(len(lines) * _WIDEST_FRAME)

    def count(ordered: Sequence[bytes]) -> int:
        plain = next((at for at, line in enumerate(ordered[:most]) if max(line) - min(line) > _PLAIN), most)
        return plain if plain < most else 0

    return count(lines), count(lines[::-1])


def hashes_of(matrix: Iterable[float]) -> tuple[int, str] | None:
    """Coarse and detail of SIDE x SIDE grey values, None for a blank one.

    Each bit says whether one low frequency of the cosine transform is stronger than their median.
    """
    grey = list(matrix)
    rows = [_waves_in(grey[start : start + SIDE]) for start in range(0, SIDE**2, SIDE)]
    columns = [_waves_in(column) for column in zip(*rows, strict=True)]
    strength = {(u, v): columns[u][v] for u, v in _DETAIL}
    coarse = [strength[at] for at in _COARSE]
    if sorted(map(abs, coarse))[len(coarse) // 2] * 2 / SIDE**2 < _FLAT:
        return None
    bits = _bits(coarse)
    signed = bits - (1 << COARSE_BITS) if bits >> (COARSE_BITS - 1) else bits
    return signed, f"{_bits([strength[at] for at in _DETAIL]):064x}"


def _waves_in(line: Sequence[float]) -> list[float]:
    """The lowest frequencies of a line of SIDE values."""
    half, mirrored = line[: SIDE // 2], line[: SIDE // 2 - 1 : -1]
    folded = (list(map(add, half, mirrored)), list(map(sub, half, mirrored)))
    return [sum(map(mul, folded[u % 2], wave)) for u, wave in enumerate(_WAVES)]


def _bits(strengths: Sequence[float]) -> int:
    ordered = sorted(strengths)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return sum(1 << place for place, strength in enumerate(strengths) if strength > median)
