"""The session: who is signed in where, its tokens on disk before they are used, and their renewal.

What is asked with them is left to the callers; what the server makes of a token is its own affair.
"""

import asyncio
import json
import unicodedata
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from mobile_contract.phone.backoff import Backoff
from mobile_contract.phone.faults import SIGN_IN_AGAIN, Refused, SignInAgain
from mobile_contract.phone.folder import write_private
from mobile_contract.phone.wire import Reply, Wire, endpoint_of


@dataclass(frozen=True)
class Session:
    """Tokens are None once the session has ended; who it was stays known, for the outbox is theirs."""

    endpoint: str
    user_name: str
    display_name: str
    roles: tuple[str, ...]
    access_token: str | None
    refresh_token: str | None
    refresh_expires_at: str | None

    @classmethod
    def read(cls, path: Path) -> "Session | None":
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(**values | {"roles": tuple(values["roles"])})

    @property
    def is_open(self) -> bool:
        return self.refresh_token is not None

    def belongs_to(self, url: str, user_name: str) -> bool:
        """Whether signing in as this person there goes on where this session was."""
        return (endpoint_of(url), _normal(user_name)) == (self.endpoint, _normal(self.user_name))

    def renewed(self, given: dict[str, Any]) -> "Session":
        """With the tokens and the person of a `SignedIn`."""
        return replace(
            self,
            display_name=given["user"]["displayName"],
            roles=tuple(given["user"]["roles"]),
            access_token=given["accessToken"],
            refresh_token=given["refreshToken"],
            refresh_expires_at=given["refreshExpiresAt"],
        )


class Account:
    """Asks the server in the name of whoever is signed in on this phone."""

    def __init__(self, path: Path, device_id: str, client: httpx.AsyncClient, backoff: Backoff) -> None:
        self._path = path
        self._device_id = device_id
        self._client = client
        self._backoff = backoff
        self._renewing = asyncio.Lock()
        self._wire: Wire | None = None
        self.session = Session.read(path)

    def require(self) -> Session:
        """The session. Raise `SignInAgain` where there is none."""
        if self.session is None or not self.session.is_open:
            raise SignInAgain
        return self.session

    async def sign_in(self, url: str, user_name: str, password: str, device_name: str) -> Session:
        """Raise `Refused(BAD_CREDENTIALS | TOO_MANY_ATTEMPTS | ...)` or `Unreachable`."""
        wire = self._wire_to(endpoint_of(url))
        given = {
            "userName": user_name,
            "password": password,
            "deviceId": self._device_id,
            "deviceName": device_name[:80],
        }
        reply = await wire.ask("SignIn", {"input": given})
        blank = Session(wire.endpoint, user_name, "", (), None, None, None)
        return self._keep(blank.renewed(reply.value))

    async def sign_out(self) -> None:
        """End the session on the server, then here. Raise `Unreachable` with the session as it was."""
        try:
            await self.ask("SignOut", {})
        except SignInAgain:
            return  # it had ended; `ask` has let go of the tokens
        self._end()

    async def ask(self, operation: str, variables: dict[str, Any]) -> Reply:
        """Ask; a token that has run out is renewed once on the way. Raise `SignInAgain`, `Refused` or `Unreachable`."""
        session = self.require()
        wire = self._wire_to(session.endpoint)
        try:
            return await wire.ask(operation, variables, session.access_token)
        except Refused as refusal:
            if refusal.next_step != SIGN_IN_AGAIN:
                raise
        renewed = await self._renew(wire, session)
        try:
            return await wire.ask(operation, variables, renewed.access_token)
        except Refused as refusal:
            if refusal.next_step != SIGN_IN_AGAIN:
                raise
            raise SignInAgain from refusal

    async def _renew(self, wire: Wire, stale: Session) -> Session:
        """New tokens, on the disk before they are used: a kill in between leaves the old one, good for a short grace."""
        async with self._renewing:
            session = self.require()
            if session.access_token != stale.access_token:
                return session  # another request has renewed it meanwhile
            given = {"refreshToken": session.refresh_token, "deviceId": self._device_id}
            try:
                reply = await wire.ask("RefreshSession", {"input": given})
            except Refused as refusal:
                if refusal.next_step != SIGN_IN_AGAIN:
                    raise
                self._end()
                raise SignInAgain from refusal
            return self._keep(session.renewed(reply.value))

    def _wire_to(self, endpoint: str) -> Wire:
        """The same one as long as it is the same server: it knows how long a request takes there."""
        if self._wire is None or self._wire.endpoint != endpoint:
            self._wire = Wire(self._client, endpoint, self._backoff)
        return self._wire

    def _keep(self, session: Session) -> Session:
        write_private(self._path, json.dumps(asdict(session), ensure_ascii=False))
        self.session = session
        return session

    def _end(self) -> None:
        if self.session is not None:
            self._keep(replace(self.session, access_token=None, refresh_token=None, refresh_expires_at=None))


def _normal(user_name: str) -> str:
    """As servers compare user names: upper or lower case, full or half width."""
    return unicodedata.normalize("NFKC", user_name).strip().casefold()
