"""Sign and verify access tokens: our own short-lived JWTs."""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from api.accounts.key_ring import ALGORITHM, KeyRing
from api.accounts.verified_tokens import VerifiedTokens
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode

ISSUER = AUDIENCE = "mingcha"
TYPE = "at+jwt"
LEEWAY_SECONDS = 30
MAX_TOKEN_LENGTH = 8 * 1024
MAX_VERIFIED = 8_192
"""How many verified tokens are remembered: some 5 MB. A phone uses one token for some minutes."""
# joserfc and the standard library raise these for a malformed token. Deeply nested JSON causes RecursionError.
TOKEN_ERRORS = (JoseError, ValueError, TypeError, KeyError, RecursionError)


@dataclass(frozen=True)
class Bearer:
    """The user, session and device that an access token was issued to."""

    user_id: str
    session_id: str
    device_id: str


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """The content of a token whose signature was verified with `key`, and the seconds between which it is valid."""

    bearer: Bearer
    key_id: str
    key: OKPKey
    not_before: float
    expires: float

    @property
    def valid_until(self) -> datetime:
        return datetime.fromtimestamp(self.expires, UTC) + timedelta(seconds=LEEWAY_SECONDS)

    def is_valid_at(self, now: datetime) -> bool:
        seconds = int(now.timestamp())
        return self.not_before - LEEWAY_SECONDS <= seconds < self.expires + LEEWAY_SECONDS


def unauthenticated() -> Refusal:
    """Return the refusal for a bad token. It is always the same, so that it does not reveal which check failed."""
    return Refusal(RefusalCode.UNAUTHENTICATED)


class AccessTokens:
    """Issue and verify access tokens that are valid for `seconds`.

    The claims have the names of RFC 9068. In addition, `sid` is the session's id and `did` the device's id.

    The signature of a token is verified once. After that the token is known by its digest, as long as its key is in the
    key ring. Whether its session may act is not known here, so that is read for each request.
    """

    def __init__(self, keys: KeyRing, seconds: int) -> None:
        self._keys = keys
        self._lifetime = timedelta(seconds=seconds)
        self._registry = JWSRegistry(algorithms=[ALGORITHM])
        self._verified = VerifiedTokens[VerifiedToken](MAX_VERIFIED)

    def issue(self, bearer: Bearer, now: datetime) -> tuple[str, datetime]:
        """Return a token and the time when it expires, in whole seconds."""
        signing = self._keys.signing
        expires_at = (now + self._lifetime).replace(microsecond=0)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": bearer.user_id,
            "sid": bearer.session_id,
            "did": bearer.device_id,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": secrets.token_hex(12),
        }
        header = {"alg": ALGORITHM, "kid": signing.id, "typ": TYPE}
        return jwt.encode(header, claims, signing.key, registry=self._registry), expires_at

    def verify(self, token: str, now: datetime) -> VerifiedToken:
        """Return the content. Raise `Refusal(UNAUTHENTICATED)` if the token is not ours or no longer valid."""
        known = self._verified.get(token)
        if known and known.is_valid_at(now) and self._keys.find(known.key_id) is known.key:
            return known
        self._verified.forget(token)
        verified = self._verify_signature(token, now)
        self._verified.put(token, verified)
        return verified

    def _verify_signature(self, token: str, now: datetime) -> VerifiedToken:
        try:
            header = read_header(token)
            key = self._keys.find(header["kid"])
            if key is None or header.get("typ") != TYPE or header.get("alg") != ALGORITHM:
                raise unauthenticated()
            claims = jwt.decode(token, key, registry=self._registry).claims
            _claim_rules(now).validate(claims)
            bearer = Bearer(
                user_id=validate_id(claims["sub"], "usr"),
                session_id=validate_id(claims["sid"], "ses"),
                device_id=validate_id(claims["did"], "dev"),
            )
            not_before = max(claims["iat"], claims.get("nbf", claims["iat"]))
            return VerifiedToken(bearer, header["kid"], key, not_before, claims["exp"])
        except (*TOKEN_ERRORS, Refusal):
            raise unauthenticated() from None


def read_header(token: str) -> dict[str, Any]:
    """Return the header of a token without verifying it. Use the header only to choose the key.

    Raise one of `TOKEN_ERRORS` if the token is malformed.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise ValueError("too long")
    return jws.extract_compact(token.encode("ascii")).headers()


def expiry_of(token: str) -> datetime:
    """Return the expiry of a verified token."""
    claims = json.loads(jws.extract_compact(token.encode("ascii")).payload)
    return datetime.fromtimestamp(claims["exp"], UTC)


def _claim_rules(now: datetime) -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        sub={"essential": True},
        sid={"essential": True},
        did={"essential": True},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
    )
