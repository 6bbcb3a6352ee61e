"""Test a phone's session from one password sign-in to the next."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from api.accounts.key_ring import KeyRing
from schema.accounts.login_attempts import PER_DEVICE
from schema.core.refusals import Refusal, RefusalCode
from tests.support.phone_sessions import CHANGE, PASSWORD, REFRESH, REVOKE, SIGN_OUT, Phone, is_ended, with_passwords
from tests.support.world import World, new_id


@pytest.fixture
async def house(world: World) -> World:
    return await with_passwords(world)


async def test_a_password_opens_a_session_that_refresh_tokens_extend(house: World) -> None:
    phone = Phone(house)
    answer = await phone.sign_in(" Inspector ")
    assert answer["user"] == {"id": house.people["inspector"].id}
    viewer = await phone.viewer()
    assert viewer == replace(house.viewer("inspector"), device_id=phone.id)
    for _ in range(3):
        phone.later += timedelta(minutes=11)
        with pytest.raises(Refusal) as caught:
            await phone.viewer()
        assert caught.value.code is RefusalCode.UNAUTHENTICATED, "the access token has expired"
        before = phone.answer
        await phone.refresh()
        assert phone.answer["refreshToken"] != before["refreshToken"]
        assert await phone.viewer() == viewer
    user = await house.store.users.by_id(house.people["inspector"].id)
    assert user is not None
    [device] = user.devices
    assert (device.id, device.name) == (phone.id, "手机")
    assert device.seen_at - device.signed_in_at >= timedelta(minutes=33)


async def test_a_lost_refresh_reply_does_not_end_the_session(house: World) -> None:
    phone = Phone(house)
    old = (await phone.sign_in())["refreshToken"]
    lost = (await phone.refresh(old))["refreshToken"]
    phone.later = timedelta(seconds=house.settings.refresh_grace_seconds - 10)
    kept = await phone.refresh(old)
    assert kept["refreshToken"] not in {old, lost}
    assert await phone.is_signed_in()
    assert "accessToken" in await phone.refresh()


async def test_a_replayed_refresh_token_ends_the_session_for_both_holders(house: World) -> None:
    owner, other = Phone(house), Phone(house)
    stolen = (await owner.sign_in())["refreshToken"]
    await other.sign_in()
    thief = replace(owner, address="198.51.100.1")
    await owner.refresh()
    await owner.refresh()
    assert is_ended(await thief.refresh(stolen))
    assert is_ended(await owner.refresh())
    assert not await owner.is_signed_in(), "the access token of ten minutes is refused at once"
    assert await other.is_signed_in(), "another device of the same person"
    assert "accessToken" in await owner.sign_in()
    assert is_ended(await thief.refresh(stolen))
    assert await owner.is_signed_in(), "an old family's token does not reach the new one"


async def test_a_refresh_token_used_late_or_on_another_device_ends_the_session(house: World) -> None:
    phone = Phone(house)
    old = (await phone.sign_in())["refreshToken"]
    await phone.refresh()
    phone.later = timedelta(seconds=house.settings.refresh_grace_seconds + 1)
    assert is_ended(await phone.refresh(old))
    assert not await phone.is_signed_in()
    await phone.sign_in()
    elsewhere = Phone(house, answer=phone.answer)
    assert is_ended(await elsewhere.refresh())
    assert not await phone.is_signed_in()


async def test_an_invented_refresh_token_ends_no_session(house: World) -> None:
    phone = Phone(house)
    session_id, randomness, tag = (await phone.sign_in())["refreshToken"].split(".")
    for invented in (f"{session_id}.{randomness[::-1]}.{tag}", session_id, "", "密", "x" * 5000):
        assert is_ended(await phone.do(REFRESH, refreshToken=invented, deviceId=phone.id))
    assert await phone.is_signed_in()
    assert "accessToken" in await phone.refresh()


async def test_a_session_unused_for_sixty_days_ends(house: World) -> None:
    phone = Phone(house)
    await phone.sign_in()
    phone.later = timedelta(days=house.settings.refresh_token_days) - timedelta(minutes=1)
    assert "accessToken" in await phone.refresh()
    phone.later += timedelta(days=house.settings.refresh_token_days)
    assert is_ended(await phone.refresh())


async def test_signing_in_again_ends_the_devices_earlier_session(house: World) -> None:
    phone = Phone(house)
    await phone.sign_in()
    earlier = replace(phone)
    await phone.sign_in()
    assert not await earlier.is_signed_in()
    assert is_ended(await earlier.refresh())
    assert await phone.is_signed_in()
    assert "accessToken" in await phone.refresh()


async def test_signing_out_ends_only_this_devices_session(house: World) -> None:
    phone, other = Phone(house), Phone(house)
    await phone.sign_in()
    await other.sign_in()
    assert await phone.do(SIGN_OUT, signed_in=True) == {"deviceId": phone.id}
    assert not await phone.is_signed_in()
    assert is_ended(await phone.refresh())
    assert await other.is_signed_in()
    assert "accessToken" in await other.refresh()


async def test_a_user_signs_a_lost_phone_out_from_another_device(house: World) -> None:
    lost, other, strangers = Phone(house), Phone(house), Phone(house)
    await lost.sign_in()
    await other.sign_in()
    await strangers.sign_in("officer")
    first = await other.do(REVOKE, signed_in=True, deviceId=lost.id)
    assert first["device"]["id"] == lost.id
    assert first["device"]["revokedAt"] is not None
    assert not await lost.is_signed_in()
    assert is_ended(await lost.refresh())
    other.later = timedelta(minutes=1)
    assert await other.do(REVOKE, signed_in=True, deviceId=lost.id) == first
    for id, code in ((strangers.id, "NOT_FOUND"), (new_id("dev"), "NOT_FOUND"), ("dev_1", "BAD_ID")):
        assert (await other.do(REVOKE, signed_in=True, deviceId=id))["code"] == code
    assert await strangers.is_signed_in()
    assert (await other.do(REVOKE, deviceId=other.id))["code"] == "UNAUTHENTICATED"
    assert (await other.do(SIGN_OUT))["code"] == "UNAUTHENTICATED"
    assert await other.is_signed_in()


async def test_changing_the_password_signs_other_devices_out_and_can_be_retried(house: World) -> None:
    phone, other, colleague = Phone(house), Phone(house), Phone(house)
    for each in (other, phone):
        await each.sign_in()
    await colleague.sign_in("officer")
    for _ in range(2):
        answer = await phone.do(CHANGE, signed_in=True, currentPassword=PASSWORD, newPassword="另一个 long password")
        assert [(each["id"], each["revokedAt"] is None) for each in answer["devices"]] == [
            (phone.id, True),
            (other.id, False),
        ]
    assert await phone.is_signed_in()
    assert "accessToken" in await phone.refresh()
    assert not await other.is_signed_in()
    assert is_ended(await other.refresh())
    assert (await Phone(house).sign_in())["code"] == "BAD_CREDENTIALS"
    assert "accessToken" in await Phone(house).sign_in(password="另一个 long password")
    assert await colleague.is_signed_in()
    assert "accessToken" in await Phone(house).sign_in("officer")


async def test_a_refused_password_change_changes_nothing(house: World) -> None:
    phone, other = Phone(house), Phone(house)
    for each in (other, phone):
        await each.sign_in()
    before = await house.snapshot()
    for current, new, code, field in (
        ("wrong password", "another password", "BAD_CREDENTIALS", "currentPassword"),
        ("", "another password", "BAD_INPUT", "currentPassword"),
        (PASSWORD, "short12", "BAD_INPUT", "newPassword"),
        (PASSWORD, " " * 9, "BAD_INPUT", "newPassword"),
        (PASSWORD, "x" * 1001, "BAD_INPUT", "newPassword"),
        (PASSWORD, PASSWORD, "BAD_INPUT", "newPassword"),
    ):
        answer = await phone.do(CHANGE, signed_in=True, currentPassword=current, newPassword=new)
        assert (answer["code"], answer["field"]) == (code, field)
    answer = await phone.do(CHANGE, currentPassword=PASSWORD, newPassword="another password")
    assert answer["code"] == "UNAUTHENTICATED"
    assert await house.snapshot() == before
    assert await other.is_signed_in()


async def test_password_change_attempts_are_limited_like_sign_ins(house: World) -> None:
    """The server compares both passwords, because a retry after a lost reply succeeds too. So both are guesses."""
    phone = Phone(house)
    await phone.sign_in()
    fields = {"currentPassword": "a guess", "newPassword": "another guess"}
    changes = PER_DEVICE // 2
    codes = [(await phone.do(CHANGE, signed_in=True, **fields))["code"] for _ in range(changes + 1)]
    assert codes == ["BAD_CREDENTIALS"] * changes + ["TOO_MANY_ATTEMPTS"]
    assert (await phone.do(CHANGE, signed_in=True, currentPassword=PASSWORD, newPassword="another password"))[
        "code"
    ] == "TOO_MANY_ATTEMPTS"
    assert await phone.is_signed_in()


async def test_another_secret_of_the_server_ends_a_session_at_its_renewal(house: World, tmp_path: Path) -> None:
    phone = Phone(house)
    await phone.sign_in()
    (tmp_path / "1.pem").write_bytes((house.settings.keys_folder / "1.pem").read_bytes())
    house.keys = KeyRing(tmp_path)
    assert await phone.is_signed_in()
    assert is_ended(await phone.refresh())
    assert "accessToken" in await phone.sign_in()
