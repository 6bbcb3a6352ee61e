"""Test passwords: only the right one matches, an unknown user costs as much, and few threads are used."""

import asyncio
import os
import threading
from types import SimpleNamespace

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerificationError

from api.accounts.passwords import Passwords, PasswordVerdict
from schema.core.refusals import Refusal, RefusalCode
from scripts.benchmarks.process_memory import read_memory
from tests.support.world import LIGHT


async def test_only_the_right_password_matches() -> None:
    passwords = Passwords(cost=LIGHT)
    kept = await passwords.hash("明察暗访 2026")
    assert kept.startswith("$argon2id$")
    assert kept != await passwords.hash("明察暗访 2026"), "salted"
    assert await passwords.verify(kept, "明察暗访 2026") == PasswordVerdict(is_right=True)
    assert await passwords.verify(kept, "明察暗访 ２０２６") == PasswordVerdict(is_right=True), "full-width digits"
    for wrong in ("明察暗访 2027", "", "明察暗访 2026 ", "\ud83d", "x" * 1000):
        assert await passwords.verify(kept, wrong) == PasswordVerdict(is_right=False)


@pytest.mark.parametrize("kept", [None, "", "plain", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", "$2b$12$abc"])
async def test_no_password_matches_without_a_usable_hash(kept: str | None) -> None:
    passwords = Passwords(cost=LIGHT)
    for guess in ("", "plain", str(kept)):
        assert await passwords.verify(kept, guess) == PasswordVerdict(is_right=False)


async def test_a_hash_at_another_cost_is_outdated() -> None:
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash("secret")
    assert await Passwords(cost=LIGHT).verify(old, "secret") == PasswordVerdict(is_right=True, is_outdated=True)
    assert await Passwords(cost=LIGHT).verify(old, "guess") == PasswordVerdict(is_right=False)


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(cost=LIGHT)
    kept = await passwords.hash("secret")
    verified: list[str] = []

    def verify(hash: str, password: bytes) -> bool:
        verified.append(hash)
        return real(hash, password)

    real = passwords._hasher.verify
    monkeypatch.setattr(passwords, "_hasher", SimpleNamespace(verify=verify))
    assert (
        await passwords.verify(kept, "guess")
        == await passwords.verify(None, "guess")
        == PasswordVerdict(is_right=False)
    )
    known, nobodys = verified
    assert extract_parameters(nobodys) == extract_parameters(known)


async def test_hashing_uses_the_same_few_threads() -> None:
    """Each thread that hashes keeps the memory of a hash."""
    passwords = Passwords(cost=LIGHT, threads=2)
    used: set[int] = set()

    def work() -> None:
        used.add(threading.get_ident())

    for _ in range(5):
        await asyncio.gather(*(asyncio.to_thread(int) for _ in range(8)), *(passwords._work(work) for _ in range(20)))
    assert len(used) <= 2


async def test_the_memory_of_a_burst_is_given_back() -> None:
    passwords = Passwords(threads=2)
    kept = await passwords.hash("secret")
    await released(passwords)
    before = resident_mib()
    await asyncio.gather(*(passwords.verify(kept, "secret") for _ in range(6)))
    assert resident_mib() > before + 30, "two threads keep 19 MiB each"
    await released(passwords)
    assert resident_mib() < before + 10


async def released(passwords: Passwords) -> None:
    await asyncio.gather(*(asyncio.wrap_future(future) for future in passwords.release_memory()))


def resident_mib() -> int:
    return read_memory(os.getpid()).now


@pytest.mark.parametrize(
    ("message", "is_busy"),
    [
        ("Memory allocation error", True),
        ("Threading failure", True),
        ("The password does not match the supplied hash", False),
        ("Decoding failed", False),
    ],
)
async def test_a_password_that_could_not_be_compared_is_not_wrong(
    monkeypatch: pytest.MonkeyPatch, message: str, *, is_busy: bool
) -> None:
    passwords = Passwords(cost=LIGHT)
    kept = await passwords.hash("secret")

    def verify(hash: str, password: bytes) -> bool:
        raise VerificationError(message)

    monkeypatch.setattr(passwords, "_hasher", SimpleNamespace(verify=verify))
    if is_busy:
        with pytest.raises(Refusal) as caught:
            await passwords.verify(kept, "secret")
        assert caught.value.code is RefusalCode.BUSY
    else:
        assert await passwords.verify(kept, "secret") == PasswordVerdict(is_right=False)
