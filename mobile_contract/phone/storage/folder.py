"""Open and lock the phone's folder: only its owner can read it, and only one process changes it at a time.

device.json   the device's id, the same for all its users
current       the id of the store that commands use if they select no user
users/<id>/   the store of one user: keys.json, outbox.sqlite, originals/; the contents are encrypted, and the random id
              hides the owner
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

from mobile_contract.phone.errors import InUseError, UsageError


@dataclass(frozen=True)
class Folder:
    """The phone's folder. Only the operating-system user who owns the folder can read it."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> "Folder":
        """Create the folder if it is missing. Raise `UsageError` if it can't be written."""
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root.chmod(0o700)
        except OSError as error:
            raise UsageError(
                f"The phone's folder {root} can't be used ({error.strerror}): name another with --folder.",
                f"手机目录 {root} 无法使用，请用 --folder 指定其他目录。",
            ) from error
        return cls(root.absolute())

    @property
    def device(self) -> Path:
        return self.root / "device.json"

    @property
    def current(self) -> Path:
        return self.root / "current"

    @property
    def users(self) -> Path:
        return self.root / "users"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder until the `with` block ends. The lock also ends if the process is killed.

        Raise `InUseError` if another process has locked the folder.
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 20, 0).decode().strip() or "unknown"
                raise InUseError(
                    f"Another phone process ({holder}) is using {self.root}. Wait until it ends, "
                    "or name another --folder. `status` works meanwhile.",
                    f"另一个手机进程（{holder}）正在使用此目录，请等它结束，或用 --folder 指定其他目录。",
                ) from None
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all or nothing. The file is on disk when this returns."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flush a folder to disk, so that created and removed files stay so after a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def erase(path: Path) -> None:
    """Overwrite a file with random bytes on disk, then remove it. Flash storage may still hold the old bytes."""
    try:
        path.chmod(0o600)
        with path.open("r+b") as file:
            left = os.fstat(file.fileno()).st_size
            while left > 0:
                left -= file.write(token_bytes(min(left, 1 << 20)))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return
