"""Define the likeness of a picture (相似度) and the distance of two pictures."""

from dataclasses import dataclass

COARSE_BITS = 64
DETAIL_BITS = 256
_MASK = (1 << COARSE_BITS) - 1


@dataclass(frozen=True)
class Likeness:
    """Hashes of one view of a picture. `cut` 0 is the whole picture, 1 the part inside its frame.

    `coarse` is a signed 64-bit hash that finds candidates. `detail` is a hash of 256 bits in 64 hexadecimal digits that
    compares them. Only the whole picture has `marks`, packed keypoints that find shared parts, and `grey`, a small grey
    picture for laying one picture over another.
    """

    cut: int
    coarse: int
    detail: str
    grey: bytes = b""
    marks: bytes = b""


def coarse_bits_apart(one: int, other: int) -> int:
    """Return the number of differing bits, of 64."""
    return ((one ^ other) & _MASK).bit_count()


def detail_bits_apart(one: str, other: str) -> int:
    """Return the number of differing bits, of 256: 0 for the same picture, about 128 for two unrelated ones."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
