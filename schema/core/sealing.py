"""Seal short texts that the server hands out and reads back later, such as cursors and addresses.

A sealed text is encrypted and authenticated by AES-SIV (RFC 5297). So its holder learns nothing that is inside, not even
by trial, and can't change it. The same content always gives the same text.
"""

import base64
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV


class Seal:
    """Seal and open texts. A text opens only with the same `secret` and `purpose`."""

    def __init__(self, secret: bytes, purpose: bytes) -> None:
        self._cipher = AESSIV(hmac.digest(secret, b"seal " + purpose, "sha512"))

    def close(self, content: bytes) -> str:
        """Return the sealed text, in URL-safe Base64 without padding. `content` must not be empty."""
        return base64.urlsafe_b64encode(self._cipher.encrypt(content, None)).decode().rstrip("=")

    def open(self, text: str) -> bytes | None:
        """Return the content of a sealed text, or None if this seal did not make the text."""
        try:
            return self._cipher.decrypt(decode(text), None)
        except (ValueError, InvalidTag):
            return None


def decode(text: str) -> bytes:
    """Decode URL-safe Base64 without padding. Raise `ValueError` if `text` has other characters."""
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
