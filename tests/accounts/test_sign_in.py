"""Test signing in with a password: what matches, what doesn't, and how many attempts are allowed."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from api.accounts.fair_queue import FairQueue
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
async def test_every_failed_sign_in_gets_the_same_answer_and_changes_nothing(
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
        "retryAfterSeconds": None,
    }
    assert await house.snapshot() == before
    assert await house.store.mongo.collection("sessions").find({}) == []


async def test_a_closed_account_is_signed_out_and_answers_like_a_wrong_password(house: World) -> None:
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
async def test_an_invalid_field_is_named_and_counts_no_attempt(
    house: World, fields: dict[str, str], code: str, field: str
) -> None:
    answer = await Phone(house).sign_in(**fields)
    assert (answer["code"], answer["field"]) == (code, field)
    assert await house.store.mongo.collection("attempts").find({}) == []


async def test_guesses_are_limited_without_locking_the_owners_phone(house: World) -> None:
    owner, guesser = Phone(house), Phone(house)
    await owner.sign_in()
    for _ in range(PER_NAME):
        assert (await guesser.sign_in(password="wrong"))["code"] == "BAD_CREDENTIALS"
    locked = await guesser.sign_in()
    assert (locked["code"], locked["nextStep"]) == ("TOO_MANY_ATTEMPTS", "RETRY_LATER")
    assert locked["message"] == "Too many failed attempts. Try again in 15 minutes."
    assert 890 < locked["retryAfterSeconds"] <= 900
    assert "accessToken" in await owner.sign_in(), "the same person at the same address, on a known device"
    assert "accessToken" in await Phone(house, address="198.51.100.1").sign_in()
    assert (await guesser.sign_in())["code"] == "TOO_MANY_ATTEMPTS", "others' successes open nothing"
    guesser.later = timedelta(minutes=16)
    assert "accessToken" in await guesser.sign_in()
    for _ in range(PER_NAME + 1):
        assert (await Phone(house).sign_in("nobody", "x"))["code"] in {"BAD_CREDENTIALS", "TOO_MANY_ATTEMPTS"}
    assert (await Phone(house).sign_in("nobody", "x"))["code"] == "TOO_MANY_ATTEMPTS", "names there are and are not"


async def test_a_burst_of_right_passwords_behind_one_address_signs_everybody_in(house: World) -> None:
    """Far more attempts than may fail are made at the same moment, by the same names and from the same address."""
    phones = [Phone(house) for _ in range(3 * PER_NAME)]
    answers = await asyncio.gather(*(phone.sign_in(("inspector", "officer")[n % 2]) for n, phone in enumerate(phones)))
    assert [answer for answer in answers if "accessToken" not in answer] == []
    left = await house.store.mongo.collection("attempts").find({})
    assert {(bucket["count"], bucket["open"]) for bucket in left} == {(0, 0)}


async def test_a_busy_server_counts_no_attempt(house: World) -> None:
    house.passwords = Passwords(cost=LIGHT, turns=FairQueue(at_once=0, limit=0))
    phone = Phone(house)
    for _ in range(PER_NAME * 2):
        refused = await phone.sign_in()
        assert (refused["code"], refused["retryAfterSeconds"]) == ("BUSY", 1)
    assert await house.store.mongo.collection("attempts").find({}) == []
    house.passwords = Passwords(cost=LIGHT)
    assert "accessToken" in await phone.sign_in()


async def test_signing_in_renews_a_hash_with_an_older_cost(house: World) -> None:
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


async def test_passwords_are_refused_when_an_identity_provider_is_configured(house: World) -> None:
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


def test_inputs_hide_their_secrets_in_repr() -> None:
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
async def test_errors_about_unreadable_input_do_not_quote_the_password(given: dict[str, object]) -> None:
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
