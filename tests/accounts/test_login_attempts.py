"""Failed attempts: guessing has an end, and nobody can use that to lock somebody else out."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from api.graphql.context import clock
from schema.accounts.login_attempts import PER_ADDRESS, PER_DEVICE, PER_NAME, WINDOW, Bucket, buckets_of
from storage.accounts.login_attempts import INDEXES, Attempts
from storage.mongodb.client import Mongo
from tests.support.world import new_id

pytestmark = pytest.mark.both_drivers

NOW = clock()
"""Of the real day: the index that removes what has expired goes by the database's clock."""
SECRET = b"server"


@pytest.fixture
async def attempts(mongo: Mongo) -> Attempts:
    for keys, options in INDEXES:
        await mongo.collection("attempts").create_index(keys, **options)
    return Attempts(mongo)


def from_elsewhere(name: str = "wang", address: str = "203.0.113.7") -> tuple[Bucket, ...]:
    return buckets_of(name, address, None, SECRET)


def from_the_phone(device_id: str, address: str = "203.0.113.7") -> tuple[Bucket, ...]:
    return buckets_of("wang", address, device_id, SECRET)


async def fail(attempts: Attempts, buckets: Sequence[Bucket], times: int, now: datetime = NOW) -> int:
    """How many of so many attempts, sent at once, were let through to the password."""
    return await through(attempts, [buckets] * times, now)


async def spray(attempts: Attempts, names: int) -> int:
    """How many of so many names could be tried from one place."""
    return await through(attempts, [from_elsewhere(f"name{number}") for number in range(names)], NOW)


async def through(attempts: Attempts, wanted: Sequence[Sequence[Bucket]], now: datetime) -> int:
    answers = await asyncio.gather(*(attempts.acquire(buckets, now) for buckets in wanted))
    return answers.count(None)


async def test_a_name_is_guessed_at_a_few_times_from_one_place(attempts: Attempts) -> None:
    assert await fail(attempts, from_elsewhere(), PER_NAME + 5) == PER_NAME, "however many are sent at once"
    assert await attempts.acquire(from_elsewhere(), NOW + timedelta(minutes=1)) == NOW + WINDOW
    assert await fail(attempts, from_elsewhere(address="198.51.100.1"), 1) == 1, "its owner, elsewhere"
    assert await fail(attempts, from_elsewhere("li"), 1) == 1, "another, at the same place"
    later = NOW + WINDOW
    assert await fail(attempts, from_elsewhere(), PER_NAME + 5, later) == PER_NAME, "whether or not the index ran"


async def test_refused_attempts_do_not_make_the_wait_longer(attempts: Attempts) -> None:
    await fail(attempts, from_elsewhere(), PER_NAME)
    for minutes in range(1, 15):
        assert await attempts.acquire(from_elsewhere(), NOW + timedelta(minutes=minutes)) == NOW + WINDOW
    assert await attempts.acquire(from_elsewhere(), NOW + WINDOW) is None


async def test_the_owners_phone_is_never_locked_by_others(attempts: Attempts) -> None:
    phone = new_id("dev")
    await spray(attempts, PER_ADDRESS + 10)
    await fail(attempts, from_elsewhere(), PER_NAME)
    assert await fail(attempts, from_elsewhere(), 1) == 0
    assert await fail(attempts, from_the_phone(phone), PER_DEVICE + 5) == PER_DEVICE
    assert await fail(attempts, from_the_phone(new_id("dev")), 1) == 1


async def test_many_names_from_one_place_have_an_end_too(attempts: Attempts) -> None:
    assert await spray(attempts, PER_ADDRESS + 20) == PER_ADDRESS
    assert await fail(attempts, from_elsewhere("wang", "198.51.100.1"), 1) == 1
    [name] = [bucket for bucket in from_elsewhere("last") if bucket.cleared_by_success]
    await fail(attempts, from_elsewhere("last"), 50)
    assert await attempts.acquire([name], NOW) is None, "what the address refused did not count against the name"


async def test_one_who_keeps_guessing_in_vain_does_not_shut_the_office(attempts: Attempts) -> None:
    await fail(attempts, from_elsewhere(), PER_ADDRESS * 2)
    assert await fail(attempts, from_elsewhere("li"), 1) == 1, "refused attempts are no guesses"


async def test_a_right_password_clears_its_own_failures_only(attempts: Attempts) -> None:
    await fail(attempts, from_elsewhere(), PER_NAME - 1)
    assert await attempts.acquire(from_elsewhere(), NOW) is None
    await attempts.clear(from_elsewhere())
    assert await fail(attempts, from_elsewhere(), PER_NAME + 1) == PER_NAME
    left = PER_ADDRESS - (PER_NAME - 1) - PER_NAME
    assert await spray(attempts, PER_ADDRESS) == left, "or an account of one's own would buy guesses at others'"


async def test_an_attempt_given_back_never_was(attempts: Attempts) -> None:
    for _ in range(PER_NAME * 3):
        assert await attempts.acquire(from_elsewhere(), NOW) is None
        await attempts.release(from_elsewhere())
    await attempts.release(from_elsewhere())
    assert await fail(attempts, from_elsewhere(), PER_NAME * 2) == PER_NAME


async def test_what_is_stored_names_nobody(attempts: Attempts, mongo: Mongo) -> None:
    phone = new_id("dev")
    await fail(attempts, from_elsewhere(), 1)
    await fail(attempts, from_the_phone(phone), 1)
    stored = repr(await mongo.collection("attempts").find({}))
    for told in ("wang", "203.0.113", phone, phone[4:]):
        assert told not in stored
    assert len(await mongo.collection("attempts").find({})) == 3


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("fe80::1%eth0", "fe80::1", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("testclient", "testclient", True),
        ("", "testclient", False),
    ],
)
def test_an_ipv6_customer_is_one_place(one: str, other: str, is_same: bool) -> None:
    assert (buckets_of("wang", one, None, SECRET) == buckets_of("wang", other, None, SECRET)) is is_same


def test_keys_of_different_parts_never_meet() -> None:
    keys = [
        bucket.key
        for buckets in (
            buckets_of("ab", "c", None, SECRET),
            buckets_of("a", "bc", None, SECRET),
            buckets_of("ab", "", "c", SECRET),
            buckets_of("ab", "c", None, b"another server"),
            buckets_of("\ud83d", "d", None, SECRET),
        )
        for bucket in buckets
    ]
    assert len(set(keys)) == len(keys) == 9
