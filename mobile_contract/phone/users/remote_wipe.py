"""Verify the server's orders to erase a person's data (远程清除).

The server proves an order with the device secret that it gave the phone at sign-in.
"""

import base64
import hmac

WIPED = "DEVICE_WIPED"
"""The refusal code of a token renewal if the device must erase the person's data."""


def secret_of(letters: str) -> bytes:
    """Decode a `deviceSecret`, which the server writes as Base64url without padding."""
    return base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))


def proof_of(device_secret: str, refresh_token: str) -> str:
    """Compute the proof of a genuine order to erase, in hexadecimal.

    `refresh_token` is the token with which the device asked for a renewal.
    """
    return hmac.digest(secret_of(device_secret), b"wipe " + refresh_token.encode(), "sha256").hex()


def is_order(code: str, proof: str | None, device_secret: str | None, refresh_token: str | None) -> bool:
    """Return whether the refusal of a token renewal is a genuine order to erase.

    Only a holder of the device secret can compute the proof. A proof is valid for one session only.
    """
    if code != WIPED or not proof or not device_secret or not refresh_token:
        return False
    return hmac.compare_digest(proof_of(device_secret, refresh_token).encode(), proof.encode())
