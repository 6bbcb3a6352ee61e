"""Manage the data folder of an installation: its lock, its secrets, and the ports of its embedded engines."""

import contextlib
import errno
import fcntl
import json
import os
import random
import secrets
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FREE_BYTES = 500 * 2**20
"""What the engines take in a new folder."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
PORTS = 11  # one for mongod, ten for the S3 engine
# Linux uses ports above this range for outgoing connections, so our ports stay free between two starts.
FIRST_PORT, LAST_PORT = 20_000, 32_000


class FolderInUseError(Exception):
    """Raised if another process has locked the folder. The message has that process's id and address."""


class FolderUnusableError(Exception):
    """Raised if the folder can't be created or written, or its disk is full. The message says why and what to do."""


class FolderFullError(FolderUnusableError):
    """Raised if the folder can't be written because its disk is full, although the folder was in use before."""


@dataclass(frozen=True)
class DataFolder:
    """The folder with all data of an installation. Only its owner can read the files in it."""

    root: Path

    @classmethod
    def open(cls, root: Path, *, min_free_bytes: int = 0, is_store: bool = True) -> "DataFolder":
        """Create the folder if missing. Raise `FolderUnusableError` if it can't be written or the disk is full.

        `min_free_bytes` must stay free beside what a new folder takes. With `is_store`, the engines keep their data in
        the folder. A folder that they have used before may have no space left: reading needs little.
        """
        folder = cls(root.absolute())
        root = folder.root
        try:
            for path in (root, root / "engines", root / "logs"):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(root / "engines" / "probe", "?")
            (root / "engines" / "probe").unlink()
            free = shutil.disk_usage(root).free
        except OSError as error:
            kind = FolderFullError if error.errno in FULL and not folder.is_new else FolderUnusableError
            raise kind(
                f"The data folder {root} can't be written ({error.strerror}). Make it writable, or name another with --data."
            ) from error
        needed = FREE_BYTES + min_free_bytes
        if is_store and folder.is_new and free < needed:
            raise FolderUnusableError(
                f"The disk of the data folder {root} is full: {free // 2**20} MB are free, and {needed // 2**20} MB "
                "are needed. Free some, or name a folder on another disk with --data."
            )
        return folder

    @property
    def is_new(self) -> bool:
        """Whether the database engine has never stored anything in the folder."""
        return not (self.root / "mongo").exists()

    def path(self, *parts: str) -> Path:
        """Return the path of a subfolder. Create it if it is missing."""
        path = self.root.joinpath(*parts)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def acquire_lock(self, *, wait_seconds: float = 10.0) -> int:
        """Lock the folder. Return the file descriptor of the lock.

        The lock lasts while any process has the descriptor open.

        Child processes that write to the folder inherit the descriptor. So if the process that took the lock is killed,
        the next process waits until the children have ended too. Raise `FolderInUseError` if the process that took the
        lock still lives, or if the lock is not free after `wait_seconds`.
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = _holder(descriptor)
                if _is_alive(holder.get("pid")) or time.monotonic() > deadline:
                    os.close(descriptor)
                    raise FolderInUseError(
                        f"Mingcha is already running on {self.root}: process {holder.get('pid', 'unknown')}, "
                        f"at {holder.get('address', 'an unknown address')}. Stop it, or name another --data."
                    ) from None
                time.sleep(0.05)
        self.write_holder(descriptor, "an address yet to be bound")
        return descriptor

    def write_holder(self, lock: int, address: str) -> None:
        """Write the id of this process and the address at which it serves into the lock file.

        If the disk is full, the file stays empty. It only informs people who try to use the folder too.
        """
        os.truncate(lock, 0)
        with contextlib.suppress(OSError):
            os.pwrite(lock, json.dumps({"pid": os.getpid(), "address": address}).encode(), 0)

    def secret(self, name: str) -> str:
        """Return the secret with this name: 192 random bits in hex. The first call creates and stores it."""
        path = self.root / "engines" / name
        with contextlib.suppress(FileNotFoundError):
            if secret := path.read_text().strip():
                return secret
        return write_private(path, secrets.token_hex(24))

    def ports(self, usable: Callable[[range], bool] = lambda _: True) -> range:
        """Return `PORTS` free ports on loopback for which `usable` returns true.

        They are the ports of the last start if these still satisfy both.
        """
        path = self.root / "engines" / "port"
        with contextlib.suppress(FileNotFoundError, ValueError):
            last_first = int(path.read_text())
            last = range(last_first, last_first + PORTS)
            if _are_free(last) and usable(last):
                return last
        while True:
            first = random.randrange(FIRST_PORT, LAST_PORT - PORTS)  # noqa: S311  no secret
            ports = range(first, first + PORTS)
            if _are_free(ports) and usable(ports):
                write_private(path, str(first))
                return ports


def _are_free(ports: range) -> bool:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the engines do
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _holder(descriptor: int) -> dict[str, object]:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:  # the other process has locked the folder, but has not written its id yet
        return {}
    return holder if isinstance(holder, dict) else {}


def _is_alive(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_private(path: Path, text: str) -> str:
    """Write a file that only its owner can read. The file is replaced atomically. Return `text`."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    return text
