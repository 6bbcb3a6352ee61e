"""Check chapter 6, receipts: the signature, and the digest of the sent draft."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from mobile_contract.kit.accounts import Party, new_draft
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import BrokenClauseError, require
from mobile_contract.phone.ids import new_id

KEYS = "/.well-known/evidence-keys.json"


@clause(
    "R1",
    "The receipt of an accepted observation is signed by a key that `/.well-known/evidence-keys.json` lists, and says id,"
    " digest of what was sent, and time.",
)
async def check_signature(party: Party) -> str:
    sent = await party.user.submit_accepted()
    receipt = sent["result"]["receipt"]
    published = await party.server.get_json(KEYS)
    try:
        head, body, tail = receipt["signed"].split(".")
        header, claims = json.loads(_decode(head)), json.loads(_decode(body))
        keys = {
            published_key["fingerprint"]: load_pem_public_key(published_key["publicKey"].encode())
            for published_key in published["keys"]
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BrokenClauseError(
            "receipt.signed", "a compact JWS and a list of keys", f"{receipt} {published}"
        ) from None
    key = keys.get(header.get("kid"))
    if not isinstance(key, Ed25519PublicKey):
        raise BrokenClauseError(f"GET {KEYS}", f"the Ed25519 key {header.get('kid')}", list(keys))
    try:
        key.verify(_decode(tail), f"{head}.{body}".encode())
    except InvalidSignature:
        raise BrokenClauseError("receipt.signed", "a signature by the key that it names", receipt["signed"]) from None
    told = {name: receipt[name] for name in ("observationId", "contentSha256", "receivedAt")}
    require(claims == told and claims["observationId"] == sent["id"], "receipt.signed", str(told), claims)
    return f"The published key {header['kid']} (Ed25519) signed it; id, digest and time are those of the receipt."


@clause("R2", "Its digest is that of the canonical JSON of the draft as the phone sent it.")
async def check_digest(party: Party) -> str:
    medium = {"id": new_id("med"), "sha256": "ab" * 32, "byteSize": 5, "contentType": "image/jpeg"}
    position = {"latitude": 25.82921, "longitude": 1e2, "accuracyMetres": 4.5}
    sent = new_draft(text='引号 " 与 \n 😀 é', position=position, media=[medium], staffSeen="三号", capturedAt=INSTANT)
    [result] = await party.user.submit(sent)
    counted = {**sent, "position": {**position, "datum": "WGS84", "isMock": False}, "capturedAt": _utc(INSTANT)}
    expected = hashlib.sha256(rfc8785.dumps(counted)).hexdigest()
    got: Any = (result["receipt"] or {}).get("contentSha256")
    require(got == expected, f"receipt.contentSha256 of {sent['id']}", expected, got)
    return f"SHA-256 of the canonical JSON (RFC 8785) is {expected[:16]}…, as the receipt says."


INSTANT = "2026-11-20T09:05:00.120+08:00"


def _utc(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.120Z")


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
