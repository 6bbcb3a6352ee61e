"""Walk the boxes of ISO base media files (ISO/IEC 14496-12, 4.2): HEIF pictures, videos and sounds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# Real files have a few dozen boxes side by side. A file full of empty boxes must not be walked to its end.
_MAX = 20_000
CONTENT_BYTES = 16 * 2**20
"""Maximum number of bytes that are read of one box."""
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
"""The outermost boxes. If such a box exceeds the file, the file is cut.

Any other box that exceeds the file is foreign data after the movie.
"""


class TruncatedError(Exception):
    """A box ends before its content does."""


@dataclass(frozen=True)
class Box:
    """A box. Its content lies between the offsets `start` and `end`.

    `is_cut` is true if the box's stated size exceeds its parent. Then `end` is the end of the parent.
    """

    kind: bytes
    start: int
    end: int
    is_cut: bool = False


def iter_boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Yield the consecutive boxes between two offsets. Stop at the first bytes that are not a box."""
    for _ in range(_MAX):
        if start + 8 > end:
            return
        file.seek(start)
        head = file.read(8)
        size, content = int.from_bytes(head[:4]), start + 8
        if size == 1:  # the size has 64 bits and follows
            size, content = int.from_bytes(file.read(8)), start + 16
        elif size == 0:  # the box extends to the end
            size = end - start
        if len(head) < 8 or start + size < content:
            return
        yield Box(head[4:], content, min(start + size, end), is_cut=start + size > end)
        start += size


def iter_children(file: BinaryIO, parent: Box, skip: int = 0) -> Iterator[Box]:
    """Yield the boxes inside `parent`. They follow `skip` bytes of the parent's own fields."""
    return iter_boxes(file, parent.start + skip, parent.end)


def find_box(file: BinaryIO, parent: Box, *path: bytes) -> Box | None:
    """Return the box at a path of kinds below `parent`, or None. Of several boxes of one kind, take the first."""
    box: Box | None = parent
    for kind in path:
        box = next((child for child in iter_children(file, box) if child.kind == kind), None) if box else None
    return box


def read_content(file: BinaryIO, box: Box, max_bytes: int = CONTENT_BYTES) -> bytes:
    file.seek(box.start)
    return file.read(max(min(box.end - box.start, max_bytes), 0))


class BoxFields:
    """A reader of the consecutive big-endian fields of a box's content."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes. Raise `TruncatedError` if fewer are left."""
        data = self._data[self._at : self._at + size]
        if len(data) < size:
            raise TruncatedError
        self._at += size
        return data

    def read_rest(self, max_bytes: int) -> bytes:
        return self.read(min(max_bytes, len(self._data) - self._at))

    def read_number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.read(size), signed=signed)

    def read_text(self) -> str:
        """Read text up to the next NUL: UTF-8, or UTF-16 if it has a byte order mark (3GPP TS 26.244, 8.2)."""
        wide = self._data[self._at : self._at + 2] == b"\xfe\xff"
        at = self._at
        unit = 2 if wide else 1
        while self._data[at : at + unit] not in {b"\0" * unit, b"\0" * (unit - 1), b""}:
            at += unit
        text = self._data[self._at : at]
        self._at = at + unit
        return text.decode("utf-16" if wide else "utf-8", "replace")
