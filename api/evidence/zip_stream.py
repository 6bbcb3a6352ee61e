"""A pack's ZIP, written while it is read: stored, in one pass, with no more in memory than what has not been taken yet.

What goes into it is left to `packs.py`.
"""

import hashlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import anyio.to_thread

from schema.evidence.packs import PackedFile

BEIJING = timezone(timedelta(hours=8))
LARGE = 2**31
"""Entries from here on get sizes of 64 bits; smaller ones can be read by every ZIP program."""


class _Sink:
    """Where `ZipFile` writes to: it can't be gone back in, so sizes and checksums follow what they are of."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Everything is taken anyway."""

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> bytes:
        written, self._written = self._written, []
        return b"".join(written)


class Archive:
    """`files` lists what has been written whole, in order."""

    def __init__(self, made_at: datetime) -> None:
        self._sink = _Sink()
        self._zip = ZipFile(self._sink, "w", ZIP_STORED)
        self._time = made_at.astimezone(BEIJING).timetuple()[:6]
        self.files: list[PackedFile] = []

    async def stream(self, path: str, byte_size: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Write a file as its bytes come; yields what is to be sent on. `byte_size` is what is expected."""
        digest, size = hashlib.sha256(), 0
        with self._zip.open(self._named(path), "w", force_zip64=byte_size >= LARGE) as entry:
            async for chunk in chunks:

                def write(chunk: bytes = chunk) -> None:
                    digest.update(chunk)
                    entry.write(chunk)

                await anyio.to_thread.run_sync(write)  # a mebibyte takes a millisecond or more
                size += len(chunk)
                yield self._sink.take()
        self.files.append(PackedFile(path, size, digest.hexdigest()))
        yield self._sink.take()

    def add(self, path: str, body: bytes) -> bytes:
        """Write a small file; returns what is to be sent on."""
        self._zip.writestr(self._named(path), body)
        self.files.append(PackedFile(path, len(body), hashlib.sha256(body).hexdigest()))
        return self._sink.take()

    def end(self) -> bytes:
        """Write the directory."""
        self._zip.close()
        return self._sink.take()

    def _named(self, path: str) -> ZipInfo:
        info = ZipInfo(path, self._time)
        info.create_system = 3
        info.external_attr = 0o100644 << 16
        return info
