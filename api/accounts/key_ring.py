"""Keep the signing keys and the server's secret in a folder that every API process reads.

The folder holds `1.pem`, `2.pem`, ... (Ed25519, PKCS #8) and `secret` (32 random bytes). The key with the highest
number signs. Every key in the folder verifies. Each purpose, such as list cursors, has its own secret, which is derived
from `secret`.

Only the owner can read the files. A file appears whole or not at all. So several processes can start at the same time
on an empty folder: all of them use the files that were written first.
"""

import contextlib
import hmac
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"
"""The name in RFC 9864 of EdDSA signatures over the curve Ed25519. The older and less precise name "EdDSA" is
deprecated."""
RECHECK_SECONDS = 1.0

_Stamp = tuple[int, int]
log = structlog.get_logger(__name__)


class BadKeyError(Exception):
    """The folder holds no usable key. The message says what to do."""


@dataclass(frozen=True)
class SigningKey:
    """A signing key.

    `replaced_at` is when the next key was made. It is None for the newest key, which signs.
    """

    number: int
    id: str
    key: OKPKey
    made_at: datetime
    replaced_at: datetime | None = None


class KeyRing:
    """The keys of one folder. If the folder has no key, the first one is made.

    The folder is read again when the last reading is more than a second old, and at once for an unknown key id.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic, has_secret: bool = True) -> None:
        """Raise `OSError` if the folder can't be used, `BadKeyError` if it has no usable key."""
        self._folder = folder
        self._clock = clock
        self._files: dict[int, _Stamp] = {}
        self._keys: dict[int, SigningKey] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._stamps():
            self._make(1)
        self._secret = self._load_secret() if has_secret else b""
        self._reload()
        if not self._keys:
            raise BadKeyError(
                f"The folder {folder} holds no usable signing key: move its .pem files away, or repair them."
            )

    @property
    def signing(self) -> SigningKey:
        """The newest key, which signs."""
        self._reload_if_stale()
        return self._keys[max(self._keys)]

    def find(self, id: str) -> OKPKey | None:
        """Return the key with this id, or None. A key that another process has just made is found, too."""
        self._reload_if_stale()
        if id not in self._by_id:
            self._reload()
        return self._by_id.get(id)

    def newest_first(self) -> list[SigningKey]:
        """Return all keys, the newest first."""
        self._reload()
        return [self._keys[number] for number in sorted(self._keys, reverse=True)]

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set (RFC 7517)."""
        return {"keys": [signing_key.key.as_dict(private=False) for signing_key in self.newest_first()]}

    @cached_property
    def cursor_secret(self) -> bytes:
        """The secret that seals the cursors of lists."""
        return self._derive("cursors")

    @cached_property
    def refresh_secret(self) -> bytes:
        """The secret that makes the tag in a refresh token. The tag proves that this server issued the token."""
        return self._derive("refresh tokens")

    @cached_property
    def devices_secret(self) -> bytes:
        """The secret from which the device secret of each phone is derived.

        A phone encrypts its local store with its device secret. If the secret of the server is lost, only the user's
        last password opens a phone's store.
        """
        return self._derive("devices")

    @cached_property
    def attempts_secret(self) -> bytes:
        """The secret that hides user names and addresses in the counters of failed sign-in attempts."""
        return self._derive("attempts")

    @cached_property
    def packs_secret(self) -> bytes:
        """The secret that seals the URLs of evidence packs."""
        return self._derive("packs")

    def rotate(self) -> SigningKey:
        """Make a new key. It signs from now on, in every process. The older keys still verify."""
        self._make(max(self._stamps()) + 1)
        self._reload()
        return self.signing

    def prune(self, *, replaced_before: datetime) -> list[SigningKey]:
        """Delete the keys that were replaced before `replaced_before`, and return them.

        From now on, signatures of these keys are refused.
        """
        old_keys = [key for key in self.newest_first() if key.replaced_at and key.replaced_at < replaced_before]
        for key in old_keys:
            (self._folder / f"{key.number}.pem").unlink(missing_ok=True)
        for file in self._folder.glob(".new-*"):  # left by a process that was killed while it made a file
            if datetime.fromtimestamp(file.stat().st_mtime, UTC) < replaced_before - timedelta(hours=1):
                file.unlink(missing_ok=True)
        self._reload()
        return old_keys

    def _reload_if_stale(self) -> None:
        if self._clock() - self._loaded_at > RECHECK_SECONDS:
            self._reload()

    def _reload(self) -> None:
        """Read new and changed key files and drop removed ones. If no usable key is left, keep the keys in use."""
        with contextlib.suppress(FileNotFoundError):
            stamps = self._stamps()
            if stamps != self._files:
                unchanged = {number for number, stamp in stamps.items() if self._files.get(number) == stamp}
                keys = [
                    self._keys[number] if number in unchanged & set(self._keys) else self._read(number)
                    for number in stamps
                ]
                self._files = stamps
                self._keys = _by_number([key for key in keys if key]) or self._keys
        self._by_id = {signing_key.id: signing_key.key for signing_key in self._keys.values()}
        self._loaded_at = self._clock()

    def _stamps(self) -> dict[int, _Stamp]:
        """Return the inode and the modification time of each key file, by key number.

        The modification time alone is too coarse on some file systems, so a new file could go unnoticed.
        """
        stamps = {}
        for entry in os.scandir(self._folder):
            stem, dot, ending = entry.name.partition(".")
            if ending == "pem" and dot and stem.isascii() and stem.isdigit():
                status = entry.stat()
                stamps[int(stem)] = (status.st_ino, status.st_mtime_ns)
        return stamps

    def _read(self, number: int) -> SigningKey | None:
        path = self._folder / f"{number}.pem"
        try:
            key = OKPKey.import_key(path.read_bytes(), {"use": "sig", "alg": ALGORITHM})
            made_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except FileNotFoundError:  # pruned since we looked
            return None
        except (JoseError, ValueError, TypeError):
            key = None
        if key is None or key.curve_name != "Ed25519" or not key.is_private:
            log.error("A key file holds no Ed25519 private key. It is ignored.", part=path.name)
            return None
        key.ensure_kid()
        return SigningKey(number, key.thumbprint(), key, made_at)

    def _make(self, number: int) -> None:
        self._write_once(f"{number}.pem", OKPKey.generate_key("Ed25519").as_pem(private=True))

    def _load_secret(self) -> bytes:
        path = self._folder / "secret"
        if not path.exists():
            self._write_once("secret", secrets.token_bytes(32))
        return path.read_bytes()

    def _write_once(self, name: str, content: bytes) -> None:
        """Create a complete file that only its owner can read. If the file exists already, leave it as it is."""
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=self._folder)  # mode 600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(temporary, self._folder / name)
        finally:
            Path(temporary).unlink()
        directory = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _derive(self, purpose: str) -> bytes:
        return hmac.digest(self._secret, purpose.encode(), "sha256")


def _by_number(keys: list[SigningKey]) -> dict[int, SigningKey]:
    """Return the keys by number. Set for each key the time when the next key replaced it."""
    keys = sorted(keys, key=lambda key: key.number)
    times = [key.made_at for key in keys[1:]]
    return {key.number: replace(key, replaced_at=replaced_at) for key, replaced_at in zip_longest(keys, times)}
