"""Check chapter 6, receipts: the signature, and the digest of the sent draft."""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from mobile_contract.kit.accounts import Party, new_draft
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Rule, recent
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
    keys = await fetch_keys(party)
    header, claims = _read_signed(receipt)
    if header.get("kid") not in keys:
        raise BrokenClauseError(f"GET {KEYS}", f"the Ed25519 key {header.get('kid')}", list(keys))
    signed = receipt["signed"]
    require(is_signed(signed, keys), "receipt.signed", "a signature by the key that it names", signed)
    told = {name: receipt[name] for name in ("observationId", "contentSha256", "receivedAt")}
    require(claims == told and claims["observationId"] == sent["id"], "receipt.signed", str(told), claims)
    return f"The published key {header['kid']} (Ed25519) signed it; id, digest and time are those of the receipt."


@clause("R2", "Its digest is that of the canonical JSON of the draft as the phone sent it.")
async def check_digest(party: Party) -> str:
    medium = {"id": new_id("med"), "sha256": "ab" * 32, "byteSize": 5, "contentType": "image/jpeg"}
    position = {"latitude": 25.82921, "longitude": 1e2, "accuracyMetres": 4.5}
    sent = new_draft(text='引号 " 与 \n 😀 é', position=position, media=[medium], staffSeen="三号", capturedAt=INSTANT)
    [result] = await party.user.submit(sent)
    expected = digest_of(sent)
    got: Any = (result["receipt"] or {}).get("contentSha256")
    require(got == expected, f"receipt.contentSha256 of {sent['id']}", expected, got)
    return f"SHA-256 of the canonical JSON (RFC 8785) is {expected[:16]}…, as the receipt says."


INSTANT = "2026-11-20T09:05:00.120+08:00"


def digest_of(sent: dict[str, Any]) -> str:
    """Return the digest that the receipt of a draft must have: of its canonical JSON, with the defaults filled in."""
    counted = {"text": "", "media": []} | {name: value for name, value in sent.items() if value is not None}
    if "position" in counted:
        counted["position"] = {"datum": "WGS84", "isMock": False} | counted["position"]
    return hashlib.sha256(rfc8785.dumps(_with_utc_times(counted))).hexdigest()


async def fetch_keys(party: Party) -> dict[str, Ed25519PublicKey]:
    """Return the server's published evidence keys by fingerprint."""
    published = await party.server.get_json(KEYS)
    try:
        keys = {each["fingerprint"]: load_pem_public_key(each["publicKey"].encode()) for each in published["keys"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BrokenClauseError(f"GET {KEYS}", "a list of keys", f"{published}") from None
    return {name: key for name, key in keys.items() if isinstance(key, Ed25519PublicKey)}


def is_signed(signed: str, keys: Mapping[str, Ed25519PublicKey]) -> bool:
    """Return whether a compact JWS is signed by one of the keys."""
    try:
        head, body, tail = signed.split(".")
        keys[json.loads(_decode(head))["kid"]].verify(_decode(tail), f"{head}.{body}".encode())
    except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature):
        return False
    return True


def expect_receipt(sent: dict[str, Any], got: Any, keys: Mapping[str, Ed25519PublicKey]) -> dict[str, Any]:
    """Expect the receipt of this draft, received just now, and signed over what the receipt `got` says."""
    said = got if isinstance(got, dict) else {}
    told = {"observationId": sent["id"], "contentSha256": digest_of(sent), "receivedAt": said.get("receivedAt")}

    def holds(signed: Any) -> bool:
        return is_signed(signed, keys) and json.loads(_decode(signed.split(".")[1])) == told

    return told | {"receivedAt": recent(), "signed": Rule(f"a signature over {told}", holds)}


def _read_signed(receipt: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a receipt's JWS."""
    try:
        head, body, _ = receipt["signed"].split(".")
        return json.loads(_decode(head)), json.loads(_decode(body))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BrokenClauseError("receipt.signed", "a compact JWS", f"{receipt}") from None


def _with_utc_times(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _with_utc_times(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_utc_times(each) for each in value]
    if name not in {"capturedAt", "fixedAt"}:
        return value
    at = datetime.fromisoformat(value).astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
