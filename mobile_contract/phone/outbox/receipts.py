"""Verify receipts (回执) with the server's published keys.

A receipt is the server's signed proof that it has an observation. Receipts stay when observations are deleted.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.storage.database import DatabaseRow

PATH = "/.well-known/evidence-keys.json"
TYPE, ALGORITHM = "mingcha-receipt+jws", "Ed25519"
MAX_BYTES = 1 << 20
_KEYS = "evidence_keys"
_SIGNED_CLAIMS = ("observationId", "contentSha256", "receivedAt")


@dataclass(frozen=True)
class StoredReceipt:
    """A receipt from the outbox. `said` is the receipt as the server sent it.

    `wrong` says why the receipt proves nothing. It is None if the receipt is valid or unsigned.
    """

    observation_id: str
    sequence: int
    said: dict[str, Any]
    wrong: str | None

    @property
    def is_signed(self) -> bool:
        return bool(self.said.get("signed"))

    @property
    def is_wrong(self) -> bool:
        return self.wrong is not None

    @property
    def holds(self) -> bool:
        return self.is_signed and not self.is_wrong

    def as_json(self) -> dict[str, Any]:
        return {"sequence": self.sequence, **self.said, "holds": self.holds, "wrong": self.wrong}


class BadReceiptError(Exception):
    """A receipt is invalid. The message says why."""


class Receipts:
    """The receipts of an outbox and the server's public keys. A known key is never replaced."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @property
    def keys(self) -> dict[str, str]:
        """Return the PEM keys by fingerprint."""
        keys: dict[str, str] = json.loads(self._outbox.get_fact(_KEYS) or "{}")
        return keys

    def pin(self, published: Mapping[str, Any]) -> None:
        """Store the published keys that are new. Skip keys whose fingerprint is wrong."""
        known = self.keys
        for key in published.get("keys") or ():
            if _fingerprint(str(key.get("publicKey"))) == key.get("fingerprint"):
                known.setdefault(key["fingerprint"], key["publicKey"])
        if known != self.keys:
            self._outbox.set_fact(_KEYS, json.dumps(known))

    def all(self) -> list[StoredReceipt]:
        """List the receipts by running number."""
        keys = self.keys
        return [_read_receipt(row, keys) for row in self._outbox.receipts()]

    def as_key_list(self) -> dict[str, Any]:
        """Return the stored keys in the server's format, for anyone who checks an exported receipt."""
        return {
            "keys": [
                {"algorithm": ALGORITHM, "fingerprint": fingerprint, "publicKey": pem}
                for fingerprint, pem in self.keys.items()
            ]
        }

    async def fetch_keys(self, client: httpx.AsyncClient, endpoint: str) -> None:
        """Fetch the published keys if the phone has none, or if a receipt names an unknown key. Ignore failures."""
        known = self.keys
        if known and not any(receipt.wrong == UNKNOWN for receipt in self.all()):
            return
        address = urlsplit(endpoint)
        try:
            answer = await client.get(f"{address.scheme}://{address.netloc}{PATH}", timeout=10)
            published = answer.json() if answer.is_success and len(answer.content) <= MAX_BYTES else None
        except (httpx.HTTPError, ValueError):
            return
        if isinstance(published, dict):
            self.pin(published)


UNKNOWN = "It is signed with a key that this phone doesn't know."


def _read_receipt(row: DatabaseRow, keys: Mapping[str, str]) -> StoredReceipt:
    receipt = json.loads(row["receipt"])
    draft = None if row["forgotten"] else json.loads(row["draft"])
    return StoredReceipt(row["id"], row["sequence"], receipt, _reason_invalid(row["id"], receipt, draft, keys))


def _reason_invalid(
    id: str, receipt: Mapping[str, Any], draft: dict[str, Any] | None, keys: Mapping[str, str]
) -> str | None:
    """Return why a receipt proves nothing, or None. `draft` is the sent draft, or None if the phone has deleted it."""
    if not receipt.get("signed"):
        return None
    try:
        claims = verify_jws(receipt["signed"], keys)
    except BadReceiptError as reason:
        return str(reason)
    if {name: receipt.get(name) for name in _SIGNED_CLAIMS} != claims:
        return "The signed values differ from the receipt."
    if claims["observationId"] != id:
        return "It belongs to another observation."
    if draft is not None and claims["contentSha256"] != digest_of(draft):
        return "It confirms other content than this phone sent."
    return None


def verify_jws(token: str, keys: Mapping[str, str]) -> dict[str, Any]:
    """Verify a compact JWS and return its claims. `keys` are PEM keys by fingerprint. Raise `BadReceiptError`."""
    try:
        head, body, tail = token.split(".")
        header, claims, signature = json.loads(_decode(head)), json.loads(_decode(body)), _decode(tail)
    except (ValueError, binascii.Error, RecursionError):
        raise BadReceiptError("It is not a receipt.") from None
    if not isinstance(header, dict) or (header.get("typ"), header.get("alg")) != (TYPE, ALGORITHM):
        raise BadReceiptError("It is not a receipt of an observation.")
    pem = keys.get(str(header.get("kid")))
    if pem is None:
        raise BadReceiptError(UNKNOWN)
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise BadReceiptError(UNKNOWN)
    try:
        key.verify(signature, f"{head}.{body}".encode())
    except InvalidSignature:
        raise BadReceiptError("Its signature is invalid.") from None
    return claims if isinstance(claims, dict) else {}


def digest_of(draft: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a sent draft's canonical JSON, in hexadecimal. docs/api.md describes this form."""
    content = {"text": "", "media": [], **draft}
    if draft.get("position"):
        content["position"] = {"datum": "WGS84", "isMock": False, **draft["position"]}
    return hashlib.sha256(rfc8785.dumps(_canonical(content))).hexdigest()


def _canonical(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(inner, key) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, str) and name.endswith("At"):
        at = datetime.fromisoformat(value).astimezone(UTC)
        return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
    return value


def _fingerprint(pem: str) -> str | None:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        return None
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
