"""Limit how often a password may be guessed. The limits are made so that nobody can lock another person out."""

import hmac
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=15)
PER_NAME, PER_DEVICE, PER_ADDRESS = 10, 10, 100


@dataclass(frozen=True)
class Bucket:
    """A counter of failed attempts to sign in. It allows at most `limit` failures in a `WINDOW`.

    `key` is a keyed hash, so it reveals neither the user name nor the address.
    """

    key: str
    limit: int
    cleared_by_success: bool


@dataclass(frozen=True)
class Denial:
    """Why a password may not be compared now.

    `opens_at` is when failures are forgotten. It is None if failures leave room, and others are being compared in it.
    """

    opens_at: datetime | None


def buckets_of(user_name: str, address: str, known_device_id: str | None, secret: bytes) -> tuple[Bucket, ...]:
    """Return the buckets that a failed attempt adds to.

    Pass `known_device_id` if this person has signed in from that device before. A known device has a bucket of its own.
    The device's id is random and secret. So failures from elsewhere, even from the same address, never lock out the
    device's owner.
    An attempt from any other device adds to two buckets: one for the user name at that address, and one for the whole
    address. The people of one office share the bucket of the address. It limits an attacker who tries many user names.
    """
    if known_device_id is not None:
        return (Bucket(_key(secret, "device", user_name, known_device_id), PER_DEVICE, cleared_by_success=True),)
    network = _network_of(address)
    return (
        Bucket(_key(secret, "name", user_name, network), PER_NAME, cleared_by_success=True),
        # A success does not clear it: else a person with an account could go on guessing other people's passwords.
        Bucket(_key(secret, "address", network), PER_ADDRESS, cleared_by_success=False),
    )


def _key(secret: bytes, *parts: str) -> str:
    # NUL separates the parts: no text that reaches an operation contains NUL.
    return hmac.digest(secret, "\0".join(parts).encode(errors="surrogatepass"), "sha256").hex()[:40]


def _network_of(address: str) -> str:
    """Return an IPv4 address unchanged. Return the /64 network of an IPv6 address.

    One IPv6 customer has 2^64 addresses.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
