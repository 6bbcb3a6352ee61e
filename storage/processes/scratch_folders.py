"""Give a process a scratch folder while it lives, and remove the folders that killed processes left.

A scratch folder may hold evidence.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder below `parent` and remove it at the end. After SIGKILL, the next process here removes it.

    The folder belongs to the process that holds its lock; others leave it alone.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as locks:
        with _lock(parent):  # nobody sweeps between the making of a folder and its lock
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
    """Lock the folder. Raise `BlockingIOError` if another process holds it and `wait` is False."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
