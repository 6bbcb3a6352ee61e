"""Test which user an Authorization header identifies, with our own tokens and with an identity provider's."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog

from api.accounts.access_tokens import AccessTokens
from api.accounts.authentication import Authenticator
from api.accounts.oidc import ProviderTokens
from api.server.app import create_app
from api.settings import SettingError
from schema.access.viewers import Role
from schema.core.refusals import Refusal, RefusalCode
from tests.support.identity_provider import AUDIENCE, ISSUER, NOW, Provider, provider_token
from tests.support.phone_sessions import PASSWORD, REFRESH, SIGN_IN, Phone, with_passwords
from tests.support.world import World, new_id


@pytest.fixture
async def house(world: World) -> World:
    return await with_passwords(world)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", "Bearer 密", "bearer x.y.z"])
async def test_a_malformed_authorization_header_is_refused(house: World, header: str) -> None:
    authenticator = Authenticator(house.store.users, AccessTokens(house.keys, 600))
    with pytest.raises(Refusal) as caught:
        await authenticator.viewer_of(header, house.context(None).now)
    assert caught.value.code is RefusalCode.UNAUTHENTICATED
    assert await authenticator.viewer_of(None, house.context(None).now) is None


async def test_a_remembered_token_shows_the_account_as_it_is_now(house: World) -> None:
    phone, users = Phone(house), house.store.users
    await phone.sign_in()
    header, now = f"Bearer {phone.answer['accessToken']}", house.context(None).now
    authenticator, inspector = Authenticator(users, AccessTokens(house.keys, 600)), house.people["inspector"]
    before = await authenticator.viewer_of(header, now)
    assert before
    await users.put_all([replace(inspector, roles=[Role.OFFICER], scope_paths=())])
    after = await authenticator.viewer_of(header, now)
    assert after == replace(before, roles=frozenset({Role.OFFICER}), scopes=())
    await users.revoke_device(inspector.id, phone.id, now)
    with pytest.raises(Refusal) as caught:
        await authenticator.viewer_of(header, now)
    assert caught.value.code is RefusalCode.SESSION_ENDED


async def test_an_identity_providers_tokens_replace_our_own(house: World) -> None:
    officer = replace(house.people["officer"], subject="u-1")
    await house.store.users.put_all([officer])
    provider = Provider()
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            tokens = ProviderTokens(
                issuer=ISSUER,
                audience=AUDIENCE,
                jwks_url=provider.url,
                subject_claim="sub",
                client=client,
            )
            authenticator = Authenticator(house.store.users, AccessTokens(house.keys, 600), tokens)
            viewer = await authenticator.viewer_of(f"Bearer {provider_token()}", NOW)
            assert viewer == replace(house.viewer("officer"), device_id=None)
            assert viewer.signed_in_at is None
            an_hour_ago = int(NOW.timestamp()) - 3600
            viewer = await authenticator.viewer_of(f"Bearer {provider_token(auth_time=an_hour_ago)}", NOW)
            assert viewer is not None
            assert viewer.signed_in_at == NOW.replace(microsecond=0) - timedelta(hours=1)
            phone = Phone(house)
            await phone.sign_in()
            stranger = provider_token(sub="u-2")
            for token in (phone.answer["accessToken"], stranger, provider_token(iss="https://other.example")):
                with pytest.raises(Refusal) as caught:
                    await authenticator.viewer_of(f"Bearer {token}", NOW)
                assert caught.value.code is RefusalCode.UNAUTHENTICATED
            await house.store.users.put_all([replace(officer, active=False)])
            with pytest.raises(Refusal) as caught:
                await authenticator.viewer_of(f"Bearer {provider_token()}", NOW)
            assert caught.value.code is RefusalCode.UNAUTHENTICATED
    finally:
        provider.stop()


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Restore the logging that an application sets up for its whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("logging_restored")
async def test_an_incomplete_provider_configuration_is_refused(house: World) -> None:
    half = replace(house.settings, oidc_issuer="https://id.example")
    with pytest.raises(SettingError, match="MINGCHA_OIDC_JWKS_URL"):
        create_app(half, house.store)


@pytest.mark.usefixtures("logging_restored")
async def test_no_secret_is_logged_over_http(house: World, capfd: pytest.CaptureFixture[str]) -> None:
    app = create_app(replace(house.settings, log_level="DEBUG"), house.store)
    device = new_id("dev")
    given: dict[str, Any] = {"userName": "inspector", "password": PASSWORD, "deviceId": device, "deviceName": "手机"}
    transport = httpx.ASGITransport(app=app, client=("203.0.113.7", 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:

        async def post(query: str, variables: dict[str, Any] | None = None, token: str = "") -> dict[str, Any]:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            body = {"query": query, "variables": {"input": variables} if variables else {}}
            answer: dict[str, Any] = (await client.post("/graphql", json=body, headers=headers)).json()
            return answer

        async def refresh(token: str) -> dict[str, Any]:
            answer = await post(REFRESH, {"refreshToken": token, "deviceId": device})
            made: dict[str, Any] = answer["data"]["answer"]
            return made

        wrong = await post(SIGN_IN, given | {"password": "guess-guess"})
        assert wrong["data"]["answer"]["code"] == "BAD_CREDENTIALS"
        first = (await post(SIGN_IN, given))["data"]["answer"]
        me = await post("{ me { thisDeviceId user { id } } }", token=first["accessToken"])
        assert me["data"]["me"] == {"thisDeviceId": device, "user": first["user"]}
        second = await refresh(first["refreshToken"])
        third = await refresh(second["refreshToken"])
        assert (await refresh(first["refreshToken"]))["code"] == "SESSION_ENDED"
        over = await post("{ me { thisDeviceId } }", token=third["accessToken"])
        assert over["errors"][0]["extensions"]["code"] == "SESSION_ENDED"
        bad = await post("{ me { thisDeviceId } }", token=first["accessToken"][:-9])
        assert bad["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert "errors" in await post(SIGN_IN, given | {"deviceId": 7, "userName": None})
        keys = (await client.get("/.well-known/jwks.json")).json()["keys"]
        assert [each["kid"] for each in keys] == [house.keys.signing.id]
    written = "\n".join(capfd.readouterr())
    assert "used again" in written
    tokens = [answer[kind] for answer in (first, second, third) for kind in ("accessToken", "refreshToken")]
    for secret in (PASSWORD, "guess-guess", "inspector", device, *tokens, *(token[-20:] for token in tokens)):
        assert secret not in written
