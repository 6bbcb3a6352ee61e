"""Authenticate a request: find its viewer from the Authorization header, with one read of the user's document."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from api.accounts.access_tokens import LEEWAY_SECONDS, AccessTokens, expiry_of
from api.accounts.oidc import ProviderTokens
from schema.access.viewers import Viewer
from schema.accounts.users import User
from schema.core.refusals import Refusal, RefusalCode
from storage.accounts.users import Users


@dataclass(frozen=True)
class Authenticated:
    """An authenticated viewer, and the time until which the access token is accepted.

    `session_id` is None if the token comes from an identity provider.
    """

    viewer: Viewer
    expires_at: datetime
    session_id: str | None


@dataclass(frozen=True)
class Authenticator:
    """Find the viewer that an access token belongs to.

    With a `provider`, only the tokens of that identity provider are accepted. Without one, only our own tokens are.
    """

    users: Users
    tokens: AccessTokens
    provider: ProviderTokens | None = None

    async def viewer_of(self, authorization: str | None, now: datetime) -> Viewer | None:
        """Return the viewer, or None if there is no Authorization header. Raise as `authenticate` does."""
        return (await self.authenticate(authorization, now)).viewer if authorization is not None else None

    async def authenticate(self, authorization: str, now: datetime) -> Authenticated:
        """Return the viewer, and until when the token is accepted.

        Raise `Refusal(UNAUTHENTICATED)` if the token is invalid, `Refusal(SESSION_ENDED)` if its session has ended,
        `Refusal(UNAVAILABLE)` if the identity provider's keys can't be fetched.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or not token.isascii():
            raise Refusal(RefusalCode.UNAUTHENTICATED)
        if self.provider is not None:
            return Authenticated(await self._provider_viewer(self.provider, token, now), _valid_until(token), None)
        verified = self.tokens.verify(token, now)
        bearer = verified.bearer
        user = await self.users.by_session(bearer.user_id, bearer.device_id, bearer.session_id)
        if user is None:
            raise Refusal(RefusalCode.SESSION_ENDED)
        return Authenticated(as_viewer(user, bearer.device_id), verified.valid_until, bearer.session_id)

    async def refresh(self, authenticated: Authenticated) -> Viewer | None:
        """Read the viewer's account again. Return None if the session has ended or the account is closed."""
        viewer = authenticated.viewer
        if authenticated.session_id is None or viewer.device_id is None:
            return await self.reauthenticate(viewer.user_id, viewer.device_id)
        user = await self.users.by_session(viewer.user_id, viewer.device_id, authenticated.session_id)
        return as_viewer(user, viewer.device_id) if user else None

    async def reauthenticate(self, user_id: str, device_id: str | None) -> Viewer | None:
        """Return the viewer for a user and device that were authenticated a short while ago.

        Return None if the account has been closed or the device signed out since then. `device_id` may be None only for
        users of an identity provider.
        """
        user = await self.users.by_id(user_id)
        if user is None or not user.active:
            return None
        live = {device.id for device in user.devices if device.revoked_at is None}
        may_act = device_id in live if device_id else self.provider is not None
        return as_viewer(user, device_id) if may_act else None

    async def _provider_viewer(self, provider: ProviderTokens, token: str, now: datetime) -> Viewer:
        person = await provider.identify(token, now)
        user = await self.users.by_subject(person.subject)
        if user is None:
            # Not FORBIDDEN: a phone would then discard its queue instead of waiting until the account exists.
            raise Refusal(RefusalCode.UNAUTHENTICATED, "The identity provider knows you, but this service does not.")
        return replace(as_viewer(user, None), signed_in_at=person.signed_in_at)


def _valid_until(token: str) -> datetime:
    return expiry_of(token) + timedelta(seconds=LEEWAY_SECONDS)


def as_viewer(user: User, device_id: str | None) -> Viewer:
    device = next((device for device in user.devices if device.id == device_id), None)
    return Viewer(
        user_id=user.id,
        roles=frozenset(user.roles),
        scopes=user.scope_paths,
        office_id=user.office_id,
        office_path=user.office_path,
        clearances=frozenset(user.clearances),
        device_id=device_id,
        signed_in_at=device.signed_in_at if device else None,
        sequences=device.sequences if device else None,
    )
