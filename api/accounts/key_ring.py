"""Keys: the ring of signing keys and the server's secret, in a folder that every API process reads.

What is signed with them is left to `tokens.py`; who rotates them, to `scripts/keys`.

The folder holds `1.pem`, `2.pem`, ... (Ed25519, PKCS #8; the highest number signs, all verify) and `secret` (32 random
bytes, from which each purpose derives its own key). Files are for their owner only and appear whole or not at all, so
that any number of processes may start at once on an empty folder: the first one's files count.
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
"""The name that RFC 9864 gives to EdDSA over this curve; "EdDSA" itself, which says less, is deprecated."""
RECHECK_SECONDS = 1.0

_Stamp = tuple[int, int]
log = structlog.get_logger(__name__)


class BadKeyError(Exception):
    """The folder holds no usable key; the text says what to do."""


@dataclass(frozen=True)
class SigningKey:
    """`replaced_at` is when the next number was made, None for the one that signs."""

    number: int
    id: str
    key: OKPKey
    made_at: datetime
    replaced_at: datetime | None = None


class KeyRing:
    """The keys of one folder, made where there are none; looked at again every second, and for an unknown id at once."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic, has_secret: bool = True) -> None:
        """Raise `OSError` for a folder that can't be used, `BadKeyError` for one without a usable key."""
        self._folder = folder
        self._clock = clock
        self._files: dict[int, _Stamp] = {}
        self._keys: dict[int, SigningKey] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._stamps():
            self._make(1)
        self._secret = self._own_secret() if has_secret else b""
        self._look()
        if not self._keys:
            raise BadKeyError(
                f"The folder {folder} holds no usable signing key: move its .pem files away, or mend them."
            )

    @property
    def signing(self) -> SigningKey:
        """The newest key."""
        self._look_again()
        return self._keys[max(self._keys)]

    def find(self, id: str) -> OKPKey | None:
        """The key of that id, even where another process made it a moment ago and has signed with it already."""
        self._look_again()
        if id not in self._by_id:
            self._look()
        return self._by_id.get(id)

    def newest_first(self) -> list[SigningKey]:
        """All there are."""
        self._look()
        return [self._keys[number] for number in sorted(self._keys, reverse=True)]

    def jwks(self) -> dict[str, Any]:
        """The public halves as a JSON Web Key Set (RFC 7517)."""
        return {"keys": [each.key.as_dict(private=False) for each in self.newest_first()]}

    @cached_property
    def cursor_secret(self) -> bytes:
        """Signs the cursors of lists."""
        return self._derived("cursors")

    @cached_property
    def refresh_secret(self) -> bytes:
        """Tags refresh tokens as given out by this server."""
        return self._derived("refresh tokens")

    @cached_property
    def devices_secret(self) -> bytes:
        """Makes what phones lock their stores with: lost, a phone's store is opened by its user's last password alone."""
        return self._derived("devices")

    @cached_property
    def attempts_secret(self) -> bytes:
        """Hides user names and addresses in the counters of failed attempts."""
        return self._derived("attempts")

    @cached_property
    def packs_secret(self) -> bytes:
        """Signs the addresses of evidence packs."""
        return self._derived("packs")

    def rotate(self) -> SigningKey:
        """Make a new key, which signs from now on in every process; the others go on verifying."""
        self._make(max(self._stamps()) + 1)
        self._look()
        return self.signing

    def prune(self, *, replaced_before: datetime) -> list[SigningKey]:
        """Remove the keys that had been replaced by then; what they signed is refused from now on."""
        gone = [each for each in self.newest_first() if each.replaced_at and each.replaced_at < replaced_before]
        for each in gone:
            (self._folder / f"{each.number}.pem").unlink(missing_ok=True)
        for left in self._folder.glob(".new-*"):  # by a process that was killed while it made a file
            if datetime.fromtimestamp(left.stat().st_mtime, UTC) < replaced_before - timedelta(hours=1):
                left.unlink(missing_ok=True)
        self._look()
        return gone

    def _look_again(self) -> None:
        if self._clock() - self._looked_at > RECHECK_SECONDS:
            self._look()

    def _look(self) -> None:
        """Read what is new or other in the folder and forget what is gone; keys in use outlive a folder that is empty."""
        with contextlib.suppress(FileNotFoundError):
            stamps = self._stamps()
            if stamps != self._files:
                same = {number for number, stamp in stamps.items() if self._files.get(number) == stamp}
                read = [
                    self._keys[number] if number in same & set(self._keys) else self._read(number) for number in stamps
                ]
                self._files = stamps
                self._keys = _succeeding([each for each in read if each]) or self._keys
        self._by_id = {each.id: each.key for each in self._keys.values()}
        self._looked_at = self._clock()

    def _stamps(self) -> dict[int, _Stamp]:
        """The key files by number: times alone can be too coarse to tell one file from the next."""
        found = {}
        for entry in os.scandir(self._folder):
            stem, dot, ending = entry.name.partition(".")
            if ending == "pem" and dot and stem.isascii() and stem.isdigit():
                status = entry.stat()
                found[int(stem)] = (status.st_ino, status.st_mtime_ns)
        return found

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
            log.error("A key file holds no Ed25519 private key; it is left out.", part=path.name)
            return None
        key.ensure_kid()
        return SigningKey(number, key.thumbprint(), key, made_at)

    def _make(self, number: int) -> None:
        self._place(f"{number}.pem", OKPKey.generate_key("Ed25519").as_pem(private=True))

    def _own_secret(self) -> bytes:
        path = self._folder / "secret"
        if not path.exists():
            self._place("secret", secrets.token_bytes(32))
        return path.read_bytes()

    def _place(self, name: str, content: bytes) -> None:
        """Put a whole file there at once, for its owner only; nothing where another process was first."""
        descriptor, made = tempfile.mkstemp(prefix=".new-", dir=self._folder)  # mode 600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(made, self._folder / name)
        finally:
            Path(made).unlink()
        directory = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self._secret, purpose.encode(), "sha256")


def _succeeding(keys: list[SigningKey]) -> dict[int, SigningKey]:
    """Keys by number, each with the time at which the next one replaced it."""
    keys = sorted(keys, key=lambda each: each.number)
    times = [each.made_at for each in keys[1:]]
    return {each.number: replace(each, replaced_at=replaced_at) for each, replaced_at in zip_longest(keys, times)}
