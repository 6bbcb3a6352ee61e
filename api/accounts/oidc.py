"""Verify the tokens of an OpenID Connect provider with the keys that it publishes.

With such a provider, people sign in there, and Mingcha is only a resource server.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import orjson
import structlog
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from api.accounts.access_tokens import LEEWAY_SECONDS, TOKEN_ERRORS, read_header, unauthenticated
from api.accounts.verified_tokens import VerifiedTokens
from schema.core.refusals import Refusal, RefusalCode

ASYMMETRIC = (
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    *("EdDSA", "Ed25519"),
)
"""Accepted algorithms. HMAC is left out, because everybody knows the provider's published keys and could sign with
them. `none` is left out, because a token must have a signature."""

KEY_TYPES: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
TYPES = ACCESS_TOKEN_TYPES | {None, "jwt"}
FRESH, USABLE = timedelta(minutes=10), timedelta(hours=24)
REFETCH_AFTER = timedelta(seconds=30)
MAX_KEY_SET_BYTES = 256 * 1024
MAX_SUBJECT_LENGTH = 255
MIN_RSA_BITS = 2048
MAX_VERIFIED = 1_024
"""How many verified tokens are remembered: 20 MB at most, because a provider may put much into a token."""

Key = RSAKey | ECKey | OKPKey
log = structlog.get_logger(__name__)


class _Registry(JWSRegistry):
    """Accept the name EdDSA without a warning. Providers still use it, and joserfc would warn about every token."""

    algorithms = {**JWSRegistry.algorithms, "EdDSA": copy.copy(JWSRegistry.algorithms["EdDSA"])}  # noqa: RUF012


_Registry.algorithms["EdDSA"].security_warning = None


@dataclass(frozen=True)
class _Keys:
    """The usable keys of the provider. `id` of a key is None if the provider gave it none."""

    listed: tuple[tuple[str | None, Key], ...]
    fetched_at: datetime

    def find(self, id: str | None, algorithm: str) -> Key | None:
        """Return the key of this id. A key id is optional (RFC 7517, section 4.5).

        Without an id in the token or in the key set, return the only key that fits the algorithm. The signature is
        verified in any case.
        """
        for known, key in self.listed:
            if id is not None and known == id:
                return key
        fitting = [key for known, key in self.listed if isinstance(key, _key_type(algorithm)) and None in {id, known}]
        return fitting[0] if len(fitting) == 1 else None


@dataclass(frozen=True)
class _Content:
    """The header and the claims of a token whose signature was verified with `key`."""

    header: Mapping[str, Any]
    key: Key
    claims: dict[str, Any]


@dataclass(frozen=True)
class ProviderIdentity:
    """The person that a token of the provider names.

    `signed_in_at` is when the person signed in there (claim `auth_time`), or None if the provider does not say so.
    """

    subject: str
    signed_in_at: datetime | None


class ProviderTokens:
    """Verify the tokens that one issuer makes for one audience.

    The issuer's keys are fetched on first use, when they are older than 10 minutes, and for an unknown key id. If the
    provider can't be reached, the known keys are used for up to a day, so that an outage there does not stop work here.
    The signature of a token is verified once with each key that was fetched. All else is checked for each request.
    """

    def __init__(
        self, *, issuer: str, audience: str, jwks_url: str, subject_claim: str, client: httpx.AsyncClient
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._url = jwks_url
        self._subject_claim = subject_claim
        self._client = client
        self._registry = _Registry(algorithms=ASYMMETRIC, strict_check_header=False)
        self._verified = VerifiedTokens[_Content](MAX_VERIFIED)
        self._keys: _Keys | None = None
        self._tried_at: datetime | None = None
        self._fetching = anyio.Lock()

    async def identify(self, token: str, now: datetime) -> ProviderIdentity:
        """Return the person that the token names.

        Raise `Refusal(UNAUTHENTICATED)` if the token is invalid, `Refusal(UNAVAILABLE)` if the provider's keys can't be
        fetched.
        """
        known = self._verified.get(token)
        try:
            header = known.header if known else read_header(token)
            id, kind, algorithm = header.get("kid"), header.get("typ"), header["alg"]
        except TOKEN_ERRORS:
            raise _refuse("malformed") from None
        if algorithm not in ASYMMETRIC:
            raise _refuse("algorithm")
        if not (id is None or isinstance(id, str)):
            raise _refuse("key id")
        kind = kind.lower() if isinstance(kind, str) else kind
        if kind not in TYPES:
            raise _refuse("type")
        key = await self._key(id, algorithm, now)
        try:
            if known is None or known.key is not key:
                known = _Content(header, key, jwt.decode(token, key, registry=self._registry).claims)
                self._verified.put(token, known)
            claims = known.claims
            self._claim_rules(now).validate(claims)
        except TOKEN_ERRORS as error:
            raise _refuse(type(error).__name__) from None
        if kind not in ACCESS_TOKEN_TYPES and _is_id_token(claims):
            raise _refuse("id token")
        subject = claims.get(self._subject_claim)
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_LENGTH:
            raise _refuse("subject")
        return ProviderIdentity(subject, _sign_in_time(claims, now))

    async def _key(self, id: str | None, algorithm: str, now: datetime) -> Key:
        keys = self._keys
        # A request with a known but old key does not wait for a fetch that another request has begun.
        is_known = keys is not None and keys.find(id, algorithm) is not None
        if not (is_known and (self._is_fresh(now) or self._fetching.locked())):
            async with self._fetching:
                await self._refetch(id, algorithm, now)
            keys = self._keys
        if keys is None or now - keys.fetched_at > USABLE:
            raise Refusal(RefusalCode.UNAVAILABLE, "The identity provider can't be reached.")
        key = keys.find(id, algorithm)
        if key is None:
            raise _refuse("unknown key" if id is not None else "no key id, and not one key that fits")
        return key

    def _is_fresh(self, now: datetime) -> bool:
        return self._keys is not None and now - self._keys.fetched_at <= FRESH

    async def _refetch(self, id: str | None, algorithm: str, now: datetime) -> None:
        """Fetch the keys if they are old or lack this id, but at most once in 30 seconds.

        Otherwise tokens with invented key ids could cause a flood of fetches.
        """
        if self._keys is not None and self._keys.find(id, algorithm) is not None and self._is_fresh(now):
            return
        if self._tried_at is not None and now - self._tried_at < REFETCH_AFTER:
            return
        self._tried_at = now
        try:
            self._keys = _Keys(_parse_key_set(await self._download()), now)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("The identity provider's keys could not be fetched.", reason=type(error).__name__)

    async def _download(self) -> bytes:
        async with self._client.stream("GET", self._url, headers={"Accept": "application/json"}) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError("not answered with 200")
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_KEY_SET_BYTES:
                    raise ValueError("too long")
        return content

    def _claim_rules(self, now: datetime) -> JWTClaimsRegistry:
        return JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
        )


def _parse_key_set(content: bytes) -> tuple[tuple[str | None, Key], ...]:
    """Return the keys that can verify signatures, with their ids. Skip all other keys (RFC 7517, section 5)."""
    imported = ((jwk.get("kid"), _import_key(jwk)) for jwk in orjson.loads(content)["keys"])
    return tuple((id, key) for id, key in imported if key is not None)


def _import_key(jwk: dict[str, Any]) -> Key | None:
    kind = KEY_TYPES.get(jwk.get("kty", ""))
    if kind is None or not isinstance(jwk.get("kid"), str | None) or jwk.get("use", "sig") != "sig":
        return None
    if "alg" in jwk and jwk["alg"] not in ASYMMETRIC:
        return None
    public = {name: value for name, value in jwk.items() if name != "key_ops"}
    try:
        key = kind.import_key(public)
    except TOKEN_ERRORS:
        return None
    return None if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS else key


def _key_type(algorithm: str) -> type[Key]:
    """Return the type of the keys that sign with an algorithm of `ASYMMETRIC`."""
    if algorithm.startswith(("RS", "PS")):
        return RSAKey
    return ECKey if algorithm.startswith("ES") else OKPKey


def _is_id_token(claims: Mapping[str, Any]) -> bool:
    """Return whether a token without the type of an access token tells a client who signed in (OpenID Connect Core).

    Such a token is for the app. A person who got the token from the app must not call the API with it. The token holds
    a hash of what was issued with it, or the client's nonce without a scope. Keycloak writes the kind into the claim `typ`.
    """
    kind = claims.get("typ")
    if kind is not None:
        return kind not in ("Bearer", "at+jwt")
    if any(name in claims for name in ("at_hash", "c_hash", "s_hash")):
        return True
    return "nonce" in claims and not any(name in claims for name in ("scope", "scp", "client_id"))


def _sign_in_time(claims: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return when the person signed in at the provider (claim `auth_time`, RFC 9068). A time in the future is no time."""
    seconds = claims.get("auth_time")
    latest = now.timestamp() + LEEWAY_SECONDS
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= latest:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _refuse(reason: str) -> Refusal:
    """Log why a token is refused, without anything of its content, and return the refusal."""
    log.info("A token of the identity provider is refused.", reason=reason)
    return unauthenticated()
