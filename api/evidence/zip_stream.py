"""Write a pack's ZIP as a stream, uncompressed. Each file's size and checksum stand before its bytes.

Programs that read a ZIP from front to back (Java's `ZipInputStream`, for one) can't read uncompressed files whose size
follows them. The ZIP format is written here and not by a library, so every Python version writes exactly the same bytes.
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
"""Sizes and offsets of this many bytes or more are written in 64 bits (ZIP64). Smaller ones are written in 32 bits,
which every ZIP program can read."""
MAX_COUNT = 2**16 - 1
"""The largest number of files that is written in 16 bits. A larger number is written in 64 bits."""
ELSEWHERE = 2**32 - 1
"""Placeholder in a 32-bit field. The true number is in a 64-bit field."""
PLAIN_VERSION, LARGE_VERSION = 20, 45
"""Versions of the ZIP format that a program needs to read an entry, without and with 64-bit numbers."""
UNIX = 3
REGULAR_FILE = 0o100644 << 16


class ChangedFileError(Exception):
    """The bytes of a file are not those whose size and checksum were written before them."""


@dataclass(frozen=True)
class Entry:
    """One file in the ZIP. `start` is the offset of its head. `checksum` is the CRC-32."""

    name: bytes
    start: int
    size: int
    checksum: int

    @property
    def large(self) -> bool:
        """Return whether the sizes of the file are written in 64 bits."""
        return self.size >= LARGE

    def head(self, time: int) -> bytes:
        extra = pack("<2H2Q", 1, 16, self.size, self.size) if self.large else b""
        size, version = (ELSEWHERE, LARGE_VERSION) if self.large else (self.size, PLAIN_VERSION)
        fields = (version, 0, 0, time, self.checksum, size, size, len(self.name), len(extra))
        return pack("<4s3H4L2H", b"PK\3\4", *fields) + self.name + extra

    def listing(self, time: int) -> bytes:
        """Return the entry's record in the central directory."""
        is_far = self.start >= LARGE
        size, start = ELSEWHERE if self.large else self.size, ELSEWHERE if is_far else self.start
        numbers = [*([self.size, self.size] if self.large else []), *([self.start] if is_far else [])]
        extra = pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
        version = LARGE_VERSION if numbers else PLAIN_VERSION
        fields = (version, UNIX, version, 0, 0, time, self.checksum, size, size, len(self.name), len(extra))
        return pack("<4s2B3H4L5H2L", b"PK\1\2", *fields, 0, 0, 0, REGULAR_FILE, start) + self.name + extra


class Archive:
    """A ZIP that is being written. Each method returns or yields the next bytes of the ZIP.

    `files` lists the files that have been written completely, in order.
    """

    def __init__(self, made_at: datetime) -> None:
        self._time = _dos_time(made_at.astimezone(BEIJING))
        self._end = 0
        self._entries: list[Entry] = []
        self.files: list[PackedFile] = []

    async def stream(
        self, path: str, byte_size: int, checksum: int, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """Write a file as its bytes arrive, and yield the bytes of the ZIP.

        Raise `ChangedFileError` if the bytes don't have this size and CRC-32. The ZIP is then broken.
        """
        entry, digest, sums = self._begin(path, byte_size, checksum), hashlib.sha256(), Checksum()
        yield entry.head(self._time)
        async for chunk in chunks:

            def count(chunk: bytes = chunk) -> None:
                digest.update(chunk)
                sums.add(chunk)

            await anyio.to_thread.run_sync(count)  # a mebibyte takes a millisecond or more
            if sums.byte_size > byte_size:
                break
            yield chunk
        if (sums.byte_size, sums.crc32) != (byte_size, checksum):
            raise ChangedFileError(path)
        self._finish(entry, digest.hexdigest())

    def add(self, path: str, body: bytes) -> bytes:
        """Write a file that lies in memory, and return the bytes of the ZIP."""
        entry = self._begin(path, len(body), zlib.crc32(body))
        self._finish(entry, hashlib.sha256(body).hexdigest())
        return entry.head(self._time) + body

    def end(self) -> bytes:
        """Return the central directory, which ends the ZIP."""
        directory = b"".join([entry.listing(self._time) for entry in self._entries])
        count, size, start, end = len(self._entries), len(directory), self._end, self._end + len(directory)
        large = b""
        if count > MAX_COUNT or size >= LARGE or start >= LARGE:
            versions = (LARGE_VERSION, LARGE_VERSION)
            large = pack("<4sQ2H2L4Q", b"PK\6\6", 44, *versions, 0, 0, count, count, size, start)
            large += pack("<4sLQL", b"PK\6\7", 0, end, 1)
        count, size, start = min(count, MAX_COUNT), min(size, ELSEWHERE), min(start, ELSEWHERE)
        return directory + large + pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, start, 0)

    def _begin(self, path: str, byte_size: int, checksum: int) -> Entry:
        return Entry(path.encode("ascii"), self._end, byte_size, checksum)

    def _finish(self, entry: Entry, sha256: str) -> None:
        self._end += len(entry.head(self._time)) + entry.size
        self._entries.append(entry)
        self.files.append(PackedFile(entry.name.decode(), entry.size, sha256))


@dataclass
class Checksum:
    """The size and the CRC-32 of bytes that arrive in chunks."""

    byte_size: int = 0
    crc32: int = 0

    def add(self, chunk: bytes) -> None:
        self.byte_size += len(chunk)
        self.crc32 = zlib.crc32(chunk, self.crc32)


def _dos_time(at: datetime) -> int:
    """Return the date and time in the DOS format, which is accurate to two seconds."""
    date = (at.year - 1980) << 9 | at.month << 5 | at.day
    return date << 16 | at.hour << 11 | at.minute << 5 | at.second // 2
