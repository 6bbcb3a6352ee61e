"""Evidence keys: the ring that signs manifests of evidence packs and receipts, apart from the keys of access tokens.

How a ring keeps its keys is left to `keys.py`. None is ever pruned: a pack must verify for as long as it is kept.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws

from api.accounts.key_ring import ALGORITHM, KeyRing, SigningKey
from schema.core.times import print_instant

FOLDER = "evidence"
"""Within the folder of keys."""


@dataclass(frozen=True)
class EvidenceKey:
    """`public_pem` is a SubjectPublicKeyInfo; `fingerprint` the SHA-256 of its DER form, in hexadecimal."""

    number: int
    fingerprint: str
    public_pem: bytes
    made_at: datetime
    replaced_at: datetime | None


class EvidenceKeys:
    """The keys below one folder of keys, the first of them made where there is none."""

    def __init__(self, keys_folder: Path) -> None:
        """Raise `OSError` or `BadKey`, as `KeyRing` does."""
        self._ring = KeyRing(keys_folder / FOLDER, has_secret=False)

    def sign(self, message: bytes, key: EvidenceKey) -> bytes:
        """Return 64 bytes, by the key of that number."""
        found = next(each for each in self._ring.newest_first() if each.number == key.number)
        private = found.key.private_key
        if not isinstance(private, Ed25519PrivateKey):  # the ring takes no others
            raise TypeError("An evidence key is an Ed25519 key.")
        return private.sign(message)

    def token(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Claims as a compact JWS (RFC 7515) of type `kind` by the newest key, whose fingerprint is its `kid`.

        The same claims give the same token as long as the key is the same: Ed25519 draws nothing by chance.
        """
        newest = self._ring.signing
        header = {"alg": ALGORITHM, "kid": _shown(newest).fingerprint, "typ": kind}
        return jws.serialize_compact(header, rfc8785.dumps(dict(claims)), newest.key, algorithms=[ALGORITHM])

    @property
    def signing(self) -> EvidenceKey:
        """The newest."""
        return _shown(self._ring.signing)

    def newest_first(self) -> list[EvidenceKey]:
        return [_shown(each) for each in self._ring.newest_first()]

    def rotate(self) -> EvidenceKey:
        """Make a new key, which signs from now on in every process."""
        return _shown(self._ring.rotate())

    def published(self) -> dict[str, Any]:
        """What outsiders compare a pack's key with, the newest first."""
        return {
            "keys": [
                {
                    "algorithm": "Ed25519",
                    "fingerprint": each.fingerprint,
                    "publicKey": each.public_pem.decode(),
                    "madeAt": print_instant(each.made_at),
                    "replacedAt": print_instant(each.replaced_at) if each.replaced_at else None,
                }
                for each in self.newest_first()
            ]
        }


def _shown(key: SigningKey) -> EvidenceKey:
    return EvidenceKey(
        number=key.number,
        fingerprint=hashlib.sha256(key.key.as_der(private=False)).hexdigest(),
        public_pem=key.key.as_pem(private=False),
        made_at=key.made_at,
        replaced_at=key.replaced_at,
    )
