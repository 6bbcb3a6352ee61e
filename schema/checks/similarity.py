"""Define the likeness of a picture (相似度): hashes and features that are compared with those of other pictures."""

from dataclasses import dataclass

COARSE_BITS = 64
DETAIL_BITS = 256
_MASK = (1 << COARSE_BITS) - 1


@dataclass(frozen=True)
class Likeness:
    """The perceptual hashes of one view of a picture.

    `cut` is 0 for the whole picture, and 1 for the part of the picture inside its frame.
    `coarse` is a signed 64-bit hash. It finds pictures that may be similar.
    `detail` is a hash of 256 bits, in 64 hexadecimal digits. It decides how similar two pictures are.
    `marks` and `grey` exist for the whole picture only. `marks` holds packed keypoints, which find parts that two
    pictures share. `grey` is a small grey copy of the picture, which is laid over the copy of another picture.
    """

    cut: int
    coarse: int
    detail: str
    grey: bytes = b""
    marks: bytes = b""


def coarse_bits_apart(one: int, other: int) -> int:
    """Return in how many of their 64 bits two coarse hashes differ."""
    return ((one ^ other) & _MASK).bit_count()


def detail_bits_apart(one: str, other: str) -> int:
    """Return in how many of their 256 bits two detail hashes differ.

    The result is 0 for the same picture, and about 128 for two unrelated pictures.
    """
    return (int(one, 16) ^ int(other, 16)).bit_count()
