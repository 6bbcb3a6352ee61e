"""Hash and verify passwords with Argon2id, in a few threads so that sign-ins can't exhaust the machine."""

import asyncio
import contextlib
import secrets
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import HashingError, InvalidHashError, VerificationError
from argon2.low_level import error_to_str

from api.accounts.fair_queue import FairQueue
from schema.core.refusals import Refusal, RefusalCode
from storage.processes.heap import trim_heap

T = TypeVar("T")
THREADS = 2
IDLE_SECONDS = 5.0
"""How long nothing is hashed before the memory of the hashes is given back. A burst has no pauses of this length."""
EXHAUSTED = frozenset(error_to_str(code) for code in (-22, -33))
"""What Argon2 says if it gets no memory or no thread. The password may be right then."""


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
    """Compute at most `threads` hashes at once. Callers from the network first wait for their turn in `turns`.

    The threads are the same all the time, because each thread that hashes keeps the memory of a hash.
    """

    def __init__(self, *, cost: HashCost = HashCost(), threads: int = THREADS, turns: FairQueue | None = None) -> None:
        self.turns = turns or FairQueue()
        self._hasher = PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._thread_count = threads
        self._jobs = 0
        self._trimming: asyncio.TimerHandle | None = None
        self._dummy_hash = self._hasher.hash(secrets.token_bytes(16))

    async def hash(self, password: str) -> str:
        """Return the hash as a PHC string, which contains the salt and the cost.

        Raise `Refusal(BUSY)` if there is no memory for it.
        """
        raw = _bytes(password)

        def compute() -> str:
            try:
                return self._hasher.hash(raw)
            except HashingError as error:
                _check_exhaustion(error)
                raise

        return await self._work(compute)

    async def verify(self, password_hash: str | None, password: str) -> PasswordVerdict:
        """Compare a password with a hash. Raise `Refusal(BUSY)` if there is no memory for it.

        If `password_hash` is None, the password is never right, but the comparison takes the same time. So the time
        does not reveal whether there is a hash.
        """
        raw, known = _bytes(password), password_hash or self._dummy_hash

        def compare() -> PasswordVerdict:
            try:
                self._hasher.verify(known, raw)
            except VerificationError as error:
                _check_exhaustion(error)
                return PasswordVerdict(is_right=False)
            except InvalidHashError:
                return PasswordVerdict(is_right=False)
            return PasswordVerdict(is_right=True, is_outdated=self._hasher.check_needs_rehash(known))

        verdict = await self._work(compare)
        return verdict if password_hash else PasswordVerdict(is_right=False)

    async def _work(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        if self._trimming is not None:
            self._trimming.cancel()
        self._jobs += 1
        try:
            return await loop.run_in_executor(self._threads, work)
        finally:
            self._jobs -= 1
            if not self._jobs:
                self._trimming = loop.call_later(IDLE_SECONDS, self.release_memory)

    def release_memory(self) -> "list[Future[None]]":
        """Let each thread give the memory of its last hash back. Return when each has done so."""
        everybody = threading.Barrier(self._thread_count)

        def release() -> None:
            with contextlib.suppress(threading.BrokenBarrierError):  # a hash has come meanwhile
                everybody.wait(1)  # else one thread might do this twice, and the other not at all
            trim_heap()

        return [self._threads.submit(release) for _ in range(self._thread_count)]


def _check_exhaustion(error: Exception) -> None:
    """Raise `Refusal(BUSY)` if Argon2 got no memory or no thread: the error says nothing about the password then."""
    if str(error) in EXHAUSTED:
        raise Refusal(RefusalCode.BUSY) from error


def _bytes(password: str) -> bytes:
    """Return the bytes of a password in NFKC form, so that they do not depend on how a keyboard composes a character.

    A password with half of a surrogate pair causes no error. It is just a wrong password.
    """
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")
