"""Marks (特征点): small areas of a picture that stand out, known again in a copy however it was cut, scaled or framed.

Arithmetic alone: where something stands out is found by `likeness_pixels`, pictures with the same marks by `likeness`.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import NamedTuple

LEVELS = tuple(round(72 * 2 ** (step / 6)) for step in range(12))
"""Long sides, pixels, that a picture is scaled to: on each, marks are areas of one size. A copy's areas come between two."""
HALF = 13
"""Half the side of an area, pixels of its level: wide enough to tell a mark from others, small enough to survive a cut."""
PATCH = 8
"""Side of the values that an area is brought to."""
MARKS_A_LEVEL = 6

KEY_BITS, FIGURE_BITS = 34, 60
_WEAK = 4
"""Bits of a key that changed first if anything did: a copy is looked for with each of them either way."""
_MIN_CLEAR = 0.02
"""How clear the weakest of the other bits must be, as a share of the whole: of a bare edge none but a few are."""
_REST_APART = 8
"""Of the 26 bits beyond the key, in how many the same mark differs at most."""
_SURELY_APART = 4
"""In how many a mark may differ that has no other to bear it out."""
_AGREE = 0.1
"""How far apart, in the other picture's sides, two marks may see the edges of this one and still agree."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom; here in fractions of a picture's width and height."""
WHOLE: Box = (0, 0, 1, 1)

_WAVES = [[math.cos(math.pi * (2 * x + 1) * u / (2 * PATCH)) for x in range(PATCH)] for u in range(PATCH)]
_FREQUENCIES = sorted(
    ((u, v) for u in range(PATCH) for v in range(PATCH) if u + v), key=lambda at: (at[0] + at[1], at)
)[:FIGURE_BITS]
_HEAD = struct.Struct("<HH")
_EACH = struct.Struct("<Q4BHHB")
_FINEST = 2**16 - 1
_KEY = (1 << KEY_BITS) - 1


class Keypoint(NamedTuple):
    """`figure` has the signs of 60 low frequencies, the lowest of them the key; `weak` names the weakest bits of the key.

    `x` and `y` are the centre in long sides of the picture; `level` the place in `LEVELS`.
    """

    figure: int
    weak: tuple[int, int, int, int]
    x: float
    y: float
    level: int

    @property
    def key(self) -> int:
        return self.figure & _KEY


@dataclass(frozen=True)
class Marks:
    """The marks of one picture; `sides` are its width and height, the longer of them 1."""

    sides: tuple[float, float]
    marks: tuple[Keypoint, ...]


@dataclass(frozen=True)
class Overlap:
    """What two pictures seem to share: the part of the one, the part of the other, and how many marks say so."""

    mine: Box
    theirs: Box
    votes: int


def marks_on(level: int, sides: tuple[int, int], areas: Iterable[tuple[int, int, bytes]]) -> list[Keypoint]:
    """The clearest marks among areas (x, y, values) of a picture of that level, `sides` its pixels there."""
    found = []
    for x, y, values in areas:
        strengths = _strengths(values)
        order = sorted(range(KEY_BITS), key=lambda bit: abs(strengths[bit]))
        typical = math.sqrt(sum(each * each for each in strengths[:KEY_BITS]) / KEY_BITS)
        clear = abs(strengths[order[_WEAK]]) / typical if typical else 0.0
        if clear >= _MIN_CLEAR:
            figure = sum(1 << bit for bit, strength in enumerate(strengths) if strength > 0)
            weak = (order[0], order[1], order[2], order[3])
            found.append((-clear, Keypoint(figure, weak, (x + 0.5) / max(sides), (y + 0.5) / max(sides), level)))
    return [mark for _, mark in sorted(found)[:MARKS_A_LEVEL]]


def _strengths(values: bytes) -> list[float]:
    rows = [values[start : start + PATCH] for start in range(0, PATCH**2, PATCH)]
    waves = [[sum(map(mul, row, wave)) for wave in _WAVES] for row in rows]
    columns = [[sum(map(mul, column, wave)) for wave in _WAVES] for column in zip(*waves, strict=True)]
    return [columns[u][v] for u, v in _FREQUENCIES]


def packed(found: Marks) -> bytes:
    """As they are stored: some 17 bytes a mark."""
    head = _HEAD.pack(*(round(side * _FINEST) for side in found.sides))
    return head + b"".join(
        _EACH.pack(each.figure, *each.weak, round(each.x * _FINEST), round(each.y * _FINEST), each.level)
        for each in found.marks
    )


