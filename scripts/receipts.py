"""Verify a signed receipt without server or network.

This needs only this file, `stored_zip.py`, the package `cryptography` and the public keys that the office publishes.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from scripts.stored_zip import BadZipError

TYPE, ALGORITHM = "mingcha-receipt+jws", "Ed25519"
CLAIMS = {"observationId", "contentSha256", "receivedAt"}


def verify_receipt(token: bytes, published: bytes) -> dict[str, str]:
    """Verify a receipt and return its claims. `published` is the content of `/.well-known/evidence-keys.json`.

    Raise `BadZipError` if the receipt or `published` is malformed, or if the signature does not fit.
    """
    try:
        head, body, tail = token.decode("ascii").strip().split(".")
        header, claims, signature = json.loads(_decode(head)), json.loads(_decode(body)), _decode(tail)
    except (ValueError, RecursionError):
        raise BadZipError("This is no receipt: three parts of base64url with dots between make one.") from None
    if not isinstance(header, dict) or (header.get("typ"), header.get("alg")) != (TYPE, ALGORITHM):
        raise BadZipError("This is no receipt of an observation.")
    try:
        _find_key(published, header.get("kid")).verify(signature, f"{head}.{body}".encode())
    except InvalidSignature:
        raise BadZipError("The signature does not fit: the receipt has been changed, or is made up.") from None
    if (
        not isinstance(claims, dict)
        or set(claims) != CLAIMS
        or not all(isinstance(claim, str) for claim in claims.values())
    ):
        raise BadZipError("The receipt does not say what a receipt says: get a newer verify.py.")
    return claims


def summary(claims: Mapping[str, str]) -> str:
    return "\n".join(
        [
            "The receipt holds.",
            f"The server had observation {claims['observationId']} at {claims['receivedAt']}.",
            f"SHA-256 of what was sent: {claims['contentSha256']}",
        ]
    )


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _find_key(published: bytes, fingerprint: Any) -> Ed25519PublicKey:
    try:
        for record in json.loads(published)["keys"]:
            key = load_pem_public_key(record["publicKey"].encode())
            der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            # Compute the fingerprint: what the document says about its own keys proves nothing.
            if isinstance(key, Ed25519PublicKey) and hashlib.sha256(der).hexdigest() == fingerprint:
                return key
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UnsupportedAlgorithm):
        raise BadZipError("The document of keys is not as an office publishes it.") from None
    raise BadZipError(f"The receipt is signed with a key that the office does not publish: {fingerprint}.")
