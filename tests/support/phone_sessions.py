"""Sign a device in, renew its session and sign it out, through the authenticator and the schema."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from api.accounts.access_tokens import AccessTokens
from api.accounts.authentication import Authenticator
from api.accounts.passwords import Passwords
from schema.access.viewers import Viewer
from schema.core.refusals import Refusal, RefusalCode
from tests.support.world import LIGHT, REFUSED, SCHEMA, World, new_id

PASSWORD = "correct-horse-密码"
SIGNED_IN = f"... on SignedIn {{ accessToken accessExpiresAt refreshToken refreshExpiresAt user {{ id }} }} {REFUSED}"
SIGN_IN = f"mutation M($input: SignInInput!) {{ answer: signIn(input: $input) \
{{ {SIGNED_IN} ... on Refused {{ retryAfterSeconds }} }} }}"
REFRESH = f"mutation M($input: RefreshSessionInput!) {{ answer: refreshSession(input: $input) {{ {SIGNED_IN} }} }}"
SIGN_OUT = f"mutation {{ answer: signOut {{ ... on SignedOut {{ deviceId }} {REFUSED} }} }}"
REVOKE = f"mutation M($input: RevokeDeviceInput!) {{ answer: revokeDevice(input: $input) \
{{ ... on RevokeDevicePayload {{ device {{ id revokedAt }} }} {REFUSED} }} }}"
CHANGE = f"mutation M($input: ChangePasswordInput!) {{ answer: changePassword(input: $input) \
{{ ... on ChangePasswordPayload {{ devices {{ id revokedAt }} }} {REFUSED} }} }}"
ENDED = {"code": "SESSION_ENDED", "nextStep": "SIGN_IN_AGAIN", "field": None}


async def with_passwords(world: World) -> World:
    """Give the inspector and the officer a password."""
    world.passwords = Passwords(cost=LIGHT)
    password_hash = await world.passwords.hash(PASSWORD)
    for name in ("inspector", "officer"):
        await world.store.users.set_password(world.people[name].id, password_hash, world.context(None).now)
    return world


@dataclass
class Phone:
    """One device. `answer` is the last answer with tokens, to a password or to a refresh token."""

    world: World
    address: str = "203.0.113.7"
    id: str = field(default_factory=lambda: new_id("dev"))
    answer: dict[str, Any] = field(default_factory=dict)
    later: timedelta = timedelta()

    async def viewer(self) -> Viewer | None:
        """Authenticate the current access token. Raise `Refusal` if it is not accepted."""
        tokens = AccessTokens(self.world.keys, self.world.settings.access_token_seconds)
        context = self.world.context(None, later=self.later)
        return await Authenticator(self.world.store.users, tokens).viewer_of(
            f"Bearer {self.answer['accessToken']}", context.now
        )

    async def do(self, operation: str, *, signed_in: bool = False, **fields: Any) -> dict[str, Any]:
        viewer = await self.viewer() if signed_in else None
        context = self.world.context(None, later=self.later)
        context = replace(context, viewer=viewer, client_address=self.address)
        variables = {"input": fields} if fields else {}
        result = await SCHEMA.execute(operation, variable_values=variables, context_value=context)
        assert not result.errors
        assert result.data is not None
        answer: dict[str, Any] = result.data["answer"]
        return answer

    async def sign_in(self, name: str = "inspector", password: str = PASSWORD, **fields: Any) -> dict[str, Any]:
        given = {"userName": name, "password": password, "deviceId": self.id, "deviceName": "手机"} | fields
        return self.keep(await self.do(SIGN_IN, **given))

    async def refresh(self, token: str | None = None, **fields: Any) -> dict[str, Any]:
        given: dict[str, Any] = {"refreshToken": token or self.answer["refreshToken"], "deviceId": self.id} | fields
        return self.keep(await self.do(REFRESH, **given))

    def keep(self, answer: dict[str, Any]) -> dict[str, Any]:
        if "accessToken" in answer:
            self.answer = answer
        return answer

    async def is_signed_in(self) -> bool:
        try:
            return await self.viewer() is not None
        except Refusal as refusal:
            if refusal.code is not RefusalCode.SESSION_ENDED:
                raise
            return False


def is_ended(answer: dict[str, Any]) -> bool:
    return ENDED.items() <= answer.items()
