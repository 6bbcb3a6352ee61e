"""The data folder: who holds it, its secrets, and the ports its engines had last.

What the engines keep inside it is their own affair.
"""

import contextlib
import fcntl
import json
import os
import random
import secrets
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

FREE_BYTES = 500 * 2**20
PORTS = 11  # one for mongod, ten for the S3 engine
# Below the range from which Linux takes the ports of outgoing connections, so that they stay ours between two starts.
FIRST_PORT, LAST_PORT = 20_000, 32_000


class FolderInUseError(Exception):
    """Another process holds the folder; the text says which, and where it serves."""


class FolderUnusableError(Exception):
    """The folder can't be made or written; the text says why and what to do."""


@dataclass(frozen=True)
class DataFolder:
    """A folder of ours: everything in it is for its owner only."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> "DataFolder":
        """Make the folder where it is missing. Raise `FolderUnusableError` where it can't be written."""
        root = root.absolute()
        try:
            for path in (root, root / "engines", root / "logs"):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(root / "engines" / "probe", "?")
            (root / "engines" / "probe").unlink()
            free = shutil.disk_usage(root).free
        except OSError as error:
            raise FolderUnusableError(
                f"The data folder {root} can't be written ({error.strerror}): free it, or name another with --data."
            ) from error
        if free < FREE_BYTES:
            raise FolderUnusableError(
                f"The disk of the data folder {root} is full: {free // 2**20} MB are free, and {FREE_BYTES // 2**20} MB "
                "are needed. Free some, or name a folder on another disk with --data."
            )
        return cls(root)

    @property
    def is_new(self) -> bool:
        """Whether no engine has kept anything in it yet."""
        return not (self.root / "mongo").exists()

    def path(self, *parts: str) -> Path:
        """A folder inside, made where it is missing."""
        path = self.root.joinpath(*parts)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def hold(self, *, wait_seconds: float = 10.0) -> int:
        """Hold the folder and return the descriptor that does so, as long as any process has it open.

        Children that write here inherit it: when a holder was killed, its successor waits until they are gone too.
        Raise `FolderInUseError` where the holder lives.
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = _holder(descriptor)
                if _lives(holder.get("pid")) or time.monotonic() > deadline:
                    os.close(descriptor)
                    raise FolderInUseError(
                        f"Mingcha is already running on {self.root}: process {holder.get('pid', 'unknown')}, "
                        f"at {holder.get('address', 'an unknown address')}. Stop it, or name another --data."
                    ) from None
                time.sleep(0.05)
        self.sign(descriptor, "an address yet to be bound")
        return descriptor

    def sign(self, lock: int, address: str) -> None:
        """Leave word of who holds the folder and where it serves."""
        os.truncate(lock, 0)
        os.pwrite(lock, json.dumps({"pid": os.getpid(), "address": address}).encode(), 0)

    def secret(self, name: str) -> str:
        """The secret of that name: 192 random bits in hex, made at the first call and kept."""
        path = self.root / "engines" / name
        with contextlib.suppress(FileNotFoundError):
            if kept := path.read_text().strip():
                return kept
        return write_private(path, secrets.token_hex(24))

    def ports(self) -> range:
        """`PORTS` free ports on loopback: those of the last start, or other ones where they are taken."""
        path = self.root / "engines" / "port"
        with contextlib.suppress(FileNotFoundError, ValueError):
            kept = int(path.read_text())
            if _free(kept):
                return range(kept, kept + PORTS)
        while True:
            first = random.randrange(FIRST_PORT, LAST_PORT - PORTS)  # noqa: S311  no secret
            if _free(first):
                write_private(path, str(first))
                return range(first, first + PORTS)


def _free(first: int) -> bool:
    for port in range(first, first + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the engines do
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _holder(descriptor: int) -> dict[str, object]:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:  # it holds the folder, and hasn't written its name yet
        return {}
    return found if isinstance(found, dict) else {}


def _lives(pid: object) -> bool:
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
    """Whole or not at all, for the owner only."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    return text
