"""Test stored users: repeated imports, devices, and lists sorted by name."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest
import strawberry

from schema.access.viewers import Clearance, Role
from schema.accounts.users import Device, User
from schema.core.pagination import Page
from storage.accounts.users import INDEXES, MAX_DEVICES, Users, keyset_of
from storage.mongodb.client import Mongo
from storage.mongodb.errors import DuplicateError
from tests.support.world import new_id

pytestmark = pytest.mark.both_drivers

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture
async def users(mongo: Mongo) -> Users:
    for keys, options in INDEXES:
        await mongo.collection("users").create_index(keys, **options)
    return Users(mongo)


def person(name: str = "wang", **fields: object) -> User:
    made = User(id=new_id("usr"), display_name="王某", roles=[Role.SUPERVISOR], user_name=name, created_at=NOW)
    return replace(made, **fields)  # type: ignore[arg-type]


def device(at: datetime = NOW, id: str | None = None) -> Device:
    return Device(id=strawberry.ID(id) if id else new_id("dev"), name="手机", signed_in_at=at, seen_at=at)


async def stored(users: Users, **fields: object) -> User:
    made = person(**fields)  # type: ignore[arg-type]
    await users.put_all([made])
    return made


async def test_every_field_of_a_user_is_stored_and_read_back(users: Users) -> None:
    full = person(
        roles=[Role.OFFICER, Role.ADMIN],
        scope_ids=("unt_1",),
        scope_paths=("a/", "b/"),
        office_id="unt_1",
        office_path="a/",
        clearances=(Clearance.IDENTITY,),
        subject="s-1",
        password_hash="$argon2id$...",
        devices=(device(),),
    )
    await users.put_all([full])
    assert await users.by_id(full.id) == full
    assert await users.by_subject("s-1") == full
    assert await users.many([full.id, new_id("usr")]) == [full]


@pytest.mark.parametrize("spelt", ["wang.li7", "Wang.Li7", " WANG.LI7 ", "ｗａｎｇ．ｌｉ７"])
async def test_user_names_match_regardless_of_case_and_width(users: Users, spelt: str) -> None:
    made = await stored(users, name=spelt)
    for written in ("wang.li7", "WANG.LI7", "Ｗang.li７"):
        found = await users.by_user_name(written)
        assert found is not None
        assert (found.id, found.user_name) == (made.id, "wang.li7")
    assert await users.by_user_name("wang") is None


async def test_importing_a_user_again_changes_only_the_imported_fields(users: Users) -> None:
    made = await stored(users, password_hash="hash", subject="s-1")
    await users.add_device(made.id, device(), new_id("ses"))
    before = await users.by_id(made.id)
    assert before is not None
    await users.put_all([replace(made, password_hash=None, display_name="李某", created_at=NOW + timedelta(days=1))])
    after = await users.by_id(made.id)
    assert after == replace(before, display_name="李某"), "password, devices and time of making stay"
    await users.put_all([replace(made, password_hash="other", subject=None)])
    again = await users.by_id(made.id)
    assert again is not None
    assert (again.password_hash, again.subject, again.devices) == ("other", None, before.devices)


async def test_subjects_are_optional_and_unique(users: Users) -> None:
    await users.put_all([person("a"), person("b"), person("c", subject="s-1")])
    with pytest.raises(DuplicateError) as caught:
        await users.put_all([person("d", subject="s-1")])
    assert caught.value.fields == ("subject",)


async def test_a_taken_user_name_is_reported_without_quoting_it(users: Users) -> None:
    made = await stored(users, name="wang")
    with pytest.raises(DuplicateError) as caught:
        await users.put_all([person("WANG"), person("zhao")])
    assert caught.value.fields == ("user_name",)
    chain = [caught.value, caught.value.__cause__]
    assert "wang" not in "".join(map(repr, chain)).casefold()
    assert caught.value.__suppress_context__, "or a log would print the driver's words, which quote the name"
    assert await users.by_user_name("zhao") is not None
    found = await users.by_user_name("wang")
    assert found is not None
    assert found.id == made.id


async def test_a_device_is_listed_once_with_its_newest_session(users: Users) -> None:
    made, phone = await stored(users), device()
    first, second = new_id("ses"), new_id("ses")
    await users.add_device(made.id, phone, first)
    assert await users.by_session(made.id, phone.id, first) is not None
    await users.add_device(made.id, replace(phone, name="$set", signed_in_at=NOW + timedelta(hours=1)), second)
    assert await users.by_session(made.id, phone.id, first) is None
    assert await users.touch_device(made.id, phone.id, first, NOW) is None
    found = await users.touch_device(made.id, phone.id, second, NOW + timedelta(hours=2))
    assert found is not None
    [kept] = found.devices
    assert (kept.name, kept.seen_at) == ("$set", NOW + timedelta(hours=2))
    assert await users.by_session(made.id, new_id("dev"), second) is None
    assert await users.by_session(new_id("usr"), phone.id, second) is None


async def test_an_inactive_user_can_neither_sign_in_nor_continue_a_session(users: Users) -> None:
    made, phone, session = await stored(users, subject="s-1"), device(), new_id("ses")
    await users.add_device(made.id, phone, session)
    await users.put_all([replace(made, active=False)])
    assert await users.by_session(made.id, phone.id, session) is None
    assert await users.touch_device(made.id, phone.id, session, NOW) is None
    assert await users.add_device(made.id, device(), new_id("ses")) is None
    assert await users.by_subject("s-1") is None


async def test_a_revoked_device_stays_revoked_until_it_signs_in_again(users: Users) -> None:
    made, phone, other, session = await stored(users), device(), device(), new_id("ses")
    await users.add_device(made.id, phone, session)
    await users.add_device(made.id, other, new_id("ses"))
    revoked = await users.revoke_device(made.id, phone.id, NOW)
    assert revoked is not None
    assert revoked.revoked_at == NOW
    assert await users.by_session(made.id, phone.id, session) is None
    again = await users.revoke_device(made.id, phone.id, NOW + timedelta(hours=1))
    assert again == revoked, "the first time counts"
    assert await users.revoke_device(made.id, new_id("dev"), NOW) is None
    assert await users.revoke_device(new_id("usr"), phone.id, NOW) is None
    found = await users.add_device(made.id, device(id=phone.id), new_id("ses"))
    assert found is not None
    assert [(each.id, each.revoked_at) for each in found.devices] == [(phone.id, None), (other.id, None)]


async def test_revoking_an_old_session_keeps_the_devices_newer_one(users: Users) -> None:
    made, phone, old, new = await stored(users), device(), new_id("ses"), new_id("ses")
    await users.add_device(made.id, phone, old)
    await users.add_device(made.id, phone, new)
    await users.revoke_session(made.id, old, NOW)
    assert await users.by_session(made.id, phone.id, new) is not None
    await users.revoke_session(made.id, new, NOW)
    assert await users.by_session(made.id, phone.id, new) is None


async def test_devices_per_user_are_limited_and_revoked_ones_are_dropped_first(users: Users) -> None:
    made = await stored(users)
    phones = [device(NOW + timedelta(minutes=number)) for number in range(MAX_DEVICES)]
    for phone in phones:
        await users.add_device(made.id, phone, new_id("ses"))
    await users.revoke_device(made.id, phones[10].id, NOW)
    await users.revoke_device(made.id, phones[12].id, NOW)
    gone: list[str] = []
    for _ in range(4):
        found = await users.add_device(made.id, device(), new_id("ses"))
        assert found is not None
        assert len(found.devices) == MAX_DEVICES
        left = {each.id for each in found.devices}
        gone += [phone.id for phone in phones if phone.id not in left and phone.id not in gone]
    assert gone == [phones[10].id, phones[12].id, phones[0].id, phones[1].id]


async def test_concurrent_sign_ins_lose_no_device(users: Users) -> None:
    made, phones = await stored(users), [device() for _ in range(12)]
    async with anyio.create_task_group() as group:
        for phone in phones:
            group.start_soon(users.add_device, made.id, phone, new_id("ses"))
    found = await users.by_id(made.id)
    assert found is not None
    assert {each.id for each in found.devices} == {phone.id for phone in phones}


async def test_a_new_password_signs_every_device_out(users: Users) -> None:
    made, phone, session = await stored(users, password_hash="old"), device(), new_id("ses")
    await users.add_device(made.id, phone, session)
    await users.renew_password_hash(made.id, "another", "dearer")
    await users.renew_password_hash(made.id, "old", "dearer")
    found = await users.by_session(made.id, phone.id, session)
    assert found is not None
    assert found.password_hash == "dearer"
    assert await users.set_password(made.id, "$new", NOW)
    assert await users.by_session(made.id, phone.id, session) is None
    after = await users.by_id(made.id)
    assert after is not None
    assert (after.password_hash, after.devices[0].revoked_at) == ("$new", NOW)
    assert not await users.set_password(new_id("usr"), "$new", NOW)


async def test_users_are_paginated_by_name(users: Users) -> None:
    people = [person(f"u{number}", display_name="同名" if number % 2 else f"名{number}") for number in range(9)]
    people[3] = replace(people[3], roles=[Role.OFFICER], scope_paths=("b/", "a/c/"))
    people[4] = replace(people[4], office_path="a/c/d/")
    people[5] = replace(people[5], office_path="a/cc/", scope_paths=("a/", "b/"))
    await users.put_all(people)
    seen: list[User] = []
    page = Page(4, None)
    while True:
        found = await users.page({}, page)
        seen += found[:4]
        if len(found) <= 4:
            break
        page = Page(4, keyset_of(found[3]))
    assert [each.id for each in seen] == [each.id for each in sorted(people, key=keyset_of)]
    below = await users.page({}, Page(10, None), below="a/c/")
    assert {each.id for each in below} == {people[3].id, people[4].id}
    assert [each.id for each in await users.page({}, Page(10, None), role=Role.OFFICER)] == [people[3].id]
