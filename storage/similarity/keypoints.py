"""Describe and match keypoints (特征点): small prominent areas that stay recognisable in a cropped, scaled or framed copy.

This is arithmetic on small matrices of grey values.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import NamedTuple

LEVELS = tuple(round(72 * 2 ** (step / 6)) for step in range(12))
"""Long sides in pixels that a picture is scaled to. On each level all areas have one size; a copy's lie between two levels."""
HALF = 13
"""Half the side of an area in pixels of its level: large enough to be distinctive, small enough to survive a crop."""
PATCH = 8
"""Side of the matrix that an area is scaled to."""
KEYPOINTS_PER_LEVEL = 6

KEY_BITS, FIGURE_BITS = 34, 60
_WEAK = 4
"""Bits of a key that a copy changes most easily: the lookup tries both values of each."""
_MIN_CLEAR = 0.02
"""Minimum strength of the weakest other bit, as a share of the typical strength. A plain edge has only a few clear bits."""
_REST_APART = 8
"""Maximum number of differing bits, of the 26 beyond the key, between two views of one keypoint."""
_SURELY_APART = 4
"""The same maximum for a keypoint that no other keypoint confirms."""
_AGREE = 0.1
"""Two matches agree if they place this picture's edges within this distance, in sides of the other picture."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in fractions of a picture's width and height."""
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
    """A prominent area of a picture. `figure` holds the signs of its 60 lowest frequencies; the lowest 34 are the key.

    `weak` lists the weakest bits of the key. `x` and `y` are the centre, in long sides of the picture. `level` is the
    index in `LEVELS`.
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
class KeypointSet:
    """The keypoints of one picture. `sides` are its width and height; the longer one is 1."""

    sides: tuple[float, float]
    marks: tuple[Keypoint, ...]


@dataclass(frozen=True)
class Overlap:
    """The area that two pictures seem to share, in each of them, and the number of keypoints that agree on it."""

    mine: Box
    theirs: Box
    votes: int


def select_keypoints(level: int, sides: tuple[int, int], areas: Iterable[tuple[int, int, bytes]]) -> list[Keypoint]:
    """Return the clearest keypoints among areas (x, y, values) of one level. `sides` are its width and height in pixels."""
    candidates = []
    for x, y, values in areas:
        strengths = _strengths(values)
        order = sorted(range(KEY_BITS), key=lambda bit: abs(strengths[bit]))
        typical = math.sqrt(sum(strength * strength for strength in strengths[:KEY_BITS]) / KEY_BITS)
        clear = abs(strengths[order[_WEAK]]) / typical if typical else 0.0
        if clear >= _MIN_CLEAR:
            figure = sum(1 << bit for bit, strength in enumerate(strengths) if strength > 0)
            weak = (order[0], order[1], order[2], order[3])
            candidates.append((-clear, Keypoint(figure, weak, (x + 0.5) / max(sides), (y + 0.5) / max(sides), level)))
    return [keypoint for _, keypoint in sorted(candidates)[:KEYPOINTS_PER_LEVEL]]


def _strengths(values: bytes) -> list[float]:
    rows = [values[start : start + PATCH] for start in range(0, PATCH**2, PATCH)]
    waves = [[sum(map(mul, row, wave)) for wave in _WAVES] for row in rows]
    columns = [[sum(map(mul, column, wave)) for wave in _WAVES] for column in zip(*waves, strict=True)]
    return [columns[u][v] for u, v in _FREQUENCIES]


def pack(keypoints: KeypointSet) -> bytes:
    """Convert to the stored form, 17 bytes per keypoint."""
    head = _HEAD.pack(*(round(side * _FINEST) for side in keypoints.sides))
    return head + b"".join(
        _EACH.pack(mark.figure, *mark.weak, round(mark.x * _FINEST), round(mark.y * _FINEST), mark.level)
        for mark in keypoints.marks
    )


def unpack(body: bytes) -> KeypointSet:
    """Reverse `pack`. Raise `ValueError` if the bytes are malformed: they come from a process that reads hostile files."""
    if len(body) < _HEAD.size or (len(body) - _HEAD.size) % _EACH.size:
        raise ValueError("malformed keypoints")
    width, height = _HEAD.unpack_from(body)
    marks = tuple(
        Keypoint(figure, (a, b, c, d), x / _FINEST, y / _FINEST, level)
        for figure, a, b, c, d, x, y, level in _EACH.iter_unpack(body[_HEAD.size :])
    )
    are_valid = all(mark.level < len(LEVELS) and max(mark.weak) < KEY_BITS for mark in marks)
    if not (are_valid and width and height and len(marks) <= KEYPOINTS_PER_LEVEL * len(LEVELS)):
        raise ValueError("malformed keypoints")
    return KeypointSet((width / _FINEST, height / _FINEST), marks)


def lookup_keys(keypoints: KeypointSet) -> dict[int, list[Keypoint]]:
    """Return the keys that these keypoints may have in a copy, each with its keypoints.

    Only every other level is looked up, but all are stored: a copy of any size has a level within 6 % of a looked-up one.
    """
    by_key: dict[int, list[Keypoint]] = {}
    for mark in keypoints.marks:
        if mark.level % 2:
            for key in _nearby_keys(mark):
                by_key.setdefault(key, []).append(mark)
    return by_key


def filter_packed(keys: Mapping[int, object], body: bytes) -> KeypointSet:
    """Unpack only the keypoints whose key is in `keys`: usually a few of many, so this saves time."""
    matching = b"".join(
        body[start : start + _EACH.size]
        for start in range(_HEAD.size, len(body), _EACH.size)
        if int.from_bytes(body[start : start + 5], "little") & _KEY in keys
    )
    return unpack(body[: _HEAD.size] + matching)


def _nearby_keys(mark: Keypoint) -> Iterator[int]:
    keys = [mark.key]
    for bit in mark.weak:
        keys += [key ^ (1 << bit) for key in keys]
    return iter(keys)


def find_overlap(mine: KeypointSet, keys: Mapping[int, Sequence[Keypoint]], theirs: KeypointSet) -> Overlap | None:
    """Find the overlap that most common keypoints agree on; None if none is confirmed. `keys` is `lookup_keys(mine)`."""
    views: list[tuple[Box, bool]] = []
    for there in theirs.marks:
        for here in keys.get(there.key, ()):
            apart = ((here.figure ^ there.figure) >> KEY_BITS).bit_count()
            if apart <= _REST_APART:
                views.append((_project(mine.sides, here, theirs.sides, there), apart <= _SURELY_APART))
    if not views:
        return None
    agreeing = Counter({place: sum(_agree(box, other) for other, _ in views) for place, (box, _) in enumerate(views)})
    [(best, votes)] = agreeing.most_common(1)
    together = [box for box, _ in views if _agree(views[best][0], box)]
    if votes == 1 and not any(sure for _, sure in views):
        return None
    if votes == 1:
        together = [next(box for box, sure in views if sure)]
    return _clip_overlap(_median(together), votes)


def _project(my_sides: tuple[float, float], here: Keypoint, their_sides: tuple[float, float], there: Keypoint) -> Box:
    """Project my picture's edges into theirs, if the two keypoints are the same."""
    scale = LEVELS[here.level] / LEVELS[there.level]
    left, top = there.x - here.x * scale, there.y - here.y * scale
    (wide, high), (width, height) = my_sides, their_sides
    return left / width, top / height, (left + wide * scale) / width, (top + high * scale) / height


def _agree(one: Box, other: Box) -> bool:
    return all(abs(a - b) <= _AGREE for a, b in zip(one, other, strict=True))


def _median(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = (sorted(edges)[len(edges) // 2] for edges in zip(*boxes, strict=True))
    return left, top, right, bottom


def _clip_overlap(seen: Box, votes: int) -> Overlap | None:
    """Return the parts of both pictures that overlap. `seen` is my picture's box in theirs."""
    (left, right, mine_x), (top, bottom, mine_y) = _clip(seen[0], seen[2]), _clip(seen[1], seen[3])
    if right <= left or bottom <= top:
        return None
    return Overlap((mine_x[0], mine_y[0], mine_x[1], mine_y[1]), (left, top, right, bottom), votes)


def _clip(start: float, end: float) -> tuple[float, float, tuple[float, float]]:
    low, high = max(start, 0.0), min(end, 1.0)
    return low, high, ((low - start) / (end - start), (high - start) / (end - start))
