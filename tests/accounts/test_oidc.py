"""Test an identity provider's tokens, with keys that a real server on loopback publishes."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from api.accounts.oidc import FRESH, REFETCH_AFTER, USABLE, ProviderTokens
from schema.core.refusals import Refusal, RefusalCode
from tests.support.identity_provider import AUDIENCE, ED, ISSUER, KEYS, NOW, RSA, Key, Provider, provider_token

STRANGERS: dict[str, Key] = {
    "rsa": RSAKey.generate_key(2048),
    "ec": ECKey.generate_key("P-256"),
    "ed": OKPKey.generate_key("Ed25519"),
}
"""Keys that the provider does not publish."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.stop()


@pytest.fixture
async def tokens(provider: Provider) -> AsyncIterator[ProviderTokens]:
    client = httpx.AsyncClient(trust_env=False, timeout=5)
    yield ProviderTokens(issuer=ISSUER, audience=AUDIENCE, jwks_url=provider.url, subject_claim="sub", client=client)
    await client.aclose()


def letters(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def unsigned(**header: str) -> str:
    """Return the header and payload of a token that no library would produce."""
    return f"{letters(json.dumps(header).encode())}.{provider_token().split('.')[1]}"


async def subject_of(tokens: ProviderTokens, text: str, now: datetime) -> str:
    return (await tokens.identify(text, now)).subject


async def refused(
    tokens: ProviderTokens, text: str, now: datetime = NOW, code: RefusalCode = RefusalCode.UNAUTHENTICATED
) -> bool:
    with pytest.raises(Refusal) as caught:
        await subject_of(tokens, text, now)
    assert caught.value.code is code
    return True


@pytest.mark.parametrize("auth_time", [True, "1795136700", [1], -1, 4e9, 1e300])
async def test_an_impossible_time_of_sign_in_counts_as_none(tokens: ProviderTokens, auth_time: object) -> None:
    assert (await tokens.identify(provider_token(auth_time=auth_time), NOW)).signed_in_at is None


@pytest.mark.parametrize("name", sorted(KEYS))
async def test_the_providers_tokens_are_accepted_until_they_expire(tokens: ProviderTokens, name: str) -> None:
    assert await subject_of(tokens, provider_token(name), NOW) == "u-1"
    assert await subject_of(tokens, provider_token(name, aud=["other", AUDIENCE]), NOW) == "u-1"
    assert await subject_of(tokens, provider_token(name), NOW + timedelta(seconds=329)) == "u-1"
    assert await refused(tokens, provider_token(name), NOW + timedelta(seconds=330))


async def test_the_old_algorithm_name_eddsa_is_accepted_without_a_warning(
    tokens: ProviderTokens, recwarn: pytest.WarningsRecorder
) -> None:
    private = ED.private_key
    assert isinstance(private, Ed25519PrivateKey)
    text = unsigned(alg="EdDSA", kid="ed")
    assert await subject_of(tokens, f"{text}.{letters(private.sign(text.encode()))}", NOW) == "u-1"
    assert not recwarn.list


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"aud": "https://other.example"},
        {"aud": []},
        {"aud": None},
        {"exp": None},
        {"exp": int(NOW.timestamp()) - 30},
        {"nbf": int(NOW.timestamp()) + 31},
        {"iat": int(NOW.timestamp()) + 31},
        {"sub": None},
        {"sub": ""},
        {"sub": ["u-1"]},
        {"sub": {"$ne": None}},
        {"sub": "x" * 256},
    ],
    ids=str,
)
async def test_wrong_claims_are_refused(tokens: ProviderTokens, changes: dict[str, Any]) -> None:
    assert await refused(tokens, provider_token(**changes))


async def test_a_verified_token_is_refused_once_another_key_has_its_id(
    tokens: ProviderTokens, provider: Provider
) -> None:
    text, later = provider_token("ed", exp=4e9), NOW + FRESH + timedelta(seconds=1)
    assert await subject_of(tokens, text, NOW) == "u-1"
    assert await subject_of(tokens, text, later) == "u-1"
    provider.keys = [dict(OKPKey.generate_key("Ed25519", {"kid": "ed"}).as_dict(private=False))]
    assert await refused(tokens, text, later + FRESH + timedelta(seconds=1))


