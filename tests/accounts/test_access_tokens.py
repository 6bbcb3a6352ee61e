"""Test our own access tokens: only a token that we signed and nobody changed is accepted."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OKPKey

from api.accounts import access_tokens
from api.accounts.access_tokens import LEEWAY_SECONDS, AccessTokens, Bearer
from api.accounts.key_ring import KeyRing
from schema.core.refusals import Refusal, RefusalCode
from tests.support.world import new_id

NOW = datetime(2026, 11, 22, 10, 0, 0, 250_000, tzinfo=UTC)
BEARER = Bearer(new_id("usr"), new_id("ses"), new_id("dev"))
SECONDS = 600


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def tokens(keys: KeyRing) -> AccessTokens:
    return AccessTokens(keys, SECONDS)


def letters(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def segment(content: object) -> str:
    return letters(json.dumps(content).encode())


def claims(**changes: Any) -> dict[str, Any]:
    at = int(NOW.timestamp())
    good = {
        "iss": "mingcha",
        "aud": "mingcha",
        "sub": BEARER.user_id,
        "sid": BEARER.session_id,
        "did": BEARER.device_id,
        "iat": at,
        "exp": at + SECONDS,
        "jti": "0123",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(keys: KeyRing, key: OKPKey | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    fields = {"alg": "Ed25519", "kid": keys.signing.id, "typ": "at+jwt"} | (header or {})
    return jwt.encode(fields, claims(**changes), key or keys.signing.key, algorithms=[fields["alg"]], default_type=None)


def raw(keys: KeyRing, header: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Return a token that no library would produce."""
    fields = {"alg": "Ed25519", "kid": keys.signing.id, "typ": "at+jwt"} | header
    text = f"{segment({name: value for name, value in fields.items() if value is not None})}.{segment(claims())}"
    return f"{text}.{letters(sign(text.encode()))}"


def sign_ed25519(keys: KeyRing) -> Callable[[bytes], bytes]:
    private = keys.signing.key.private_key
    assert isinstance(private, Ed25519PrivateKey)
    return private.sign


def refused(tokens: AccessTokens, token: str, now: datetime = NOW) -> bool:
    with pytest.raises(Refusal) as caught:
        tokens.verify(token, now)
    assert caught.value.code is RefusalCode.UNAUTHENTICATED
    assert str(caught.value) == "Sign in first.", "no reason is given, and nothing of the token"
    assert caught.value.__cause__ is None
    return True


def test_an_issued_token_is_accepted_until_it_expires(tokens: AccessTokens) -> None:
    token, expires_at = tokens.issue(BEARER, NOW)
    assert expires_at == NOW.replace(microsecond=0) + timedelta(seconds=SECONDS)
    assert tokens.verify(token, NOW).bearer == BEARER
    assert tokens.verify(token, expires_at + timedelta(seconds=LEEWAY_SECONDS - 1)).bearer == BEARER
    assert refused(tokens, token, expires_at + timedelta(seconds=LEEWAY_SECONDS))
    assert tokens.verify(token, NOW - timedelta(seconds=LEEWAY_SECONDS)).bearer == BEARER, "clocks differ a little"
    assert refused(tokens, token, NOW - timedelta(seconds=LEEWAY_SECONDS + 1))
    assert tokens.issue(BEARER, NOW)[0] != token


def test_pruning_a_key_ends_its_tokens_and_rotation_does_not(tmp_path: Path) -> None:
    keys = KeyRing(tmp_path)
    tokens = AccessTokens(keys, SECONDS)
    before, _ = tokens.issue(BEARER, NOW)
    KeyRing(tmp_path).rotate()
    running = AccessTokens(keys, SECONDS)
    after, _ = AccessTokens(KeyRing(tmp_path), SECONDS).issue(BEARER, NOW)
    assert [running.verify(token, NOW).bearer for token in (before, after)] == [BEARER, BEARER]
    KeyRing(tmp_path).prune(replaced_before=datetime.now(UTC) + timedelta(seconds=1))
    assert refused(AccessTokens(KeyRing(tmp_path), SECONDS), before)


def test_a_verified_token_is_remembered_until_it_expires_or_its_key_is_removed(tmp_path: Path) -> None:
    ticks = iter(range(100))
    keys = KeyRing(tmp_path, clock=lambda: next(ticks) * 2.0)  # so that each look reads the folder
    tokens = AccessTokens(keys, SECONDS)
    token, expires_at = tokens.issue(BEARER, NOW)
    known = tokens.verify(token, NOW)
    assert tokens.verify(token, NOW) is known
    assert known.valid_until == expires_at + timedelta(seconds=LEEWAY_SECONDS)
    assert refused(tokens, token, NOW - timedelta(seconds=LEEWAY_SECONDS + 1))
    assert tokens.verify(token, NOW).bearer == BEARER
    assert refused(tokens, token, known.valid_until)
    assert tokens.verify(token, NOW) is tokens.verify(token, NOW)
    KeyRing(tmp_path).rotate()
    assert tokens.verify(token, NOW) is tokens.verify(token, NOW)
    KeyRing(tmp_path).prune(replaced_before=datetime.now(UTC) + timedelta(seconds=1))
    assert refused(tokens, token)


