"""Likeness hashes: figures that stay nearly the same when a picture is encoded again, scaled, brightened, framed or cut.

Arithmetic on grey values alone; decoding pictures is left to `pictures`, finding hashes that are near to `likeness`.
"""

import math
from collections.abc import Callable, Iterator, Sequence

from schema.likeness import COARSE_BITS, Likeness

SIDE = 32
"""Side of the grey matrix that a hash is made of, pixels."""
CUTS = 13
"""At most so many of one picture: the whole, what a frame encloses, one cut of 95 %, five each of 90 and 80 %."""

Box = tuple[float, float, float, float]

_FLAT = 0.5
"""Grey levels: where most of the low frequencies are weaker than this, a picture shows nothing to compare."""
_PLAIN = 12
"""Grey levels within which a line of pixels is part of a frame; coding makes more than one shade of one."""
_WIDEST_FRAME = 0.4
"""Share of a side that a frame may take at each end."""
_PLACES = ((0.5, 0.5), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
_WINDOWS = ((0.95, _PLACES[0]), *((share, place) for share in (0.9, 0.8) for place in _PLACES))

_WAVES = [[math.cos(math.pi * (2 * x + 1) * u / (2 * SIDE)) for x in range(SIDE)] for u in range(16)]
# All but the mean: brightness is no likeness.
_DETAIL = [(u, v) for u in range(16) for v in range(16) if u + v]
_COARSE = sorted(_DETAIL, key=lambda at: (at[0] + at[1], at))[:COARSE_BITS]


def likenesses(size: tuple[int, int], grey: bytes, matrix: Callable[[Box], bytes]) -> tuple[Likeness, ...]:
    """Of an upright picture: `size` in pixels, its grey values row by row, and `matrix`, which scales a box of it to SIDE.

    Without those cuts that are blank.
    """
    found = []
    for cut, box in _boxes(*size, grey):
        hashes = _hashes(matrix(box))
        if hashes is not None:
            found.append(Likeness(cut, *hashes))
    return tuple(found)


def _boxes(width: int, height: int, grey: bytes) -> Iterator[tuple[int, Box]]:
    yield 0, (0, 0, width, height)
    framed = _within_frame(width, height, grey)
    if framed != (0, 0, width, height):
        yield 1, framed
    for cut, (share, (along, down)) in enumerate(_WINDOWS, start=2):
        left, top = (1 - share) * width * along, (1 - share) * height * down
        yield cut, (left, top, left + share * width, top + share * height)


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


def _hashes(matrix: bytes) -> tuple[int, str] | None:
    """Each bit says whether one low frequency of the cosine transform is stronger than their median."""
    grey = [float(value) for value in matrix]
    rows = [[_times(grey[y * SIDE : (y + 1) * SIDE], wave) for wave in _WAVES] for y in range(SIDE)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    strength = {(u, v): _times(columns[u], _WAVES[v]) for u, v in _DETAIL}
    coarse = [strength[at] for at in _COARSE]
    if sorted(map(abs, coarse))[len(coarse) // 2] * 2 / SIDE**2 < _FLAT:
        return None
    bits = _bits(coarse)
    signed = bits - (1 << COARSE_BITS) if bits >> (COARSE_BITS - 1) else bits
    return signed, f"{_bits([strength[at] for at in _DETAIL]):064x}"


def _times(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(map(float.__mul__, one, other))


def _bits(strengths: Sequence[float]) -> int:
    ordered = sorted(strengths)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return sum(1 << place for place, strength in enumerate(strengths) if strength > median)
