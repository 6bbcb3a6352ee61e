"""Provide a really small disk: a file system in memory, in a mount namespace of its own."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MIB = 2**20


class SmallDisk:
    """A folder with a small file system that only processes see which `prefix` starts.

    `holder` is the process that keeps the file system. `view` is the folder as this process can reach it.
    """

    def __init__(self, folder: Path, holder: "subprocess.Popen[str]", *options: str) -> None:
        self.folder = folder
        self.prefix = ("nsenter", f"--target={holder.pid}", "--mount", *options)
        self.view = Path(f"/proc/{holder.pid}/root{folder}")

    @property
    def _filler(self) -> Path:
        return self.view / "filler"

    def free(self) -> int:
        left = os.statvfs(self.view)
        return left.f_bavail * left.f_frsize

    def fill(self, left: int = 0) -> None:
        """Fill the disk until only `left` bytes are free."""
        with self._filler.open("ab") as filler:
            while (free := self.free()) > left:
                with contextlib.suppress(OSError):  # others may have taken the space meanwhile
                    os.posix_fallocate(filler.fileno(), os.fstat(filler.fileno()).st_size, free - left)

    def clear(self) -> None:
        self._filler.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a disk of `size` bytes at `folder`.

    Skip the test on a machine where this user may not mount anything, not even in a user namespace. CI has no such
    machine: `.ci/run` ends there.
    """
    folder.mkdir()
    mount = 'mount -t tmpfs -o "size=$1,mode=0700" small "$2" && echo mounted && exec cat'
    for spaces, options in (
        (("--mount",), ()),
        (("--user", "--map-root-user", "--mount"), ("--user", "--preserve-credentials")),
    ):
        command = ["unshare", *spaces, "sh", "-c", mount, "sh", str(size), str(folder)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as holder:
            assert holder.stdout
            if holder.stdout.readline() == "mounted\n":
                yield SmallDisk(folder, holder, *options)
                assert holder.stdin
                holder.stdin.close()
                return
    pytest.skip("this user may not mount anything, not even in a user namespace")
