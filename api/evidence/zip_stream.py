"""A pack's ZIP, written while it is read: stored, in one pass, with no more in memory than what nobody has taken yet.

Every byte of it follows from the rules below, and from no library, so that each Python writes the same ZIP.
"""

import hashlib
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from struct import pack

import anyio.to_thread

from schema.core.times import BEIJING
from schema.evidence.packs import PackedFile

LARGE = 2**31
"""Sizes and places from here on are written with 64 bits; smaller ones can be read by every ZIP program."""
MAX_COUNT = 2**16 - 1
"""More files than this are counted with 64 bits."""
ELSEWHERE = 2**32 - 1
"""Stands where the number has 64 bits and follows later."""
SIZES_FOLLOW = 8
"""The flag of an entry whose checksum and sizes stand after its bytes: they are not known before."""
PLAIN_VERSION, LARGE_VERSION = 20, 45
"""What a program must know of the format to read the entry."""
UNIX = 3
REGULAR_FILE = 0o100644 << 16


@dataclass
class Entry:
    """One file in the ZIP, as far as it is written; `large` is decided before its size is known."""

    name: bytes
    start: int
    large: bool
    checksum: int = 0
    size: int = 0

    @property
    def version(self) -> int:
        return LARGE_VERSION if self.large else PLAIN_VERSION

    def head(self, time: int) -> bytes:
        extra = pack("<2H2Q", 1, 16, 0, 0) if self.large else b""
        size = ELSEWHERE if self.large else 0
        fields = (self.version, SIZES_FOLLOW, 0, time, 0, size, size, len(self.name), len(extra))
        return pack("<4s3H4L2H", b"PK\3\4", *fields) + self.name + extra

    def tail(self) -> bytes:
        form = "<4sL2Q" if self.large else "<4s3L"
        return pack(form, b"PK\7\10", self.checksum, self.size, self.size)

    def listing(self, time: int) -> bytes:
        """The entry's line in the directory."""
        far = self.start >= LARGE
        size, start = ELSEWHERE if self.large else self.size, ELSEWHERE if far else self.start
        numbers = [*([self.size, self.size] if self.large else []), *([self.start] if far else [])]
        extra = pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
        version = LARGE_VERSION if numbers else PLAIN_VERSION
        fields = (version, UNIX, version, SIZES_FOLLOW, 0, time, self.checksum, size, size, len(self.name), len(extra))
        return pack("<4s2B3H4L5H2L", b"PK\1\2", *fields, 0, 0, 0, REGULAR_FILE, start) + self.name + extra


class Archive:
    """`files` lists what has been written whole, in order."""

    def __init__(self, made_at: datetime) -> None:
        self._time = _dos_time(made_at.astimezone(BEIJING))
        self._end = 0
        self._entries: list[Entry] = []
        self.files: list[PackedFile] = []

    async def stream(self, path: str, byte_size: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Write a file as its bytes come; yields what is to be sent on. `byte_size` is what is expected."""
        entry, digest = self._begin(path, byte_size), hashlib.sha256()
        yield entry.head(self._time)
        async for chunk in chunks:

            def count(chunk: bytes = chunk) -> None:
                digest.update(chunk)
                entry.checksum = zlib.crc32(chunk, entry.checksum)

            await anyio.to_thread.run_sync(count)  # a mebibyte takes a millisecond or more
            entry.size += len(chunk)
            yield chunk
        yield self._finish(entry, digest.hexdigest())

    def add(self, path: str, body: bytes) -> bytes:
        """Write a small file; returns what is to be sent on."""
        entry = self._begin(path, len(body))
        entry.checksum, entry.size = zlib.crc32(body), len(body)
        return b"".join([entry.head(self._time), body, self._finish(entry, hashlib.sha256(body).hexdigest())])

    def end(self) -> bytes:
        """Write the directory."""
        directory = b"".join([entry.listing(self._time) for entry in self._entries])
        count, size, start, end = len(self._entries), len(directory), self._end, self._end + len(directory)
        large = b""
        if count > MAX_COUNT or size >= LARGE or start >= LARGE:
            versions = (LARGE_VERSION, LARGE_VERSION)
            large = pack("<4sQ2H2L4Q", b"PK\6\6", 44, *versions, 0, 0, count, count, size, start)
            large += pack("<4sLQL", b"PK\6\7", 0, end, 1)
        count, size, start = min(count, MAX_COUNT), min(size, ELSEWHERE), min(start, ELSEWHERE)
        return directory + large + pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, start, 0)

    def _begin(self, path: str, byte_size: int) -> Entry:
        return Entry(path.encode("ascii"), self._end, byte_size >= LARGE)

    def _finish(self, entry: Entry, sha256: str) -> bytes:
        tail = entry.tail()
        self._end += len(entry.head(self._time)) + entry.size + len(tail)
        self._entries.append(entry)
        self.files.append(PackedFile(entry.name.decode(), entry.size, sha256))
        return tail


def _dos_time(at: datetime) -> int:
    """Date and time as DOS wrote them, to two seconds."""
    date = (at.year - 1980) << 9 | at.month << 5 | at.day
    return date << 16 | at.hour << 11 | at.minute << 5 | at.second // 2
