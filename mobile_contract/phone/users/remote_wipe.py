"""Orders to erase (远程清除): what proves that one is the server's own, by the secret that it gave to a person's device.

Heeding one is left to `session` and `device`.
"""

import base64
import hmac

WIPED = "DEVICE_WIPED"
"""The code with which a renewal is refused to a device that is to erase what it keeps of the person."""


def secret_of(letters: str) -> bytes:
    """The bytes of a `deviceSecret` as servers write it."""
    return base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))


def proof_of(device_secret: str, refresh_token: str) -> str:
    """What the server says with an order, to the device that showed `refresh_token`; in hexadecimal."""
    return hmac.digest(secret_of(device_secret), b"wipe " + refresh_token.encode(), "sha256").hex()


def is_order(code: str, proof: str | None, device_secret: str | None, refresh_token: str | None) -> bool:
    """Whether a refused renewal is an order: nobody who lacks the secret can make one, nor use that of another session."""
    if code != WIPED or not proof or not device_secret or not refresh_token:
        return False
    return hmac.compare_digest(proof_of(device_secret, refresh_token).encode(), proof.encode())
