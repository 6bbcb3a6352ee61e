"""Authenticate a request: find the viewer by the Authorization header and one read of the user."""

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
    """A viewer who stays authenticated for longer than one request; `session_id` is set for a session of ours."""

    viewer: Viewer
    expires_at: datetime
    session_id: str | None


@dataclass(frozen=True)
class Authenticator:
    """With a `provider`, only its tokens are accepted; else only ours."""

    users: Users
    tokens: AccessTokens
    provider: ProviderTokens | None = None

    async def viewer_of(self, authorization: str | None, now: datetime) -> Viewer | None:
        """Return the viewer; None without a header. Raise as `authenticate` does."""
        return (await self.authenticate(authorization, now)).viewer if authorization is not None else None

    async def authenticate(self, authorization: str, now: datetime) -> Authenticated:
        """Return the viewer and how long the token is valid.

        Raise `Refusal(UNAUTHENTICATED)` if the token is invalid, `Refusal(SESSION_ENDED)` if its session has ended.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or not token.isascii():
            raise Refusal(RefusalCode.UNAUTHENTICATED)
        if self.provider is not None:
            return Authenticated(await self._provider_viewer(self.provider, token, now), _valid_until(token), None)
        bearer = self.tokens.verify(token, now)
        user = await self.users.by_session(bearer.user_id, bearer.device_id, bearer.session_id)
        if user is None:
            raise Refusal(RefusalCode.SESSION_ENDED)
        return Authenticated(as_viewer(user, bearer.device_id), _valid_until(token), bearer.session_id)

    async def refresh(self, authenticated: Authenticated) -> Viewer | None:
        """Return the viewer as stored now; None if the session or account may no longer act."""
        viewer = authenticated.viewer
        if authenticated.session_id is None or viewer.device_id is None:
            return await self.reauthenticate(viewer.user_id, viewer.device_id)
        user = await self.users.by_session(viewer.user_id, viewer.device_id, authenticated.session_id)
        return as_viewer(user, viewer.device_id) if user else None

    async def reauthenticate(self, user_id: str, device_id: str | None) -> Viewer | None:
        """Return the viewer of a user who was signed in a moment ago; None if account or device may no longer act.

        Only users of an identity provider have no device of ours.
        """
        user = await self.users.by_id(user_id)
        if user is None or not user.active:
            return None
        live = {device.id for device in user.devices if device.revoked_at is None}
        may_act = device_id in live if device_id else self.provider is not None
        return as_viewer(user, device_id) if may_act else None

    async def _provider_viewer(self, provider: ProviderTokens, token: str, now: datetime) -> Viewer:
        user = await self.users.by_subject(await provider.subject(token, now))
        if user is None:
            # Not FORBIDDEN: a phone would then discard its queue, and not wait for the account.
            raise Refusal(RefusalCode.UNAUTHENTICATED, "The identity provider knows you, but this service does not.")
        return as_viewer(user, None)


def _valid_until(token: str) -> datetime:
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
