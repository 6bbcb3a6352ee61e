"""Describe and match keypoints (特征点).

Keypoints are small prominent areas that stay recognisable in a cropped, scaled or framed copy of a picture.
This is arithmetic on small matrices of grey values.
"""

import math
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter, mul
from typing import NamedTuple

LEVELS = tuple(round(72 * 2 ** (step / 6)) for step in range(12))
"""The long sides in pixels to which a picture is scaled. Each is one level, with keypoint areas of one size."""
HALF = 13
"""Half the side of an area in pixels of its level.

It is large enough to be distinctive, and small enough to survive a crop.
"""
PATCH = 8
"""Side of the matrix of grey values to which an area is scaled."""
KEYPOINTS_PER_LEVEL = 6

KEY_BITS, FIGURE_BITS = 34, 60
_WEAK = 4
"""Number of weak bits of a key, which change most easily in a copy. The lookup tries both values of each weak bit."""
_MIN_CLEAR = 0.02
"""Minimum strength of a key's other bits, as a share of the typical strength. Plain edges have few clear bits."""
_REST_APART = 8
"""Two keypoints with the same key match if at most this many of the other 26 bits of their figures differ."""
_SURELY_APART = 4
"""A match that no other match confirms needs this stricter maximum instead of `_REST_APART`."""
_AGREE = 0.1
"""Each match projects one picture into the other picture. Two matches agree if the edges differ by at most this share.

The share is of the other picture's width or height.
"""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in fractions of a picture's width and height."""
WHOLE: Box = (0, 0, 1, 1)

_WAVES = [[math.cos(math.pi * (2 * x + 1) * u / (2 * PATCH)) for x in range(PATCH)] for u in range(PATCH)]
_PIXELS = [f"pixel_{x}" for x in range(PATCH)]
_SUMS = [" + ".join(f"{pixel} * {part!r}" for pixel, part in zip(_PIXELS, wave, strict=True)) for wave in _WAVES]
_transform: Callable[..., tuple[float, ...]] = eval(f"lambda {', '.join(_PIXELS)}: ({', '.join(_SUMS)})")  # noqa: S307  made from the numbers above
"""Return the strengths of all frequencies of a line of grey values. Loops over the waves take three times as long."""
_FREQUENCIES = sorted(
    ((u, v) for u in range(PATCH) for v in range(PATCH) if u + v), key=lambda at: (at[0] + at[1], at)
)[:FIGURE_BITS]
_PICK = itemgetter(*(u * PATCH + v for u, v in _FREQUENCIES))
_BITS = [1 << bit for bit in range(FIGURE_BITS)]
_HEAD = struct.Struct("<HH")
_EACH = struct.Struct("<Q4BHHB")
_FINEST = 2**16 - 1
_KEY = (1 << KEY_BITS) - 1


class Keypoint(NamedTuple):
    """A prominent area of a picture. `figure` holds the signs of its 60 lowest frequencies. The lowest 34 are the key.

    `weak` lists the weakest bits of the key. `x` and `y` are the centre, as shares of the picture's long side.
    `level` is the index in `LEVELS`.
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
    """The keypoints of one picture. `sides` are the picture's width and height, scaled so that the longer side is 1."""

    sides: tuple[float, float]
    marks: tuple[Keypoint, ...]


@dataclass(frozen=True)
class Overlap:
    """The area that two pictures seem to share: its box in my picture (`mine`) and in the other picture (`theirs`).

    `votes` is the number of matching keypoints that agree on this area.
    """

    mine: Box
    theirs: Box
    votes: int


def select_keypoints(level: int, sides: tuple[int, int], areas: Iterable[tuple[int, int, bytes]]) -> list[Keypoint]:
    """Return the clearest keypoints among areas (x, y, values) of one level.

    `sides` are the picture's width and height in pixels on this level.
    """
    candidates = []
    for x, y, values in areas:
        strengths = _strengths(values)
        absolute = list(map(abs, strengths[:KEY_BITS]))
        order = sorted(range(KEY_BITS), key=absolute.__getitem__)
        typical = math.sqrt(sum(map(mul, absolute, absolute)) / KEY_BITS)
        clear = absolute[order[_WEAK]] / typical if typical else 0.0
        if clear >= _MIN_CLEAR:
            figure = sum([bit for bit, strength in zip(_BITS, strengths, strict=True) if strength > 0])
            weak = (order[0], order[1], order[2], order[3])
            candidates.append((-clear, Keypoint(figure, weak, (x + 0.5) / max(sides), (y + 0.5) / max(sides), level)))
    return [keypoint for _, keypoint in sorted(candidates)[:KEYPOINTS_PER_LEVEL]]


def _strengths(values: bytes) -> tuple[float, ...]:
    grey = map(float, values)  # a product of two floats takes a third of the time of one of an int and a float
    rows = map(_transform, *[grey] * PATCH)
    strengths: tuple[float, ...] = _PICK([strength for column in map(_transform, *rows) for strength in column])
    return strengths


def pack(keypoints: KeypointSet) -> bytes:
    """Convert keypoints to the stored form: a head of 4 bytes, then 17 bytes per keypoint."""
    head = _HEAD.pack(*(round(side * _FINEST) for side in keypoints.sides))
    return head + b"".join(
        _EACH.pack(mark.figure, *mark.weak, round(mark.x * _FINEST), round(mark.y * _FINEST), mark.level)
        for mark in keypoints.marks
    )


def unpack(body: bytes) -> KeypointSet:
    """Reverse `pack`. Raise `ValueError` if the bytes are malformed.

    They may be malformed, because the process that writes them also reads hostile files.
    """
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
    """Return the keys that these keypoints may have in a copy, each with its keypoints. Use only every other level.

    That is enough, because the copy's keypoints are stored for all levels. At any size, a copy has a level within 6 %
    of a level that is used here.
    """
    by_key: dict[int, list[Keypoint]] = {}
    for mark in keypoints.marks:
        if mark.level % 2:
            for key in _nearby_keys(mark):
                by_key.setdefault(key, []).append(mark)
    return by_key


def filter_packed(keys: Mapping[int, object], body: bytes) -> KeypointSet:
    """Unpack only the keypoints whose key is in `keys`. This saves time, because these are usually a few of many."""
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
    """Find the overlap on which most matching keypoints agree. Return None if no overlap is confirmed.

    `keys` is `lookup_keys(mine)`.
    """
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
    """Return the box of my whole picture in the other picture, assuming that both keypoints show the same thing."""
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
    """Return the overlapping areas of both pictures. `seen` is the box of my whole picture in the other picture."""
    (left, right, mine_x), (top, bottom, mine_y) = _clip(seen[0], seen[2]), _clip(seen[1], seen[3])
    if right <= left or bottom <= top:
        return None
    return Overlap((mine_x[0], mine_y[0], mine_x[1], mine_y[1]), (left, top, right, bottom), votes)


def _clip(start: float, end: float) -> tuple[float, float, tuple[float, float]]:
    low, high = max(start, 0.0), min(end, 1.0)
    return low, high, ((low - start) / (end - start), (high - start) / (end - start))
