"""Tell whether the disks that hold the data have space left."""

import math
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
SHORTAGE_SECONDS = 60.0


@dataclass(frozen=True)
class FreeSpace:
    """The number of bytes that must stay free on the disk of each of `folders`. Without folders, no disk is ever full.

    The number is far above zero, because databases end when a write fails for lack of space.
    """

    folders: Sequence[Path]
    min_bytes: int

    def find_full(self) -> Path | None:
        """Return the first folder whose disk has too little space, or None."""
        return next((folder for folder in self.folders if self._is_full(folder)), None)

    @property
    def is_low(self) -> bool:
        return self.find_full() is not None

    def describe_full(self) -> str | None:
        """Return a clause for operators that names the full disk, or None if no disk is full."""
        folder = self.find_full()
        return f"the disk of {folder} has less than {self.min_bytes // MIB} MiB free" if folder else None

    def describe(self) -> str:
        """Return a sentence for operators that says how much space is left."""
        left = [f"{free // MIB} MiB free on the disk of {folder}" for folder in self.folders if (free := _free(folder))]
        return f"{', '.join(left)}." if left else "No data lies on this machine's disks."

    def _is_full(self, folder: Path) -> bool:
        free = _free(folder)
        return free is not None and free < self.min_bytes


class RecentShortage:
    """Remembers for `SHORTAGE_SECONDS` that a disk was full. `look` must be called about every second.

    If a program dies because a disk is full, the kernel frees what the program had open. So its disk may have space
    again as soon as it is dead.
    """

    def __init__(self, space: FreeSpace) -> None:
        self.space = space
        self._clause: str | None = None
        self._seen_at = -math.inf

    def look(self) -> str | None:
        """Return a clause that names a disk that is full or was full a moment ago, or None if all have space."""
        now = time.monotonic()
        if clause := self.space.describe_full():
            self._clause, self._seen_at = clause, now
        return self._clause if now - self._seen_at < SHORTAGE_SECONDS else None


def _free(folder: Path) -> int | None:
    """Return the free bytes on the folder's disk, or None if the folder does not exist."""
    with suppress(OSError):
        return shutil.disk_usage(folder).free
    return None
