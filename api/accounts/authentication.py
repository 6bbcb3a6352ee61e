"""Viewers: who asks, from the Authorization header and one read of the user, whose devices say what still counts.

Verifying tokens is left to `tokens.py` and `oidc.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from api.accounts.access_tokens import LEEWAY_SECONDS, AccessTokens, expiry_of
from api.accounts.oidc import ProviderTokens
from schema.access.viewers import Viewer
from schema.accounts.users import User
from schema.core.refusals import Refusal, RefusalCode
from storage.accounts.users import Users


@dataclass(frozen=True)
class Authenticated:
    """Who was let in for longer than one request, until when, and by which session of ours."""

    viewer: Viewer
    expires_at: datetime
    session_id: str | None


@dataclass(frozen=True)
class Authenticator:
    """Where `provider` is given, its tokens count and ours do not."""

    users: Users
    tokens: AccessTokens
    provider: ProviderTokens | None = None

    async def viewer_of(self, authorization: str | None, now: datetime) -> Viewer | None:
        """None without a header. Raise `Refusal(UNAUTHENTICATED | SESSION_ENDED)` for one that is not, or no longer, good."""
        return (await self.authenticate(authorization, now)).viewer if authorization is not None else None

    async def authenticate(self, authorization: str, now: datetime) -> Authenticated:
        """Whom a header lets in, for as long as its token is good. Raise as `viewer_of` does."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or not token.isascii():
            raise Refusal(RefusalCode.UNAUTHENTICATED)
        if self.provider is not None:
            return Authenticated(await self._vouched_for(self.provider, token, now), _good_until(token), None)
        bearer = self.tokens.verify(token, now)
        user = await self.users.signed_in(bearer.user_id, bearer.device_id, bearer.session_id)
        if user is None:
            raise Refusal(RefusalCode.SESSION_ENDED)
        return Authenticated(as_viewer(user, bearer.device_id), _good_until(token), bearer.session_id)

    async def refresh(self, admission: Authenticated) -> Viewer | None:
        """Whom an admission lets in as things are now; None where its session or account may not act any more."""
        known = admission.viewer
        if admission.session_id is None or known.device_id is None:
            return await self.reauthenticate(known.user_id, known.device_id)
        user = await self.users.signed_in(known.user_id, known.device_id, admission.session_id)
        return as_viewer(user, known.device_id) if user else None

    async def reauthenticate(self, user_id: str, device_id: str | None) -> Viewer | None:
        """Somebody who was signed in a moment ago; None where the account or the device may not act any more.

        Only a provider's people have no device of ours.
        """
        user = await self.users.by_id(user_id)
        if user is None or not user.active:
            return None
        live = {device.id for device in user.devices if device.revoked_at is None}
        known = device_id in live if device_id else self.provider is not None
        return as_viewer(user, device_id) if known else None

    async def _vouched_for(self, provider: ProviderTokens, token: str, now: datetime) -> Viewer:
        user = await self.users.by_subject(await provider.subject(token, now))
        if user is None:
            # Not FORBIDDEN: a phone would then discard what it holds, instead of waiting for the account.
            raise Refusal(RefusalCode.UNAUTHENTICATED, "The identity provider knows you, and this service does not.")
        return as_viewer(user, None)


def _good_until(token: str) -> datetime:
    return expiry_of(token) + timedelta(seconds=LEEWAY_SECONDS)


def as_viewer(user: User, device_id: str | None) -> Viewer:
    return Viewer(
        user_id=user.id,
        roles=frozenset(user.roles),
        scopes=user.scope_paths,
        office_id=user.office_id,
        office_path=user.office_path,
        clearances=frozenset(user.clearances),
        device_id=device_id,
    )
