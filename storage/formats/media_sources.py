"""Give the readers of a confined process a file that its parent opened, because it may open none by itself."""

import io
import os
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class MediaSource(Protocol):
    """What a reader reads: a `Path`, or a file that the parent process opened."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO: ...

    def read_bytes(self) -> bytes: ...


class InheritedFile:
    """A file behind a descriptor. Each `open` starts at the first byte, and reads independently of the others."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        return io.BufferedReader(_Reading(self._descriptor), 2**16)

    def read_bytes(self) -> bytes:
        with self.open("rb") as file:
            return file.read()


class _Reading(io.RawIOBase):
    """Reads at a position of its own. Closing it leaves the descriptor open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._position = descriptor, 0

    def fileno(self) -> int:
        return self._descriptor

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        position = offset + (os.fstat(self._descriptor).st_size if start is None else start)
        if position < 0:
            raise OSError(22, "a position before the first byte")
        self._position = position
        return position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        count = os.preadv(self._descriptor, [memoryview(buffer)], self._position)
        self._position += count
        return count

    def readall(self) -> bytes:
        rest = bytearray(max(os.fstat(self._descriptor).st_size - self._position, 0))
        read = self.readinto(rest)
        return bytes(memoryview(rest)[:read])
