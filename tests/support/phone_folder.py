"""Look into a phone's folder without the phone, and kill a phone between any two of its steps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schema.accounts.sessions import device_secret

SECRET = bytes(range(32))
LETTERS = device_secret("usr_1", "dev_1", SECRET)


def readable(folder: Path, *wanted: str | bytes) -> list[tuple[str, str | bytes]]:
    """Return pairs of file name and text, for each text that a file's name or content has in UTF-8 or UTF-16."""
    found: list[tuple[str, str | bytes]] = []
    for path in folder.rglob("*"):
        content = str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b"")
        for each in wanted:
            spelt = [each] if isinstance(each, bytes) else [each.encode(), each.encode("utf-16-le")]
            found += [(path.name, each) for one in spelt if one in content]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock" and not path.name.endswith("-shm")
    }


class Killed(BaseException):
    pass


@contextmanager
def dying_at(moment: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Raise `Killed` just before the step with this number. A step syncs, renames or removes a file.

    Steps are counted from 0.
    """
    left = moment
    with monkeypatch.context() as patched:

        def dying(real: Any) -> Any:
            def step(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                if left == 0:
                    raise Killed
                left -= 1
                return real(*arguments, **named)

            return step

        patched.setattr(os, "fsync", dying(os.fsync))
        patched.setattr(Path, "rename", dying(Path.rename))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        yield
