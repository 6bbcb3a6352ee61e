"""ISO base media boxes (ISO/IEC 14496-12, 4.2): the one walk that HEIF pictures, videos and sounds share.

What a box of some kind means is left to `heif`, `movies` and `movie_tags`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# Real files have some dozens side by side; a file of nothing but empty boxes must not be walked to its end.
_MAX = 20_000
CONTENT_BYTES = 16 * 2**20
"""The most that is read of one box."""
OUTERMOST = frozenset(
    {
        b"ftyp",
        b"free",
        b"mdat",
        b"meta",
        b"mfra",
        b"moof",
        b"moov",
        b"mpvd",
        b"sidx",
        b"skip",
        b"styp",
        b"uuid",
        b"wide",
    }
)
"""What a file may end in the middle of; anything else that doesn't fit in is something that was put behind the file."""


class TruncatedError(Exception):
    """A box ends before what it should hold does."""


@dataclass(frozen=True)
class Box:
    """Its content lies from `start` to `end`, never past its parent's end; `is_cut` where it claims to go further."""

    kind: bytes
    start: int
    end: int
    is_cut: bool = False


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Boxes side by side between two offsets, up to the first thing that is none."""
    for _ in range(_MAX):
        if start + 8 > end:
            return
        file.seek(start)
        head = file.read(8)
        size, content = int.from_bytes(head[:4]), start + 8
        if size == 1:  # the size has 64 bits and follows
            size, content = int.from_bytes(file.read(8)), start + 16
        elif size == 0:  # up to the end
            size = end - start
        if len(head) < 8 or start + size < content:
            return
        yield Box(head[4:], content, min(start + size, end), is_cut=start + size > end)
        start += size


def inside(file: BinaryIO, parent: Box, skip: int = 0) -> Iterator[Box]:
    """The boxes that a box holds, behind `skip` bytes of its own."""
    return boxes(file, parent.start + skip, parent.end)


def first(file: BinaryIO, parent: Box, *path: bytes) -> Box | None:
    """The box at the end of a path of kinds, by the first box of each kind."""
    found: Box | None = parent
    for kind in path:
        found = next((each for each in inside(file, found) if each.kind == kind), None) if found else None
    return found


def content(file: BinaryIO, box: Box, most: int = CONTENT_BYTES) -> bytes:
    file.seek(box.start)
    return file.read(max(min(box.end - box.start, most), 0))


class BoxFields:
    """What stands one behind the other in a box's content, big end first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        """Raises `TruncatedError` where so much isn't left."""
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise TruncatedError
        self._at += size
        return found

    def rest(self, most: int) -> bytes:
        """What is left, at most so much."""
        return self.take(min(most, len(self._data) - self._at))

    def number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), signed=signed)

    def text(self) -> str:
        """Up to the next NUL: UTF-8, or UTF-16 where it begins with a byte order mark (3GPP TS 26.244, 8.2)."""
        wide = self._data[self._at : self._at + 2] == b"\xfe\xff"
        at = self._at
        unit = 2 if wide else 1
        while self._data[at : at + unit] not in {b"\0" * unit, b"\0" * (unit - 1), b""}:
            at += unit
        found = self._data[self._at : at]
        self._at = at + unit
        return found.decode("utf-16" if wide else "utf-8", "replace")
