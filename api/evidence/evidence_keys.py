"""Sign evidence packs and receipts with keys of their own, separate from the keys of access tokens.

No evidence key is ever deleted, because a pack must stay verifiable for as long as anybody keeps it.
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
"""The folder of the evidence keys, inside the folder of the signing keys."""


@dataclass(frozen=True)
class EvidenceKey:
    """The public part of an evidence key.

    `public_pem` is the public key in PEM format (SubjectPublicKeyInfo). `fingerprint` is the SHA-256 of the same key in
    DER format, in hexadecimal.
    """

    number: int
    fingerprint: str
    public_pem: bytes
    made_at: datetime
    replaced_at: datetime | None


class EvidenceKeys:
    """The evidence keys in `FOLDER`, a subfolder of `keys_folder`. If there is no key yet, the first one is made."""

    def __init__(self, keys_folder: Path) -> None:
        """Raise `OSError` or `BadKeyError`, as `KeyRing` does."""
        self._ring = KeyRing(keys_folder / FOLDER, has_secret=False)

    def sign(self, message: bytes, key: EvidenceKey) -> bytes:
        """Sign a message with a key of this ring. Return the Ed25519 signature of 64 bytes."""
        signing_key = next(known for known in self._ring.newest_first() if known.number == key.number)
        private = signing_key.key.private_key
        if not isinstance(private, Ed25519PrivateKey):  # the ring takes no others
            raise TypeError("An evidence key is an Ed25519 key.")
        return private.sign(message)

    def token(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Return the claims as a compact JWS (RFC 7515) of type `kind`, signed by the newest key.

        `kid` is the fingerprint of the key. The same claims and key always give the same token: Ed25519 uses no
        randomness.
        """
        newest = self._ring.signing
        header = {"alg": ALGORITHM, "kid": _public_part(newest).fingerprint, "typ": kind}
        return jws.serialize_compact(header, rfc8785.dumps(dict(claims)), newest.key, algorithms=[ALGORITHM])

    @property
    def signing(self) -> EvidenceKey:
        """The newest key, which signs."""
        return _public_part(self._ring.signing)

    def newest_first(self) -> list[EvidenceKey]:
        return [_public_part(key) for key in self._ring.newest_first()]

    def rotate(self) -> EvidenceKey:
        """Make a new key. It signs from now on, in every process."""
        return _public_part(self._ring.rotate())

    def published(self) -> dict[str, Any]:
        """Return the public keys, newest first, so that outsiders can compare them with the key in a pack."""
        return {
            "keys": [
                {
                    "algorithm": "Ed25519",
                    "fingerprint": key.fingerprint,
                    "publicKey": key.public_pem.decode(),
                    "madeAt": print_instant(key.made_at),
                    "replacedAt": print_instant(key.replaced_at) if key.replaced_at else None,
                }
                for key in self.newest_first()
            ]
        }


def _public_part(key: SigningKey) -> EvidenceKey:
    return EvidenceKey(
        number=key.number,
        fingerprint=hashlib.sha256(key.key.as_der(private=False)).hexdigest(),
        public_pem=key.key.as_pem(private=False),
        made_at=key.made_at,
        replaced_at=key.replaced_at,
    )
