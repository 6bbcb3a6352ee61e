"""Verify orders to erase (远程清除) with the secret that the server gave to the person's device."""

import base64
import hmac

WIPED = "DEVICE_WIPED"
"""The refusal code of a renewal on a device that must erase the person's data."""


def secret_of(letters: str) -> bytes:
    """Decode a `deviceSecret` as the server writes it."""
    return base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))


def proof_of(device_secret: str, refresh_token: str) -> str:
    """Return the proof of an order for the device that showed `refresh_token`, in hexadecimal."""
    return hmac.digest(secret_of(device_secret), b"wipe " + refresh_token.encode(), "sha256").hex()


def is_order(code: str, proof: str | None, device_secret: str | None, refresh_token: str | None) -> bool:
    """Return whether a refused renewal is a genuine order. Its proof needs the secret, and fits only this session."""
    if code != WIPED or not proof or not device_secret or not refresh_token:
        return False
    return hmac.compare_digest(proof_of(device_secret, refresh_token).encode(), proof.encode())
