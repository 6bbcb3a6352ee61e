"""Encrypt (wrap) a store's random key twice: with its user's password, and with the device secret.

The password opens the store offline.
The server gives the device secret at sign-in. The secret opens the store after the password was reset on the server.
`keys.json` holds both encrypted keys. It contains no names, so it reveals neither the owner nor the server.
"""

import base64
import binascii
import hmac
import json
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_bytes
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mobile_contract.phone.errors import DamagedStoreError, LockedError
from mobile_contract.phone.storage.database import KEY_BYTES
from mobile_contract.phone.storage.file_encryption import derive_key

VERSION = 1
MEMORY_KIB, PASSES = 64 * 1024, 3
"""Parameters of Argon2id: the values that RFC 9106 recommends for little memory, but with one lane."""
MAX_MEMORY_KIB, MAX_PASSES = 1024 * 1024, 64
_NONCE = 12


@dataclass(frozen=True)
class StoreKey:
    """The key of the store `store_id`. The keys of the store's database and files are derived from this key."""

    store_id: str
    raw: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> "StoreKey":
        """Parse a key that the property `text` returned. Raise `LockedError` if it is not such a text."""
        store_id, _, letters = text.strip().partition(".")
        try:
            raw = base64.b64decode(letters, altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if not store_id or len(raw) != KEY_BYTES:
            raise LockedError(
                'MINGCHA_PHONE_KEY is not a valid key. `eval "$(scripts/phone unlock)"` sets it.',
                "MINGCHA_PHONE_KEY 无效，请重新解锁。",
            )
        return cls(store_id, raw)

    @property
    def text(self) -> str:
        return f"{self.store_id}.{_encode(self.raw)}"

    @property
    def database(self) -> bytes:
        return derive_key(self.raw, "database")

    @property
    def originals(self) -> bytes:
        return derive_key(self.raw, "originals")

    @property
    def check(self) -> bytes:
        """Return a value that identifies the right key without revealing it."""
        return derive_key(self.raw, f"check {self.store_id}")


@dataclass(frozen=True)
class Lock:
    """The content of `keys.json`. `by_password` and `by_device` are the encrypted store key.

    `salt`, `memory_kib` and `passes` are the parameters of Argon2id, which derives a key from the password.
    `is_nobodys` means that the store has no owner: its items were taken before the first sign-in on this phone.
    """

    store_id: str
    check: bytes
    salt: bytes
    memory_kib: int
    passes: int
    by_password: bytes
    by_device: bytes | None
    is_nobodys: bool

    @classmethod
    def make(cls, key: StoreKey, password: str, *, is_nobodys: bool) -> "Lock":
        return cls(key.store_id, key.check, b"", 0, 0, b"", None, is_nobodys).with_password(key, password)

    @classmethod
    def read(cls, path: Path, store_id: str) -> "Lock":
        """Read `keys.json`. Raise `DamagedStoreError` if its content is invalid, or `OSError`."""
        try:
            values: dict[str, Any] = json.loads(path.read_bytes())
            password, device = values["password"], values["device"]
            lock = cls(
                store_id,
                _decode(values["check"]),
                _decode(password["salt"]),
                int(password["memoryKib"]),
                int(password["passes"]),
                _decode(password["wrapped"]),
                _decode(device["wrapped"]) if device else None,
                values["nobodys"] is True,
            )
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedStoreError(path) from error
        if values["version"] != VERSION or not (
            len(lock.salt) >= 8 and 8 <= lock.memory_kib <= MAX_MEMORY_KIB and 1 <= lock.passes <= MAX_PASSES
        ):
            raise DamagedStoreError(path)
        return lock

    @property
    def text(self) -> str:
        password = {
            "kdf": "argon2id",
            "salt": _encode(self.salt),
            "memoryKib": self.memory_kib,
            "passes": self.passes,
            "wrapped": _encode(self.by_password),
        }
        device = {"wrapped": _encode(self.by_device)} if self.by_device else None
        values = {"version": VERSION, "nobodys": self.is_nobodys, "check": _encode(self.check)}
        return json.dumps(values | {"password": password, "device": device}, indent=1)

    def admits(self, key: StoreKey) -> bool:
        return key.store_id == self.store_id and hmac.compare_digest(key.check, self.check)

    def unwrap_with_password(self, password: str) -> StoreKey | None:
        """Return the key, or None if the password is wrong."""
        stretched = _stretch(password, self.salt, self.memory_kib, self.passes)
        return self._unwrap(stretched, self.by_password, "password")

    def unwrap_with_device(self, secret: bytes) -> StoreKey | None:
        """Return the key. Return None if the secret belongs to another person or device.

        Return None also if no device secret wraps the key yet.
        """
        return self._unwrap(derive_key(secret, "device secret"), self.by_device, "device") if self.by_device else None

    def with_password(self, key: StoreKey, password: str) -> "Lock":
        """Return a lock that this password opens. Earlier passwords no longer open it."""
        salt = token_bytes(16)
        wrapped = self._wrap(_stretch(password, salt, MEMORY_KIB, PASSES), key, "password")
        return replace(self, salt=salt, memory_kib=MEMORY_KIB, passes=PASSES, by_password=wrapped)

    def with_device(self, key: StoreKey, secret: bytes) -> "Lock":
        return replace(self, by_device=self._wrap(derive_key(secret, "device secret"), key, "device"))

    def _wrap(self, by: bytes, key: StoreKey, what: str) -> bytes:
        nonce = token_bytes(_NONCE)
        return nonce + AESGCM(by).encrypt(nonce, key.raw, f"{what} {self.store_id}".encode())

    def _unwrap(self, by: bytes, wrapped: bytes, what: str) -> StoreKey | None:
        try:
            raw = AESGCM(by).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], f"{what} {self.store_id}".encode())
        except (InvalidTag, ValueError):
            return None
        return StoreKey(self.store_id, raw)


def _stretch(password: str, salt: bytes, memory_kib: int, passes: int) -> bytes:
    """Derive a key from a password.

    First normalise the password, as servers do, because keyboards compose the same character in different ways.
    """
    kdf = Argon2id(salt=salt, length=KEY_BYTES, iterations=passes, lanes=1, memory_cost=memory_kib)
    return kdf.derive(unicodedata.normalize("NFKC", password).encode(errors="surrogatepass"))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _decode(letters: str) -> bytes:
    return base64.b64decode(letters, altchars=b"-_", validate=True)
