"""Likeness (相似度): what two pictures are compared by, and how far apart they are.

Making it from pixels is left to `storage/similarity/perceptual_hash.py` and `storage/similarity/keypoints.py`,
finding the near ones among millions
to `storage/checks/similar_pictures.py`.
"""

from dataclasses import dataclass

COARSE_BITS = 64
DETAIL_BITS = 256
_MASK = (1 << COARSE_BITS) - 1


@dataclass(frozen=True)
class Likeness:
    """One view of a picture: `cut` 0 is the whole, 1 what a frame encloses.

    `coarse` is a signed 64-bit figure, by which pictures are found; `detail` 256 bits as 64 hexadecimal digits, by which
    what was found is told apart. Of the whole alone: `marks`, packed, by which parts are found, and `grey`, small grey
    values by which one picture is laid over another.
    """

    cut: int
    coarse: int
    detail: str
    grey: bytes = b""
    marks: bytes = b""


def coarse_bits_apart(one: int, other: int) -> int:
    """In how many of 64 bits two coarse figures differ."""
    return ((one ^ other) & _MASK).bit_count()


def detail_bits_apart(one: str, other: str) -> int:
    """In how many of 256 bits two details differ: 0 for the same picture, about 128 for two that have nothing in common."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