def test_a_bounded_number_of_tokens_is_remembered(keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_tokens, "MAX_VERIFIED", 2)
    tokens = AccessTokens(keys, SECONDS)
    first, second, third = (tokens.issue(BEARER, NOW)[0] for _ in range(3))
    known = [tokens.verify(token, NOW) for token in (first, second, first, third)]
    assert tokens.verify(first, NOW) is known[0] is known[2]
    assert tokens.verify(third, NOW) is known[3]
    assert tokens.verify(second, NOW) is not known[1]
    assert tokens.verify(second, NOW) == known[1]


def test_an_unchanged_sample_token_is_accepted(keys: KeyRing, tokens: AccessTokens) -> None:
    """This shows that each bad sample below is refused only because of its one change."""
    assert tokens.verify(signed(keys), NOW).bearer == BEARER
    assert tokens.verify(raw(keys, {}, sign_ed25519(keys)), NOW).bearer == BEARER


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"exp": int(NOW.timestamp()) - LEEWAY_SECONDS},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": 1e400},
        {"iat": int(NOW.timestamp()) + 3600},
        {"iat": None},
        {"nbf": int(NOW.timestamp()) + 3600},
        {"sub": None},
        {"sub": "dev_01a20526-cff0-70d9-9121-a63ccfd304d6"},
        {"sub": {"$ne": None}},
        {"sid": None},
        {"sid": 7},
        {"did": None},
        {"did": "dev_1"},
        {"jti": None},
    ],
    ids=str,
)
def test_wrong_claims_are_refused(keys: KeyRing, tokens: AccessTokens, changes: dict[str, Any]) -> None:
    assert refused(tokens, signed(keys, **changes))


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "another"},
        {"kid": None},
        {"kid": ["1"]},
        {"typ": "JWT"},
        {"typ": None},
        {"alg": "EdDSA"},
        {"alg": None},
        {"x-unheard-of": "1"},
        {"crit": ["x-unheard-of"], "x-unheard-of": "1"},
    ],
    ids=str,
)
def test_wrong_headers_are_refused(keys: KeyRing, tokens: AccessTokens, header: dict[str, Any]) -> None:
    assert refused(tokens, raw(keys, header, sign_ed25519(keys)))


def test_foreign_signing_keys_are_refused(keys: KeyRing, tokens: AccessTokens) -> None:
    stranger = OKPKey.generate_key("Ed25519")
    assert refused(tokens, signed(keys, stranger))
    assert refused(tokens, signed(keys, stranger, {"kid": stranger.thumbprint()}))
    assert refused(tokens, signed(keys, stranger, {"jwk": stranger.as_dict(private=False)}))
    assert refused(tokens, signed(keys, stranger, {"jku": "http://127.0.0.1:9/keys"}))


def test_a_missing_or_mismatched_signature_is_refused(keys: KeyRing, tokens: AccessTokens) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        assert refused(tokens, raw(keys, {"alg": algorithm}, lambda _: b""))
    header, payload, signature = signed(keys).split(".")
    assert refused(tokens, f"{header}.{payload}.")
    assert refused(tokens, f"{header}.{segment(claims(sub=new_id('usr')))}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "Ed25519"])
def test_the_public_key_is_refused_as_an_hmac_secret(keys: KeyRing, tokens: AccessTokens, algorithm: str) -> None:
    public = keys.signing.key
    digest = "sha512" if algorithm == "HS512" else "sha256"
    for secret in (public.as_pem(private=False), public.as_der(private=False), public.public_key.public_bytes_raw()):
        sign = partial(hmac.digest, secret, digest=digest)
        assert refused(tokens, raw(keys, {"alg": algorithm}, sign))


@given(st.one_of(st.text(max_size=200), st.lists(st.text(max_size=60), max_size=5).map(".".join)))
def test_text_that_is_not_a_token_is_refused(tokens: AccessTokens, text: str) -> None:
    assert refused(tokens, text)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "x"]), st.none() | st.integers() | st.text()),
    st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5),
    st.text(max_size=10),
)
def test_invented_tokens_are_refused(tokens: AccessTokens, header: object, payload: object, signature: str) -> None:
    assert refused(tokens, f"{segment(header)}.{segment(payload)}.{signature}")


@given(st.data())
def test_a_changed_token_is_refused(keys: KeyRing, tokens: AccessTokens, data: st.DataObject) -> None:
    token = signed(keys)
    place = data.draw(st.integers(0, len(token) - 2))  # the lowest bits of the last letter have no meaning
    other = data.draw(st.sampled_from("ABCxyz019-_.!").filter(lambda letter: letter != token[place]))
    assert refused(tokens, token[:place] + other + token[place + 1 :])


def test_deeply_nested_and_overlong_tokens_are_refused(keys: KeyRing, tokens: AccessTokens) -> None:
    deep = letters(b"[" * 5000)
    assert refused(tokens, f"{segment({'alg': 'Ed25519'})}.{deep}.AA")
    assert refused(tokens, f"{deep}.{deep}.AA")
    assert refused(tokens, signed(keys, jti="x" * 20_000))
