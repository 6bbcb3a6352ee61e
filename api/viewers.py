"""Viewers: who asks, from the Authorization header and one read of the user, whose devices say what still counts.

Verifying tokens is left to `tokens.py` and `oidc.py`.
"""

from dataclasses import dataclass
from datetime import datetime

from api.oidc import ProviderTokens
from api.tokens import AccessTokens
from schema.refusals import Refusal, RefusalCode
from schema.users import User
from schema.viewers import Viewer
from storage.users import Users


@dataclass(frozen=True)
class Doorman:
    """Where `provider` is given, its tokens count and ours do not."""

    users: Users
    tokens: AccessTokens
    provider: ProviderTokens | None = None

    async def viewer_of(self, authorization: str | None, now: datetime) -> Viewer | None:
        """None without a header. Raise `Refusal(UNAUTHENTICATED | SESSION_ENDED)` for one that is not, or no longer, good."""
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or not token.isascii():
            raise Refusal(RefusalCode.UNAUTHENTICATED)
        if self.provider is not None:
            return await self._vouched_for(self.provider, token, now)
        bearer = self.tokens.verify(token, now)
        user = await self.users.signed_in(bearer.user_id, bearer.device_id, bearer.session_id)
        if user is None:
            raise Refusal(RefusalCode.SESSION_ENDED)
        return as_viewer(user, bearer.device_id)

    async def still(self, user_id: str, device_id: str | None) -> Viewer | None:
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
