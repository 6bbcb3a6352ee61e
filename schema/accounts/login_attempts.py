"""Limit how often a password may be guessed, so that nobody can lock another person out."""

import hmac
import ipaddress
from dataclasses import dataclass
from datetime import timedelta

WINDOW = timedelta(minutes=15)
PER_NAME, PER_DEVICE, PER_ADDRESS = 10, 10, 100


@dataclass(frozen=True)
class Bucket:
    """Failed attempts that count together: at most `limit` in a `WINDOW`. The key reveals neither name nor address."""

    key: str
    limit: int
    cleared_by_success: bool


def buckets_of(user_name: str, address: str, known_device_id: str | None, secret: bytes) -> tuple[Bucket, ...]:
    """Return the buckets in which an attempt counts.

    Pass `known_device_id` if this person has signed in from that device before. A known device has its own bucket: its
    id is random and secret, so failures from elsewhere, even from the same address, never lock out its owner.
    All other attempts count in two buckets: one for the name at that address, and one for the whole address.
    The latter is shared by the people of one office, and limits someone who tries many names.
    """
    if known_device_id is not None:
        return (Bucket(_key(secret, "device", user_name, known_device_id), PER_DEVICE, cleared_by_success=True),)
    network = _network_of(address)
    return (
        Bucket(_key(secret, "name", user_name, network), PER_NAME, cleared_by_success=True),
        # Not cleared by a success: else anyone with an account could go on guessing other people's passwords.
        Bucket(_key(secret, "address", network), PER_ADDRESS, cleared_by_success=False),
    )


def _key(secret: bytes, *parts: str) -> str:
    # A part can hold any character but NUL: no text that reaches an operation contains one.
    return hmac.digest(secret, "\0".join(parts).encode(errors="surrogatepass"), "sha256").hex()[:40]


def _network_of(address: str) -> str:
    """Return an IPv4 address itself, and the /64 of an IPv6 address: one IPv6 customer has 2^64 addresses."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
