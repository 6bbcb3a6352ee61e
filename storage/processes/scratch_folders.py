"""Workplaces: a folder for one process while it lives, and the end of those that killed processes left behind.

What is put there, which may be evidence, is the process' own affair.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def workplace(within: Path) -> Iterator[Path]:
    """A new folder below `within`, removed at the end; after SIGKILL, by the next process that wants one there.

    It is whose lock on it holds, so that processes side by side leave each other's alone.
    """
    within.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        with _locked(within):  # nobody sweeps between the making of a folder and its lock
            for left in within.iterdir():
                with contextlib.suppress(BlockingIOError), _locked(left, wait=False):
                    shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(dir=within))
            held.enter_context(_locked(folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Raise `BlockingIOError` where another holds it and `wait` is False."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
