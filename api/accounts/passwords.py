"""Hash and verify passwords with Argon2id, in a few threads so that sign-ins can't exhaust the machine."""

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
    """The cost of one hash.

    The default is what OWASP recommends for Argon2id. One hash then takes about 20 ms and 19 MiB.
    """

    passes: int = 2
    memory_kib: int = 19 * 1024
    lanes: int = 1


@dataclass(frozen=True)
class PasswordVerdict:
    """Whether a password is right.

    `is_outdated` means that the stored hash has another cost than new hashes. Then hash the password again.
    """

    is_right: bool
    is_outdated: bool = False


class Passwords:
    """Compute at most `at_once` hashes at once, and let `queue` more wait. Refuse any further hash as BUSY."""

    def __init__(self, *, cost: HashCost = HashCost(), at_once: int = 2, queue: int = 64) -> None:
        self._hasher = PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes)
        self._limiter = anyio.CapacityLimiter(at_once)
        self._max_jobs = at_once + queue
        self._jobs = 0
        self._dummy_hash = self._hasher.hash(secrets.token_bytes(16))

    async def hash(self, password: str) -> str:
        """Return the hash as a PHC string, which contains the salt and the cost.

        Raise `Refusal(BUSY)` if too many hashes are waiting.
        """
        raw = _bytes(password)
        return await self._work(lambda: self._hasher.hash(raw))

    async def verify(self, password_hash: str | None, password: str) -> PasswordVerdict:
        """Compare a password with a hash. Raise `Refusal(BUSY)` if too many hashes are waiting.

        If `password_hash` is None, the password is never right, but the comparison takes the same time. So the time
        does not reveal whether there is a hash.
        """
        raw, known = _bytes(password), password_hash or self._dummy_hash

        def compare() -> PasswordVerdict:
            try:
                self._hasher.verify(known, raw)
            except (VerificationError, InvalidHashError):
                return PasswordVerdict(is_right=False)
            return PasswordVerdict(is_right=True, is_outdated=self._hasher.check_needs_rehash(known))

        verdict = await self._work(compare)
        return verdict if password_hash else PasswordVerdict(is_right=False)

    async def _work(self, work: Callable[[], T]) -> T:
        if self._jobs >= self._max_jobs:
            raise Refusal(RefusalCode.BUSY)
        self._jobs += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._jobs -= 1


def _bytes(password: str) -> bytes:
    """Return the bytes of a password in NFKC form, so that they do not depend on how a keyboard composes a character.

    A password with half of a surrogate pair causes no error. It is just a wrong password.
    """
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")
