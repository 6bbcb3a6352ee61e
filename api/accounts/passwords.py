"""Passwords: hashed and verified with Argon2id in a few threads, so that sign-ins can't take the machine from the rest.

How often somebody may guess is left to `schema/accounts/login_attempts.py`.
"""

import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from schema.core.refusals import Refusal, RefusalCode

T = TypeVar("T")


@dataclass(frozen=True)
class HashCost:
    """What one hash takes; the default is OWASP's for Argon2id: about 20 ms and 19 MiB."""

    passes: int = 2
    memory_kib: int = 19 * 1024
    lanes: int = 1


@dataclass(frozen=True)
class PasswordVerdict:
    """`is_outdated`: hashed at another cost than today's, to be hashed again while the password is at hand."""

    is_right: bool
    is_outdated: bool = False


class Passwords:
    """At most `at_once` hashes are worked on and `queue` wait; whoever comes then is refused as BUSY."""

    def __init__(self, *, cost: HashCost = HashCost(), at_once: int = 2, queue: int = 64) -> None:
        self._hasher = PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes)
        self._limiter = anyio.CapacityLimiter(at_once)
        self._most = at_once + queue
        self._inside = 0
        self._nobodys = self._hasher.hash(secrets.token_bytes(16))

    async def hash(self, password: str) -> str:
        """Return the PHC string, which names its own salt and cost. Raise `Refusal(BUSY)`."""
        raw = _bytes(password)
        return await self._work(lambda: self._hasher.hash(raw))

    async def verify(self, password_hash: str | None, password: str) -> PasswordVerdict:
        """Compare; None, for nobody's password, takes as long and is never right. Raise `Refusal(BUSY)`."""
        raw, known = _bytes(password), password_hash or self._nobodys

        def compare() -> PasswordVerdict:
            try:
                self._hasher.verify(known, raw)
            except (VerificationError, InvalidHashError):
                return PasswordVerdict(is_right=False)
            return PasswordVerdict(is_right=True, is_outdated=self._hasher.check_needs_rehash(known))

        verdict = await self._work(compare)
        return verdict if password_hash else PasswordVerdict(is_right=False)

    async def _work(self, work: Callable[[], T]) -> T:
        if self._inside >= self._most:
            raise Refusal(RefusalCode.BUSY)
        self._inside += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._inside -= 1


def _bytes(password: str) -> bytes:
    """One password however a keyboard composes it; half a surrogate pair is a wrong password, not a fault."""
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")
