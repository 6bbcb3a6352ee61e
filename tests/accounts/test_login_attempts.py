"""Test limits on sign-in attempts: guessing is limited, and nobody can lock another person out."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from api.graphql.context import clock
from schema.accounts.login_attempts import PER_ADDRESS, PER_DEVICE, PER_NAME, WINDOW, Bucket, Denial, buckets_of
from storage.accounts.login_attempts import INDEXES, Attempts
from storage.mongodb.client import Mongo
from tests.support.world import new_id

pytestmark = pytest.mark.both_drivers

NOW = clock()
"""The real time, because the index that removes expired attempts uses the database's clock."""
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
    """Send `times` wrong passwords at once. Return how many are compared."""
    return await through(attempts, [buckets] * times, now)


async def spray(attempts: Attempts, names: int) -> int:
    """Return how many of `names` user names can be tried from one address."""
    return await through(attempts, [from_elsewhere(f"name{number}") for number in range(names)], NOW)


async def through(attempts: Attempts, wanted: Sequence[Sequence[Bucket]], now: datetime) -> int:
    answers = await asyncio.gather(*(attempts.begin(buckets, now) for buckets in wanted))
    admitted = [buckets for buckets, denial in zip(wanted, answers, strict=True) if denial is None]
    await asyncio.gather(*(attempts.fail(buckets) for buckets in admitted))
    return len(admitted)


async def test_right_passwords_are_never_counted(attempts: Attempts) -> None:
    """Attempts that are compared at the same time take up room, which right passwords give back."""
    address = Bucket("address", limit=5, cleared_by_success=False)
    phones = [(Bucket(f"name{number}", limit=1, cleared_by_success=True), address) for number in range(6)]
    for _ in range(2):
        denials = await asyncio.gather(*(attempts.begin(buckets, NOW) for buckets in phones))
        assert sorted(denials, key=str) == [Denial(opens_at=None), *[None] * 5], "not shut, only no room now"
        admitted = [buckets for buckets, denial in zip(phones, denials, strict=True) if denial is None]
        await asyncio.gather(*(attempts.succeed(buckets) for buckets in admitted))
    assert await through(attempts, phones, NOW) == 5


async def test_attempts_on_one_name_from_one_address_are_limited(attempts: Attempts) -> None:
    assert await fail(attempts, from_elsewhere(), PER_NAME + 5) == PER_NAME, "however many are sent at once"
    assert await attempts.begin(from_elsewhere(), NOW + timedelta(minutes=1)) == Denial(NOW + WINDOW)
    assert await fail(attempts, from_elsewhere(address="198.51.100.1"), 1) == 1, "its owner, elsewhere"
    assert await fail(attempts, from_elsewhere("li"), 1) == 1, "another, at the same place"
    later = NOW + WINDOW
    assert await fail(attempts, from_elsewhere(), PER_NAME + 5, later) == PER_NAME, "whether or not the index ran"


async def test_refused_attempts_do_not_make_the_wait_longer(attempts: Attempts) -> None:
    await fail(attempts, from_elsewhere(), PER_NAME)
    for minutes in range(1, 15):
        assert await attempts.begin(from_elsewhere(), NOW + timedelta(minutes=minutes)) == Denial(NOW + WINDOW)
    assert await attempts.begin(from_elsewhere(), NOW + WINDOW) is None


async def test_the_owners_phone_is_never_locked_by_others(attempts: Attempts) -> None:
    phone = new_id("dev")
    await spray(attempts, PER_ADDRESS + 10)
    await fail(attempts, from_elsewhere(), PER_NAME)
    assert await fail(attempts, from_elsewhere(), 1) == 0
    assert await fail(attempts, from_the_phone(phone), PER_DEVICE + 5) == PER_DEVICE
    assert await fail(attempts, from_the_phone(new_id("dev")), 1) == 1


async def test_attempts_on_many_names_from_one_address_are_limited(attempts: Attempts) -> None:
    assert await spray(attempts, PER_ADDRESS + 20) == PER_ADDRESS
    assert await fail(attempts, from_elsewhere("wang", "198.51.100.1"), 1) == 1
    [name] = [bucket for bucket in from_elsewhere("last") if bucket.cleared_by_success]
    await fail(attempts, from_elsewhere("last"), 50)
    assert await attempts.begin([name], NOW) is None, "what the address refused did not count against the name"


async def test_refused_attempts_do_not_lock_the_address_for_other_names(attempts: Attempts) -> None:
    await fail(attempts, from_elsewhere(), PER_ADDRESS * 2)
    assert await fail(attempts, from_elsewhere("li"), 1) == 1, "refused attempts are no guesses"


async def test_a_right_password_clears_only_failures_of_its_own_name(attempts: Attempts) -> None:
    await fail(attempts, from_elsewhere(), PER_NAME - 1)
    assert await attempts.begin(from_elsewhere(), NOW) is None
    await attempts.succeed(from_elsewhere())
    assert await fail(attempts, from_elsewhere(), PER_NAME + 1) == PER_NAME
    left = PER_ADDRESS - (PER_NAME - 1) - PER_NAME
    assert await spray(attempts, PER_ADDRESS) == left, "or an account of one's own would buy guesses at others'"


async def test_a_released_attempt_does_not_count(attempts: Attempts) -> None:
    for _ in range(PER_NAME * 3):
        assert await attempts.begin(from_elsewhere(), NOW) is None
        await attempts.release(from_elsewhere())
    await attempts.release(from_elsewhere())
    assert await fail(attempts, from_elsewhere(), PER_NAME * 2) == PER_NAME


async def test_stored_attempts_contain_no_name_address_or_device(attempts: Attempts, mongo: Mongo) -> None:
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
def test_an_ipv6_64_prefix_counts_as_one_address(one: str, other: str, is_same: bool) -> None:
    assert (buckets_of("wang", one, None, SECRET) == buckets_of("wang", other, None, SECRET)) is is_same


def test_bucket_keys_of_different_parts_never_collide() -> None:
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
