"""Keep the user's session in the encrypted store, and renew its tokens.

New tokens are saved before they are used.
"""

import asyncio
import json
import unicodedata
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from mobile_contract.phone.errors import (
    SIGN_IN_AGAIN,
    DamagedStoreError,
    ServerRefusedError,
    SignInNeededError,
    WipeOrderedError,
)
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.network.client import GraphqlClient, Reply, endpoint_of
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.users.remote_wipe import WIPED, is_order

_FACT = "session"


@dataclass(frozen=True)
class Session:
    """A person's session. When it has ended, the tokens are None. The person stays recorded as the outbox's owner.

    `device_secret` belongs to this person on this device only. It opens the store after the password was reset on the
    server. An order to erase is genuine only if its proof was made with this secret.
    """

    endpoint: str
    user_name: str
    display_name: str
    roles: tuple[str, ...]
    access_token: str | None
    refresh_token: str | None
    refresh_expires_at: str | None
    device_secret: str | None = None

    @classmethod
    def read(cls, outbox: Outbox) -> "Session | None":
        """Return the stored session, or None if nobody has signed in to this outbox yet."""
        stored = outbox.get_fact(_FACT)
        return cls._of(json.loads(stored)) if stored else None

    @classmethod
    def of_earlier_phone(cls, path: Path) -> "Session":
        """Read the session file of an earlier phone version. Raise `DamagedStoreError` if it is invalid."""
        try:
            return cls._of(json.loads(path.read_bytes()))
        except (ValueError, LookupError, TypeError) as error:
            raise DamagedStoreError(path) from error

    @classmethod
    def _of(cls, values: dict[str, Any]) -> "Session":
        return cls(**values | {"roles": tuple(values["roles"])})

    def save(self, outbox: Outbox) -> None:
        outbox.set_fact(_FACT, json.dumps(asdict(self), ensure_ascii=False))

    @property
    def is_open(self) -> bool:
        return self.refresh_token is not None

    def is_of(self, user_name: str, url: str | None) -> bool:
        """Return whether the session belongs to this user name.

        If `url` is not None, it must also belong to that server.
        """
        is_there = url is None or endpoint_of(url) == self.endpoint
        return is_there and _normalise(user_name) == _normalise(self.user_name)

    def renewed(self, signed_in: dict[str, Any]) -> "Session":
        """Return the session with the tokens, name and roles of a `SignedIn` answer."""
        return replace(
            self,
            display_name=signed_in["user"]["displayName"],
            roles=tuple(signed_in["user"]["roles"]),
            access_token=signed_in["accessToken"],
            refresh_token=signed_in["refreshToken"],
            refresh_expires_at=signed_in["refreshExpiresAt"],
            device_secret=signed_in.get("deviceSecret") or self.device_secret,
        )


async def ask_to_sign_in(
    graphql: GraphqlClient, user_name: str, password: str, device_id: str, device_name: str
) -> dict[str, Any]:
    """Send `SignIn`, and return the `SignedIn` answer.

    Raise `ServerRefusedError` (BAD_CREDENTIALS, TOO_MANY_ATTEMPTS, ...) or `UnreachableError`.
    """
    credentials = {"userName": user_name, "password": password, "deviceId": device_id, "deviceName": device_name[:80]}
    return (await graphql.ask("SignIn", {"input": credentials})).value


class Account:
    """Sends requests to the server as the outbox's user."""

    def __init__(self, outbox: Outbox, client: httpx.AsyncClient, backoff: Backoff) -> None:
        self._outbox = outbox
        self._client = client
        self._backoff = backoff
        self._renewing = asyncio.Lock()
        self._graphql: GraphqlClient | None = None
        self.session = Session.read(outbox)

    def require(self) -> Session:
        """Return the session. Raise `SignInNeededError` if there is none or it has ended."""
        if self.session is None or not self.session.is_open:
            raise SignInNeededError
        return self.session

    async def sign_out(self) -> None:
        """End the session on the server, then on the phone.

        If the server can't be reached, raise `UnreachableError` and keep the session.
        """
        try:
            await self.ask("SignOut", {})
        except SignInNeededError:
            return  # it had ended, and `ask` has dropped the tokens
        self._end()

    async def ask(self, operation: str, variables: dict[str, Any]) -> Reply:
        """Send an operation. If the token has expired, renew it and send the operation once more.

        Raise `SignInNeededError`, `WipeOrderedError`, `ServerRefusedError` or `UnreachableError`.
        """
        session = self.require()
        graphql = self._client_for(session.endpoint)
        try:
            return await graphql.ask(operation, variables, session.access_token)
        except ServerRefusedError as refusal:
            if refusal.next_step != SIGN_IN_AGAIN:
                raise
        renewed = await self._renew(graphql, session)
        try:
            return await graphql.ask(operation, variables, renewed.access_token)
        except ServerRefusedError as refusal:
            if refusal.next_step != SIGN_IN_AGAIN:
                raise
            raise SignInNeededError from refusal

    async def _renew(self, graphql: GraphqlClient, stale: Session) -> Session:
        """Renew the tokens, and save the new ones before they are used.

        If the phone is killed before it has saved them, the old refresh token still works for a short time.
        """
        async with self._renewing:
            session = self.require()
            if session.access_token != stale.access_token:
                return session  # another request has renewed it meanwhile
            request = {"refreshToken": session.refresh_token, "deviceId": self._outbox.device_id}
            try:
                reply = await graphql.ask("RefreshSession", {"input": request})
            except ServerRefusedError as refusal:
                if refusal.next_step != SIGN_IN_AGAIN:
                    raise
                if is_order(refusal.code, refusal.proof, session.device_secret, session.refresh_token):
                    raise WipeOrderedError from refusal
                if refusal.code != WIPED:  # an order without a valid proof ends nothing
                    self._end()
                raise SignInNeededError from refusal
            return self._save(session.renewed(reply.value))

    def _client_for(self, endpoint: str) -> GraphqlClient:
        """Return the client of a server. Reuse one client for each server, because it knows the round-trip time."""
        if self._graphql is None or self._graphql.endpoint != endpoint:
            self._graphql = GraphqlClient(self._client, endpoint, self._backoff)
        return self._graphql

    def _save(self, session: Session) -> Session:
        session.save(self._outbox)
        self.session = session
        return session

    def _end(self) -> None:
        if self.session is not None:
            self._save(replace(self.session, access_token=None, refresh_token=None, refresh_expires_at=None))


def _normalise(user_name: str) -> str:
    """Normalise a user name for comparison, as servers do: ignore case, and full or half width of characters."""
    return unicodedata.normalize("NFKC", user_name).strip().casefold()
