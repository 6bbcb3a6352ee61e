"""Test passwords: only the right one matches, the check takes as long for an unknown user, and the queue is limited."""

import threading
from types import SimpleNamespace

import anyio
import pytest
from argon2 import PasswordHasher, extract_parameters

from api.accounts.passwords import Passwords, PasswordVerdict
from schema.core.refusals import Refusal, RefusalCode
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


async def test_concurrent_hashing_and_its_queue_are_limited() -> None:
    passwords = Passwords(cost=LIGHT, at_once=2, queue=3)
    gate, lock, inside, most, outcomes = threading.Event(), threading.Lock(), 0, 0, list[str]()
    refused = anyio.Event()

    def work() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        assert gate.wait(30)
        with lock:
            inside -= 1

    async def one() -> None:
        try:
            await passwords._work(work)
        except Refusal as refusal:
            outcomes.append(refusal.code.value)
            if len(outcomes) == 3:
                refused.set()
        else:
            outcomes.append("done")

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(one)
        with anyio.fail_after(30):
            await refused.wait()
        gate.set()
    assert sorted(outcomes) == ["BUSY"] * 3 + ["done"] * 5
    assert most <= 2
    with pytest.raises(Refusal) as caught:
        await Passwords(cost=LIGHT, at_once=0, queue=0).hash("secret")
    assert caught.value.code is RefusalCode.BUSY
    assert await passwords.verify(None, "x") == PasswordVerdict(is_right=False), "room again"