async def test_forged_tokens_are_refused(tokens: ProviderTokens, provider: Provider) -> None:
    stranger = RSAKey.generate_key(2048)
    public = stranger.as_dict(private=False)
    assert await refused(tokens, provider_token(key=stranger))
    assert await refused(tokens, provider_token(key=stranger, header={"jwk": dict(public)}))
    assert await refused(tokens, provider_token(key=stranger, header={"jku": "http://127.0.0.1:9/keys", "kid": "rsa"}))
    assert await refused(tokens, provider_token("ec", header={"kid": "rsa"})), "another key's algorithm"
    assert await refused(tokens, provider_token(header={"typ": "secevent+jwt"}))
    assert await refused(tokens, "a.b.c")
    assert await refused(tokens, "密")
    header, payload, signature = provider_token().split(".")
    assert await refused(tokens, f"{header}.{payload}.")
    for algorithm in ("none", "NONE", ""):
        assert await refused(tokens, f"{unsigned(alg=algorithm, kid='rsa')}.")
        assert await refused(tokens, f"{unsigned(alg=algorithm, kid='rsa')}.{signature}")
    shared = unsigned(alg="HS256", kid="rsa")
    for secret in (RSA.as_pem(private=False), RSA.as_der(private=False)):
        mac = hmac.digest(secret, shared.encode(), "sha256")
        assert await refused(tokens, f"{shared}.{letters(mac)}")
    assert provider.asked == 1


@pytest.mark.parametrize("name", sorted(KEYS))
@pytest.mark.parametrize(("published", "stated"), [(False, False), (False, True), (True, False)])
async def test_one_key_needs_no_id(
    tokens: ProviderTokens, provider: Provider, name: str, published: bool, stated: bool
) -> None:
    """RFC 7517 makes the key id optional, in the key set and in the token."""
    public = dict(KEYS[name].as_dict(private=False))
    provider.keys = [public if published else {key: value for key, value in public.items() if key != "kid"}]
    header = {} if stated else {"kid": None}
    assert await subject_of(tokens, provider_token(name, header=header), NOW) == "u-1"
    stranger = STRANGERS[name]
    assert await refused(tokens, provider_token(name, key=stranger, header=header))
    assert provider.asked == 1


async def test_without_an_id_the_key_must_be_the_only_one_that_fits(tokens: ProviderTokens, provider: Provider) -> None:
    assert await subject_of(tokens, provider_token(header={"kid": None}), NOW) == "u-1", (
        "the only RSA key of three keys"
    )
    other = RSAKey.generate_key(2048, {"kid": "other"})
    provider.keys.append(dict(other.as_dict(private=False)))
    later = NOW + FRESH + timedelta(seconds=1)
    assert await refused(tokens, provider_token(header={"kid": None}, exp=4e9), later)
    assert await subject_of(tokens, provider_token(exp=4e9), later) == "u-1"


@pytest.mark.parametrize(
    ("claims", "admitted"),
    [
        ({"typ": "ID"}, False),
        ({"typ": "Refresh"}, False),
        ({"at_hash": "x"}, False),
        ({"c_hash": "x"}, False),
        ({"nonce": "x"}, False),
        ({"typ": "Bearer", "nonce": "x"}, True),
        ({"nonce": "x", "scope": "openid"}, True),
        ({"scope": "openid"}, True),
    ],
    ids=str,
)
async def test_an_id_token_is_refused_and_an_access_token_admitted(
    tokens: ProviderTokens, claims: dict[str, Any], admitted: bool
) -> None:
    if admitted:
        assert await subject_of(tokens, provider_token(**claims), NOW) == "u-1"
    else:
        assert await refused(tokens, provider_token(**claims))
        assert await refused(tokens, provider_token(header={"typ": "JWT"}, **claims))
        assert await subject_of(tokens, provider_token(header={"typ": "at+jwt"}, **claims), NOW) == "u-1"


async def test_the_log_says_why_a_token_is_refused_without_its_content(tokens: ProviderTokens) -> None:
    with structlog.testing.capture_logs() as lines:
        assert await refused(tokens, provider_token(exp=int(NOW.timestamp()) - 31))
        assert await refused(tokens, provider_token(header={"kid": "invented"}))
        assert await refused(tokens, provider_token(sub=""))
    assert [line["reason"] for line in lines] == ["ExpiredTokenError", "unknown key", "subject"]
    assert {key for line in lines for key in line} == {"event", "log_level", "reason"}


