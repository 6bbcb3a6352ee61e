"""Signing in with a password: what matches, what doesn't, and how often one may try."""

from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from api.accounts.passwords import Passwords
from api.http.errors import format_errors
from schema.accounts.login_attempts import PER_NAME
from schema.accounts.sessions import RefreshSessionInput, SignInInput
from tests.support.phone_sessions import PASSWORD, SIGN_IN, SIGN_OUT, Phone, is_ended, with_passwords
from tests.support.world import LIGHT, SCHEMA, World, new_id


@pytest.fixture
async def house(world: World) -> World:
    return await with_passwords(world)


@pytest.mark.parametrize(
    ("name", "password"),
    [("inspector", "wrong"), ("inspector", PASSWORD + " "), ("nobody", PASSWORD), ("liaison", PASSWORD)],
    ids=["wrong", "nearly", "unknown", "without password"],
)
async def test_what_does_not_match_is_answered_alike_and_changes_nothing(
    house: World, name: str, password: str
) -> None:
    before = await house.snapshot()
    answer = await Phone(house).sign_in(name, password)
    assert answer == {
        "code": "BAD_CREDENTIALS",
        "message": "The user name or the password is wrong.",
        "messageZh": "用户名或密码不正确。",
        "nextStep": "FIX_AND_RESEND",
        "field": None,
    }
    assert await house.snapshot() == before
    assert await house.store.mongo.collection("sessions").find({}) == []


async def test_a_closed_account_is_answered_like_a_wrong_password_and_ends_at_once(house: World) -> None:
    phone = Phone(house)
    await phone.sign_in()
    await house.store.users.put_all([replace(house.people["inspector"], active=False)])
    assert not await phone.is_signed_in()
    assert is_ended(await phone.refresh())
    assert (await Phone(house).sign_in())["code"] == "BAD_CREDENTIALS"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"deviceId": "phone"}, "BAD_ID", "deviceId"),
        ({"deviceId": "usr_0198f1aa-0000-7000-8000-000000000000"}, "BAD_ID", "deviceId"),
        ({"deviceName": "  "}, "BAD_INPUT", "deviceName"),
        ({"deviceName": "x" * 81}, "BAD_INPUT", "deviceName"),
        ({"userName": ""}, "BAD_INPUT", "userName"),
        ({"userName": "x" * 101}, "BAD_INPUT", "userName"),
        ({"password": "x" * 1001}, "BAD_INPUT", "password"),
    ],
    ids=str,
)
async def test_what_can_not_be_is_named(house: World, fields: dict[str, str], code: str, field: str) -> None:
    answer = await Phone(house).sign_in(**fields)
    assert (answer["code"], answer["field"]) == (code, field)
    assert await house.store.mongo.collection("attempts").find({}) == []


async def test_guessing_has_an_end_that_the_owners_phone_does_not_feel(house: World) -> None:
    owner, guesser = Phone(house), Phone(house)
    await owner.sign_in()
    for _ in range(PER_NAME):
        assert (await guesser.sign_in(password="wrong"))["code"] == "BAD_CREDENTIALS"
    locked = await guesser.sign_in()
    assert (locked["code"], locked["nextStep"]) == ("TOO_MANY_ATTEMPTS", "RETRY_LATER")
    assert locked["message"] == "Too many failed attempts. Try again in 15 minutes."
    assert "accessToken" in await owner.sign_in(), "the same person at the same address, on a known device"
    assert "accessToken" in await Phone(house, address="198.51.100.1").sign_in()
    assert (await guesser.sign_in())["code"] == "TOO_MANY_ATTEMPTS", "others' successes open nothing"
    guesser.later = timedelta(minutes=16)
    assert "accessToken" in await guesser.sign_in()
    for _ in range(PER_NAME + 1):
        assert (await Phone(house).sign_in("nobody", "x"))["code"] in {"BAD_CREDENTIALS", "TOO_MANY_ATTEMPTS"}
    assert (await Phone(house).sign_in("nobody", "x"))["code"] == "TOO_MANY_ATTEMPTS", "names there are and are not"


async def test_a_busy_server_counts_no_attempt(house: World) -> None:
    house.passwords = Passwords(cost=LIGHT, at_once=0, queue=0)
    phone = Phone(house)
    for _ in range(PER_NAME * 2):
        assert (await phone.sign_in())["code"] == "BUSY"
    house.passwords = Passwords(cost=LIGHT)
    assert "accessToken" in await phone.sign_in()


async def test_a_hash_of_older_cost_is_renewed_by_signing_in(house: World) -> None:
    id = house.people["inspector"].id
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    await house.store.users.set_password(id, old, house.context(None).now)
    await Phone(house).sign_in(password="wrong")
    user = await house.store.users.by_id(id)
    assert user is not None
    assert user.password_hash == old
    phone = Phone(house)
    await phone.sign_in()
    user = await house.store.users.by_id(id)
    assert user is not None
    assert "m=8,t=1,p=1" in str(user.password_hash)
    assert await phone.is_signed_in()
    assert "accessToken" in await phone.sign_in()


async def test_passwords_are_refused_where_an_identity_provider_is_named(house: World) -> None:
    phone = Phone(house)
    await phone.sign_in()
    house.settings = replace(house.settings, oidc_issuer="https://id.example")
    before = await house.snapshot()
    for answer in (await phone.sign_in(), await phone.refresh()):
        assert answer["code"] == "FORBIDDEN"
        assert "identity provider" in answer["message"]
    viewer = house.viewer("inspector")
    context = replace(house.context(None), viewer=replace(viewer, device_id=None))
    result = await SCHEMA.execute(SIGN_OUT, context_value=context)
    assert result.data is not None
    assert result.data["answer"]["code"] == "FORBIDDEN"
    assert await house.snapshot() == before


def test_what_holds_secrets_does_not_print_them() -> None:
    signing_in = SignInInput(user_name="wang", password=PASSWORD, device_id=new_id("dev"), device_name="手机")
    assert repr(signing_in) == "SignInInput(...)"
    assert repr(RefreshSessionInput(refresh_token="ses_x.y.z", device_id=new_id("dev"))) == "RefreshSessionInput(...)"


@pytest.mark.parametrize(
    "given",
    [
        {"deviceName": None},
        {"password": [PASSWORD]},
        {"password": {"is": PASSWORD}},
        {"password": 7, "extra": PASSWORD},
        {"userNam": PASSWORD},
        {"deviceId": [PASSWORD]},
    ],
    ids=str,
)
async def test_what_can_not_be_read_is_not_quoted(given: dict[str, object]) -> None:
    fields = {"userName": "wang", "password": PASSWORD, "deviceId": "dev_1", "deviceName": "手机"} | given
    for variables in ({"input": fields}, {"input": PASSWORD}, {"input": {"password": PASSWORD}}):
        result = await SCHEMA.execute(SIGN_IN, variable_values=variables)
        written = repr(format_errors(result.errors or []))
        assert "BAD_USER_INPUT" in written
        assert PASSWORD not in written
    for document in (
        f'mutation {{ signIn(input: {{ password: ["{PASSWORD}"] }}) {{ __typename }} }}',
        f'mutation {{ signIn(input: {{ password: "{PASSWORD}", extra: 1 }}) {{ __typename }} }}',
        f'mutation {{ signIn(input: {{ password "{PASSWORD}" }}) {{ __typename }} }}',
    ):
        result = await SCHEMA.execute(document)
        written = repr(format_errors(result.errors or []))
        assert "BAD_USER_INPUT" in written
        assert PASSWORD not in written
