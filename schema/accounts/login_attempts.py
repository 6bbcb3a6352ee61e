"""Attempts: how often a password may be guessed, counted so that nobody can lock another person out.

Counting is left to `storage/accounts/login_attempts.py`.
"""

import hmac
import ipaddress
from dataclasses import dataclass
from datetime import timedelta

WINDOW = timedelta(minutes=15)
PER_NAME, PER_DEVICE, PER_ADDRESS = 10, 10, 100


@dataclass(frozen=True)
class Bucket:
    """Failed attempts counted together: at most `limit` in a `WINDOW`. The key tells neither a name nor an address."""

    key: str
    limit: int
    cleared_by_success: bool


def buckets_of(user_name: str, address: str, known_device_id: str | None, secret: bytes) -> tuple[Bucket, ...]:
    """Where an attempt counts; `known_device_id` is given where this person has signed in from that device before.

    A known device has a bucket to itself: its id is random and known to nobody else, so that failures from elsewhere,
    even from behind the same address, never shut its owner out. All others share a bucket for the name at that
    address, and one for the address as a whole, which holds people of one office and someone who tries many names.
    """
    if known_device_id is not None:
        return (Bucket(_key(secret, "device", user_name, known_device_id), PER_DEVICE, cleared_by_success=True),)
    place = _neighbourhood(address)
    return (
        Bucket(_key(secret, "name", user_name, place), PER_NAME, cleared_by_success=True),
        # Not cleared by a success: whoever has an account could go on guessing other people's passwords.
        Bucket(_key(secret, "address", place), PER_ADDRESS, cleared_by_success=False),
    )


def _key(secret: bytes, *parts: str) -> str:
    # A part may hold anything but NUL, which no text that reaches an operation holds.
    return hmac.digest(secret, "\0".join(parts).encode(errors="surrogatepass"), "sha256").hex()[:40]


def _neighbourhood(address: str) -> str:
    """The address, or the /64 around it: one IPv6 customer has 2^64 addresses to change between."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
