"""Give a process a scratch folder while it lives, and remove the scratch folders that killed processes left.

They must be removed because they may contain evidence.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  its folders have an owner, and `own_memory_folder` checks it


def own_memory_folder() -> Path:
    """Return this user's folder in shared memory, which is no disk. Raise `OSError` if the machine offers none."""
    folder = SHARED_MEMORY / f"mingcha-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    return folder


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Create a folder below `parent` for the block, and remove it at the end.

    If this process is killed, the next process that calls this function for `parent` removes the folder. Each process
    locks its folder, so that no other process removes it.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as locks:
        with _lock(parent):  # otherwise another process could remove a new folder before it is locked
            for folder in parent.iterdir():
                with contextlib.suppress(BlockingIOError), _lock(folder, wait=False):
                    shutil.rmtree(folder, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(dir=parent))
            locks.enter_context(_lock(folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _lock(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Lock the folder during the block. If it is locked and `wait` is False, raise `BlockingIOError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
