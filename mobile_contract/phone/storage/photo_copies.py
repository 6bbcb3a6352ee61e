"""Keep the phone's own encrypted copies of photos, so that the outbox doesn't depend on the source files.

A copy is encrypted while it is written, and has a random file name. Unencrypted bytes are never written to disk.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from mobile_contract.phone.content_types import HEAD_BYTES, sniff
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.storage.file_encryption import BrokenFileError, seal, unseal
from mobile_contract.phone.storage.folder import sync_folder

READ_BYTES = 256 * 1024


class PhotoNotTakenError(Exception):
    """The phone doesn't accept this file. The message says why."""


class PhotoChangedError(Exception):
    """A copy on the phone is missing, unreadable or changed. The two messages (English, Chinese) say which."""

    def __init__(self, message: str, message_zh: str) -> None:
        super().__init__(message)
        self.message = message
        self.message_zh = message_zh


@dataclass(frozen=True)
class Original:
    """The phone's copy of a file. `id` is the medium's id, and digests are hexadecimal.

    `file` is the random file name of the copy, and `name` the name of the source file.
    """

    id: str
    file: str
    name: str
    sha256: str
    md5: str
    byte_size: int
    content_type: str


@dataclass(frozen=True)
class ByteRange:
    """One part of a file: its number from 1, its first byte, and its size."""

    number: int
    start: int
    byte_size: int


class Originals:
    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder = folder
        self._key = key
        folder.mkdir(mode=0o700, exist_ok=True)

    def path(self, file: str) -> Path:
        return self.folder / file

    def adopt(self, source: Path) -> Original:
        """Copy a file and hash the bytes that are written. The copy is on disk when this returns.

        A hard link would be cheaper, but its bytes would change if the source file changes.
        Raise `PhotoNotTakenError`, or `OSError` if the disk is full.
        """
        try:
            reader = source.open("rb")
        except OSError as error:
            raise PhotoNotTakenError(f"can't be read ({error.strerror})") from error
        with reader:
            head = reader.read(HEAD_BYTES)
            content_type = sniff(head)
            if content_type is None:
                raise PhotoNotTakenError(
                    "is not a photo, video, sound or document that a phone takes" if head else "is empty"
                )
            reader.seek(0)
            file = token_hex(16)
            sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0

            def chunks() -> Iterator[bytes]:
                nonlocal size
                while chunk := reader.read(READ_BYTES):
                    sha256.update(chunk)
                    md5.update(chunk)
                    size += len(chunk)
                    yield chunk

            self.write(file, chunks())
        return Original(new_id("med"), file, source.name, sha256.hexdigest(), md5.hexdigest(), size, content_type)

    def write(self, file: str, plain: Iterable[bytes]) -> None:
        """Encrypt `plain` into the new copy `file`. The copy is on disk when this returns."""
        with os.fdopen(os.open(self.path(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as writer:
            seal(self._key, file, plain, writer)
            writer.flush()
            os.fsync(writer.fileno())
        sync_folder(self.folder)

    def verify(self, file: str, sha256: str, spans: Sequence[ByteRange] = ()) -> dict[int, str]:
        """Hash a copy before it is sent. Return the SHA-256 of each span, keyed by the span's number.

        Raise `PhotoChangedError` if the whole copy doesn't have the digest `sha256`, or can't be read.
        """
        parts = {span.number: hashlib.sha256() for span in spans}
        whole = hashlib.sha256()
        try:
            for span in spans or [ByteRange(0, 0, 1 << 62)]:
                for chunk in self.read(file, span.start, span.byte_size):
                    whole.update(chunk)
                    if span.number in parts:
                        parts[span.number].update(chunk)
        except OSError as error:
            raise PhotoChangedError(
                f"The phone's own copy can't be read ({error.strerror}), so it can't be sent.",
                "手机中保存的文件无法读取，不能再上传。",
            ) from error
        if whole.hexdigest() != sha256:
            raise _changed_error()
        return {number: digest.hexdigest() for number, digest in parts.items()}

    def read(self, file: str, start: int, byte_size: int) -> Iterator[bytes]:
        """Read a range of a copy in chunks. Raise `PhotoChangedError` or `OSError`."""
        try:
            yield from unseal(self._key, self.path(file), start, byte_size)
        except BrokenFileError:
            raise _changed_error() from None

    def sweep(self, known: Collection[str]) -> None:
        """Remove all copies except `known`, the files that the outbox refers to.

        Other copies exist if the process was killed while it took files, or if the outbox has deleted their media.
        """
        for path in self.folder.iterdir():
            if path.name not in known:
                path.unlink()


def _changed_error() -> PhotoChangedError:
    return PhotoChangedError(
        "The phone's own copy was changed after it was taken. It is no longer evidence, so it isn't sent.",
        "手机中保存的文件在拍摄后被改动过，不再作为证据上传。",
    )
