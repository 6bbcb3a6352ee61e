"""Test remote wiping of devices: who may order it, and the proof that only the server can make."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.accounts.key_ring import KeyRing
from schema.access.viewers import Clearance
from schema.accounts.sessions import wipe_proof
from storage.accounts.users import MAX_DEVICES
from tests.support.phone_sessions import Phone, is_ended, with_passwords
from tests.support.world import REFUSED, World, new_id

SIGNED = f"... on SignedIn {{ accessToken refreshToken deviceSecret }} ... on Refused {{ code proof }} {REFUSED}"
SIGN_IN = f"mutation M($input: SignInInput!) {{ answer: signIn(input: $input) {{ {SIGNED} }} }}"
REFRESH = f"mutation M($input: RefreshSessionInput!) {{ answer: refreshSession(input: $input) {{ {SIGNED} }} }}"
REVOKE = f"mutation M($input: RevokeDeviceInput!) {{ answer: revokeDevice(input: $input) \
{{ ... on RevokeDevicePayload {{ device {{ id seenAt revokedAt wipeOrderedAt }} }} {REFUSED} }} }}"
WIPE = f"mutation M($input: WipeDevicesInput!) {{ wipeDevices(input: $input) \
{{ ... on WipeDevicesPayload {{ user {{ id }} devices lastSeenAt }} {REFUSED} }} }}"


@pytest.fixture
async def house(world: World) -> World:
    return await with_passwords(world)


async def signed_in(house: World, name: str = "inspector") -> Phone:
    phone = Phone(house)
    given: dict[str, Any] = {
        "userName": name,
        "password": "correct-horse-密码",
        "deviceId": phone.id,
        "deviceName": "手机",
    }
    phone.answer = await phone.do(SIGN_IN, **given)
    return phone


async def renewed(phone: Phone) -> dict[str, Any]:
    return await phone.do(REFRESH, refreshToken=phone.answer["refreshToken"], deviceId=phone.id)


async def test_a_device_secret_is_unique_per_user_and_device_and_never_changes(house: World) -> None:
    phone, other, officer = await signed_in(house), await signed_in(house), await signed_in(house, "officer")
    secret = phone.answer["deviceSecret"]
    assert len({secret, other.answer["deviceSecret"], officer.answer["deviceSecret"]}) == 3
    house.keys = KeyRing(house.settings.keys_folder)  # like after a restart, or in another process
    phone.answer = await renewed(phone)
    assert phone.answer["deviceSecret"] == secret
    phone.answer = await signed_in_again(phone)
    assert phone.answer["deviceSecret"] == secret


async def signed_in_again(phone: Phone) -> dict[str, Any]:
    given: dict[str, Any] = {
        "userName": "inspector",
        "password": "correct-horse-密码",
        "deviceId": phone.id,
        "deviceName": "手机",
    }
    return await phone.do(SIGN_IN, **given)


async def test_only_the_wiped_device_receives_the_order_with_a_proof(house: World) -> None:
    phone, other, plain = await signed_in(house), await signed_in(house), await signed_in(house)
    phone.later = timedelta(minutes=3)
    phone.answer = await renewed(phone)
    said = (await other.do(REVOKE, signed_in=True, deviceId=phone.id, wipe=True))["device"]
    assert said["revokedAt"] is not None
    assert said["wipeOrderedAt"] is not None
    assert said["seenAt"] > said["revokedAt"], "when it last spoke is told: three minutes ahead here"
    await other.do(REVOKE, signed_in=True, deviceId=plain.id)
    for _ in range(2):  # a reply may be lost
        told = await renewed(phone)
        assert (told["code"], told["nextStep"]) == ("DEVICE_WIPED", "SIGN_IN_AGAIN")
        user_id = house.people["inspector"].id
        assert told["proof"] == wipe_proof(user_id, phone.id, phone.answer["refreshToken"], house.keys.devices_secret)
    ended = await renewed(plain)
    assert is_ended(ended)
    assert ended["proof"] is None
    assert "accessToken" in await renewed(other)
    elsewhere = await phone.do(REFRESH, refreshToken=phone.answer["refreshToken"], deviceId=new_id("dev"))
    assert (elsewhere["code"], elsewhere["proof"]) == ("SESSION_ENDED", None)

    before = phone.answer
    phone.answer = await signed_in_again(phone)
    assert "accessToken" in await renewed(phone), "a sign-in takes the order back"
    phone.answer = before
    assert is_ended(await renewed(phone)), "and the earlier session stays ended, without an order"


async def test_an_order_to_erase_outlives_the_list_of_devices(house: World) -> None:
    wiped, other = await signed_in(house), await signed_in(house)
    await other.do(REVOKE, signed_in=True, deviceId=wiped.id, wipe=True)
    await fill_list(house)
    for _ in range(2):
        assert (await renewed(wiped))["code"] == "DEVICE_WIPED"
    before = wiped.answer
    wiped.later = timedelta(seconds=1)
    wiped.answer = await signed_in_again(wiped)
    await fill_list(house)
    wiped.answer = before
    assert is_ended(await renewed(wiped)), "the sign-in took the order back, also when the list has forgotten it"


async def fill_list(house: World) -> None:
    """Sign in on so many other devices that the list has none of before."""
    for _ in range(MAX_DEVICES):
        newest = await signed_in(house)
    user = await house.store.users.by_id(house.people["inspector"].id)
    assert user is not None
    assert [device.revoked_at for device in user.devices] == [None] * MAX_DEVICES
    assert user.devices[0].id == newest.id


async def test_an_administrator_wipes_devices_that_the_list_no_longer_has(house: World) -> None:
    house.people["admin"] = replace(house.people["admin"], clearances=(Clearance.IDENTITY,))
    forgotten = await signed_in(house)
    await fill_list(house)
    done = (await house.ask("admin", WIPE, input={"userId": house.people["inspector"].id}))["wipeDevices"]
    assert done["devices"] == MAX_DEVICES + 1
    assert (await renewed(forgotten))["code"] == "DEVICE_WIPED"


async def test_an_administrator_wipes_devices_of_users_they_may_see(house: World) -> None:
    phone = await signed_in(house, "officer")
    officer, inspector = house.people["officer"].id, house.people["inspector"].id
    hidden = await signed_in(house)
    for name, user_id, code in (
        ("officer", officer, "FORBIDDEN"),
        ("admin", inspector, "NOT_FOUND"),  # covert, so hidden from the administrator
        ("admin", new_id("usr"), "NOT_FOUND"),
        ("admin", "usr_1", "BAD_ID"),
    ):
        refused = await house.ask(name, WIPE, input={"userId": user_id})
        assert refused["wipeDevices"]["code"] == code
    phone.answer, hidden.answer = await renewed(phone), await renewed(hidden)
    assert "accessToken" in phone.answer
    assert "accessToken" in hidden.answer
    await house.store.users.close(
        [officer], house.context(None).now
    )  # devices can also be wiped after the account is closed
    done = (await house.ask("admin", WIPE, input={"userId": officer}))["wipeDevices"]
    assert (done["user"]["id"], done["devices"]) == (officer, 1)
    assert done["lastSeenAt"] is not None
    assert (await renewed(phone))["code"] == "DEVICE_WIPED"
    assert "accessToken" in await renewed(hidden)
    user = await house.store.users.by_id(officer)
    assert user
    assert [each.wipe_ordered_by for each in user.devices] == [house.people["admin"].id]
    house.people["admin"] = replace(house.people["admin"], clearances=(Clearance.IDENTITY,))
    cleared = await house.ask("admin", WIPE, input={"userId": inspector})
    assert cleared["wipeDevices"]["devices"] == 1
