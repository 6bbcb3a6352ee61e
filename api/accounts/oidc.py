"""OpenID Connect: Mingcha as a resource server, whose people sign in at an identity provider.

The provider's tokens are verified with the keys that it publishes; whose account a subject is, is left to `viewers.py`.
"""

import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import anyio
import httpx
import orjson
import structlog
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from api.accounts.access_tokens import LEEWAY_SECONDS, NO_TOKEN, read_header, unauthenticated
from schema.core.refusals import Refusal, RefusalCode

ASYMMETRIC = (
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    *("EdDSA", "Ed25519"),
)
"""No key that a provider publishes may serve for HMAC, and a token without a signature is none."""

KEY_TYPES: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
TYPES = frozenset({None, "jwt", "at+jwt", "application/at+jwt"})
FRESH, USABLE = timedelta(minutes=10), timedelta(hours=24)
REFETCH_AFTER = timedelta(seconds=30)
MAX_KEY_SET_BYTES = 256 * 1024
MAX_SUBJECT_LENGTH = 255
MIN_RSA_BITS = 2048

Key = RSAKey | ECKey | OKPKey
log = structlog.get_logger(__name__)


class _Registry(JWSRegistry):
    """Providers go on calling it EdDSA, which joserfc warns of at every token."""

    algorithms = {**JWSRegistry.algorithms, "EdDSA": copy.copy(JWSRegistry.algorithms["EdDSA"])}  # noqa: RUF012


_Registry.algorithms["EdDSA"].security_warning = None


@dataclass(frozen=True)
class _Keys:
    by_id: dict[str, Key]
    fetched_at: datetime


class ProviderTokens:
    """Tokens of one issuer for one audience. Keys are fetched on first use, every 10 minutes, and for an unknown id.

    While the provider can't be reached its known keys count on for a day: an outage there must not stop work here.
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
        self._keys: _Keys | None = None
        self._tried_at: datetime | None = None
        self._fetching = anyio.Lock()

    async def subject(self, token: str, now: datetime) -> str:
        """Whom the provider vouches for. Raise `Refusal(UNAUTHENTICATED)`, or `UNAVAILABLE` without any keys."""
        try:
            header = read_header(token)
            id, kind, algorithm = header["kid"], header.get("typ"), header["alg"]
        except NO_TOKEN:
            raise unauthenticated() from None
        if algorithm not in ASYMMETRIC or not isinstance(id, str):
            raise unauthenticated()
        if (kind.lower() if isinstance(kind, str) else kind) not in TYPES:
            raise unauthenticated()
        key = await self._key(id, now)
        try:
            claims = jwt.decode(token, key, registry=self._registry).claims
            self._expected(now).validate(claims)
        except NO_TOKEN:
            raise unauthenticated() from None
        subject = claims.get(self._subject_claim)
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_LENGTH:
            raise unauthenticated()
        return subject

    async def _key(self, id: str, now: datetime) -> Key:
        keys = self._keys
        # Whoever finds its key a little old does not wait for a fetch that another request has begun.
        is_known = keys is not None and id in keys.by_id
        if not (is_known and (self._is_fresh(now) or self._fetching.locked())):
            async with self._fetching:
                await self._refetch(id, now)
            keys = self._keys
        if keys is None or now - keys.fetched_at > USABLE:
            raise Refusal(RefusalCode.UNAVAILABLE, "The identity provider can't be reached.")
        key = keys.by_id.get(id)
        if key is None:
            raise unauthenticated()
        return key

    def _is_fresh(self, now: datetime) -> bool:
        return self._keys is not None and now - self._keys.fetched_at <= FRESH

    async def _refetch(self, id: str, now: datetime) -> None:
        """Fetch, unless another request has just done so: invented key ids must not set us upon the provider."""
        if self._keys is not None and id in self._keys.by_id and self._is_fresh(now):
            return
        if self._tried_at is not None and now - self._tried_at < REFETCH_AFTER:
            return
        self._tried_at = now
        try:
            self._keys = _Keys(_read(await self._download()), now)
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

    def _expected(self, now: datetime) -> JWTClaimsRegistry:
        return JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
        )


def _read(content: bytes) -> dict[str, Key]:
    """The keys of a set that can verify signatures; what we can't use or don't know is passed over (RFC 7517, 5)."""
    found: dict[str, Key] = {}
    for each in orjson.loads(content)["keys"]:
        key = _key_of(each)
        if key is not None:
            found[each["kid"]] = key
    return found


def _key_of(each: dict[str, Any]) -> Key | None:
    kind = KEY_TYPES.get(each.get("kty", ""))
    if kind is None or not isinstance(each.get("kid"), str) or each.get("use", "sig") != "sig":
        return None
    if "alg" in each and each["alg"] not in ASYMMETRIC:
        return None
    public = {name: value for name, value in each.items() if name != "key_ops"}
    try:
        key = kind.import_key(public)
    except NO_TOKEN:
        return None
    return None if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS else key
