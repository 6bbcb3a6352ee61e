"""Test the stored documents of accounts: people with their devices, sessions, counted attempts, clocks, push tokens."""

from datetime import timedelta, timezone

from schema.access.viewers import Clearance, Role
from schema.accounts.device_clocks import ClockReading, DeviceClockInput, compare_clock
from schema.accounts.login_attempts import Bucket, Denial, buckets_of
from schema.accounts.sessions import RefreshToken
from schema.accounts.users import Device, User
from schema.core.pagination import Page
from schema.core.sequences import KnownSequences
from storage.accounts.sessions import RefreshOutcome
from storage.notifications.push_tokens import PushCall
from storage.store import Store
from tests.stored.fixed import NOW, PATH, PATH_ABOVE, by_id, fixed_id, minutes
from tests.stored.golden_documents import Goldens

HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"


def device(number: int) -> Device:
    return Device(id=fixed_id("dev", number), name=f"手机 {number}", signed_in_at=NOW, seen_at=minutes(1))


def person(number: int, name: str) -> User:
    return User(id=fixed_id("usr", number), display_name="乙", roles=[Role.MONITOR], user_name=name)


async def test_users_and_their_devices_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    whole = User(
        id=fixed_id("usr", 1),
        display_name="甲巡查员",
        roles=[Role.INSPECTOR, Role.OFFICER],
        user_name="inspector",
        scope_ids=(fixed_id("unt", 1), fixed_id("unt", 2)),
        scope_paths=(PATH, PATH_ABOVE),
        office_id=fixed_id("unt", 1),
        office_path=PATH,
        clearances=(Clearance.IDENTITY,),
        subject="f1e2d3c4",
        active=True,
        password_hash=HASH,
        devices=(
            Device(
                id=fixed_id("dev", 1),
                name="小米 14",
                signed_in_at=NOW,
                seen_at=minutes(1),
                revoked_at=minutes(2),
                wipe_ordered_at=minutes(3),
                wipe_ordered_by=fixed_id("usr", 9),
                sequences=KnownSequences(5_300, (12, 13)),
            ),
        ),
        created_at=NOW,
    )
    bare, closed, acting = person(2, "bare"), person(3, "closed"), person(4, "acting")
    users = records.users
    await users.put_all([whole, bare, closed, acting])
    await users.set_password(closed.id, HASH, NOW)
    await users.add_device(closed.id, device(2), fixed_id("ses", 2))
    await users.close([closed.id], minutes(4))
    for number in (3, 4):
        await users.add_device(acting.id, device(number), fixed_id("ses", number))
    await users.touch_device(acting.id, fixed_id("dev", 4), fixed_id("ses", 4), minutes(5))
    await users.revoke_device(acting.id, fixed_id("dev", 3), minutes(6), wiped_by=fixed_id("usr", 9))
    await goldens.check("users")
    assert by_id(await users.named(["inspector", "bare"])) == [whole, bare]
    found = await users.by_session(acting.id, fixed_id("dev", 4), fixed_id("ses", 4))
    assert found
    assert [one.wipe_ordered_by for one in found.devices] == [None, fixed_id("usr", 9)]


async def test_sessions_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """Token families are begun, renewed, renewed again after a lost reply, ended, and ordered to erase."""
    grace, until = timedelta(minutes=2), minutes(60)
    for number in range(1, 6):
        token = RefreshToken(fixed_id("ses", number), f"first {number}")
        await records.sessions.begin(token, fixed_id("usr", 1), fixed_id("dev", number), NOW, until)
    for number, text, at in ((2, "second", 1), (3, "second", 1), (3, "third", 2)):
        shown = RefreshToken(fixed_id("ses", number), f"first {number}")
        successor = RefreshToken(fixed_id("ses", number), text)
        used = await records.sessions.use(
            shown, fixed_id("dev", number), successor, minutes(at), grace=grace, expires_at=minutes(60 + at)
        )
        assert used.use is RefreshOutcome.ROTATED
    await records.sessions.end(fixed_id("usr", 1), [fixed_id("dev", 4)], minutes(3))
    wiped = fixed_id("dev", 5)
    assert await records.sessions.order_wipe(fixed_id("usr", 1), minutes(4), fixed_id("usr", 9), wiped) == [wiped]
    await goldens.check("sessions")


async def test_login_attempts_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """The keys derive from a secret, the name, the address and the device, and must stay the same too."""
    elsewhere = buckets_of("inspector", "203.0.113.7", None, b"a secret")
    known = buckets_of("inspector", "203.0.113.7", fixed_id("dev", 1), b"a secret")
    full = (Bucket("full", limit=1, cleared_by_success=True),)
    for buckets in (elsewhere, known, full):
        assert await records.attempts.begin(buckets, NOW) is None
    await records.attempts.fail(full)
    assert await records.attempts.begin(full, minutes(1)) == Denial(minutes(15))
    await records.attempts.release(known)
    await goldens.check("attempts")


async def test_clock_readings_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    beijing = timezone(timedelta(hours=8))
    sent = DeviceClockInput(at=minutes(2).astimezone(beijing), round_trip_milliseconds=850)
    whole = compare_clock(sent, user_id=fixed_id("usr", 1), device_id=fixed_id("dev", 1), now=NOW)
    bare = ClockReading(
        read_at=NOW,
        device_at=minutes(-5),
        device_offset_minutes=0,
        round_trip_ms=None,
        user_id=fixed_id("usr", 1),
        device_id=fixed_id("dev", 2),
    )
    for reading in (whole, bare):
        await records.clocks.add(reading)
    await goldens.check("clock_readings")
    assert await records.clocks.latest(fixed_id("usr", 1), fixed_id("dev", 1)) == whole
    assert await records.clocks.page(fixed_id("usr", 1), fixed_id("dev", 2), Page(5, None)) == [bare]


async def test_push_tokens_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One token is registered, one is due, and one is claimed by a worker."""
    tokens = records.push_tokens
    for number, service in ((1, "FCM"), (2, "APNS"), (3, "FCM")):
        await tokens.register(fixed_id("usr", number), fixed_id("dev", number), service, f"token{number}", NOW)
    await tokens.schedule({fixed_id("usr", 2): "826A", fixed_id("usr", 3): "826B"}, minutes(1))
    claimed = await tokens.claim(["FCM"], minutes(2), timedelta(minutes=1))
    await goldens.check("push_tokens")
    assert claimed == PushCall(fixed_id("usr", 3), fixed_id("dev", 3), "FCM", "token3", "826B", 1)