def unpacked(body: bytes) -> Marks:
    """Raises `ValueError` for what `packed` has not made: it comes from a process that had hostile bytes in its hands."""
    if len(body) < _HEAD.size or (len(body) - _HEAD.size) % _EACH.size:
        raise ValueError("no marks")
    width, height = _HEAD.unpack_from(body)
    marks = tuple(
        Keypoint(figure, (a, b, c, d), x / _FINEST, y / _FINEST, level)
        for figure, a, b, c, d, x, y, level in _EACH.iter_unpack(body[_HEAD.size :])
    )
    fit = all(each.level < len(LEVELS) and max(each.weak) < KEY_BITS for each in marks)
    if not (fit and width and height and len(marks) <= MARKS_A_LEVEL * len(LEVELS)):
        raise ValueError("no marks")
    return Marks((width / _FINEST, height / _FINEST), marks)


def asked(of: Marks) -> dict[int, list[Keypoint]]:
    """The keys under which copies may have these marks, each with those it stands for.

    Every other level is asked for: all are stored, so that of whatever size a copy is, one lies within 6 % of it.
    """
    found: dict[int, list[Keypoint]] = {}
    for each in of.marks:
        if each.level % 2:
            for key in _neighbours(each):
                found.setdefault(key, []).append(each)
    return found


def among(keys: Mapping[int, object], body: bytes) -> Marks:
    """Of packed marks those whose key is one of `keys`: a few of many, and the others are not worth a look."""
    kept = b"".join(
        body[place : place + _EACH.size]
        for place in range(_HEAD.size, len(body), _EACH.size)
        if int.from_bytes(body[place : place + 5], "little") & _KEY in keys
    )
    return unpacked(body[: _HEAD.size] + kept)


def _neighbours(mark: Keypoint) -> Iterator[int]:
    keys = [mark.key]
    for bit in mark.weak:
        keys += [key ^ (1 << bit) for key in keys]
    return iter(keys)


def overlap_of(mine: Marks, keys: Mapping[int, Sequence[Keypoint]], theirs: Marks) -> Overlap | None:
    """What most of the marks that both have agree on; None where none is borne out. `keys` are what `asked(mine)` said."""
    views: list[tuple[Box, bool]] = []
    for there in theirs.marks:
        for here in keys.get(there.key, ()):
            apart = ((here.figure ^ there.figure) >> KEY_BITS).bit_count()
            if apart <= _REST_APART:
                views.append((_seen(mine.sides, here, theirs.sides, there), apart <= _SURELY_APART))
    if not views:
        return None
    agreeing = Counter({place: sum(_agree(box, other) for other, _ in views) for place, (box, _) in enumerate(views)})
    [(best, votes)] = agreeing.most_common(1)
    together = [box for box, _ in views if _agree(views[best][0], box)]
    if votes == 1 and not any(sure for _, sure in views):
        return None
    if votes == 1:
        together = [next(box for box, sure in views if sure)]
    return _shared(_median(together), votes)


def _seen(my_sides: tuple[float, float], here: Keypoint, their_sides: tuple[float, float], there: Keypoint) -> Box:
    """Where my edges lie in their picture, if the two marks are one."""
    scale = LEVELS[here.level] / LEVELS[there.level]
    left, top = there.x - here.x * scale, there.y - here.y * scale
    (wide, high), (width, height) = my_sides, their_sides
    return left / width, top / height, (left + wide * scale) / width, (top + high * scale) / height


def _agree(one: Box, other: Box) -> bool:
    return all(abs(a - b) <= _AGREE for a, b in zip(one, other, strict=True))


def _median(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = (sorted(edges)[len(edges) // 2] for edges in zip(*boxes, strict=True))
    return left, top, right, bottom


def _shared(seen: Box, votes: int) -> Overlap | None:
    """The parts of both that lie within each other, where my edges are `seen` in theirs."""
    (left, right, mine_x), (top, bottom, mine_y) = _clipped(seen[0], seen[2]), _clipped(seen[1], seen[3])
    if right <= left or bottom <= top:
        return None
    return Overlap((mine_x[0], mine_y[0], mine_x[1], mine_y[1]), (left, top, right, bottom), votes)


def _clipped(start: float, end: float) -> tuple[float, float, tuple[float, float]]:
    low, high = max(start, 0.0), min(end, 1.0)
    return low, high, ((low - start) / (end - start), (high - start) / (end - start))