async def test_unusable_published_keys_are_ignored(tokens: ProviderTokens, provider: Provider) -> None:
    symmetric = OctKey.generate_key(256, {"kid": "oct", "alg": "HS256"})
    encrypting = RSAKey.generate_key(2048, {"kid": "enc"})
    provider.keys = [
        dict(symmetric.as_dict()),
        {**encrypting.as_dict(private=False), "use": "enc"},
        {"kty": "AKP", "kid": "new", "alg": "ML-DSA-44", "pub": "AAAA"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "EC", "kid": "odd", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kid": "none"},
        {"kty": 7, "kid": 7},
        *provider.keys,
    ]
    assert await subject_of(tokens, provider_token(), NOW) == "u-1"
    text = unsigned(alg="HS256", kid="oct")
    mac = hmac.digest(symmetric.raw_value, text.encode(), "sha256")
    assert await refused(tokens, f"{text}.{letters(mac)}")
    assert await refused(tokens, provider_token(key=encrypting, header={"kid": "enc"}))


@pytest.mark.filterwarnings("ignore:Key size should be")
async def test_short_rsa_keys_are_ignored(tokens: ProviderTokens, provider: Provider) -> None:
    short = RSAKey.generate_key(1024, {"kid": "short"})
    provider.keys.append(dict(short.as_dict(private=False)))
    assert await refused(tokens, provider_token(key=short, header={"kid": "short"}))


async def test_a_new_key_is_fetched_and_unknown_key_ids_do_not_flood_the_provider(
    tokens: ProviderTokens, provider: Provider
) -> None:
    assert await subject_of(tokens, provider_token(), NOW) == "u-1"
    new = RSAKey.generate_key(2048, {"kid": "new"})
    provider.keys.append(dict(new.as_dict(private=False)))
    for _ in range(20):
        assert await refused(tokens, provider_token(key=new, header={"kid": "new"})), "asked a moment ago"
    assert provider.asked == 1
    later = NOW + REFETCH_AFTER
    assert await subject_of(tokens, provider_token(key=new, header={"kid": "new"}), later) == "u-1"
    assert await refused(tokens, provider_token(header={"kid": "invented"}), later)
    assert provider.asked == 2


async def test_a_withdrawn_key_is_refused_once_the_cached_set_is_stale(
    tokens: ProviderTokens, provider: Provider
) -> None:
    assert await subject_of(tokens, provider_token(exp=4e9), NOW) == "u-1"
    provider.keys = [key for key in provider.keys if key["kid"] != "rsa"]
    assert await subject_of(tokens, provider_token(exp=4e9), NOW + FRESH) == "u-1"
    assert await refused(tokens, provider_token(exp=4e9), NOW + FRESH + timedelta(seconds=1))


async def test_cached_keys_stay_usable_during_a_provider_outage_of_a_day(
    tokens: ProviderTokens, provider: Provider
) -> None:
    assert await subject_of(tokens, provider_token(exp=4e9), NOW) == "u-1"
    provider.stop()
    assert await subject_of(tokens, provider_token(exp=4e9), NOW + USABLE) == "u-1"
    late = NOW + USABLE + timedelta(seconds=31)
    assert await refused(tokens, provider_token(exp=4e9), late, RefusalCode.UNAVAILABLE)


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (302, b""), (200, b"<html>"), (200, b"[]"), (200, b'{"keys": 7}'), (200, b" " * 300_000)],
    ids=["500", "redirect", "html", "list", "no list", "too long"],
)
async def test_an_invalid_key_set_counts_as_an_outage(
    tokens: ProviderTokens, provider: Provider, status: int, body: bytes
) -> None:
    provider.status, provider.body = status, body
    assert await refused(tokens, provider_token(), NOW, RefusalCode.UNAVAILABLE)
    provider.status, provider.body = 200, b""
    assert await refused(tokens, provider_token(), NOW + timedelta(seconds=29), RefusalCode.UNAVAILABLE)
    assert await subject_of(tokens, provider_token(), NOW + REFETCH_AFTER) == "u-1"
    assert provider.asked == 2


async def test_concurrent_requests_fetch_the_keys_once(tokens: ProviderTokens, provider: Provider) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(tokens.identify, provider_token(), NOW)
    assert provider.asked == 1


async def test_the_subject_can_come_from_another_claim(provider: Provider) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        tokens = ProviderTokens(
            issuer=ISSUER, audience=AUDIENCE, jwks_url=provider.url, subject_claim="employee", client=client
        )
        assert await subject_of(tokens, provider_token(employee="e-7"), NOW) == "e-7"
        assert await refused(tokens, provider_token())
