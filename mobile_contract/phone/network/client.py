"""Send named operations by POST, and read the answers and refusals. Retry if a retry can help."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from mobile_contract.documents import text_of
from mobile_contract.levels import Levels
from mobile_contract.phone.errors import ServerRefusedError, UnreachableError, UsageError, unreachable
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.network.compression import UNREADABLE_STATUSES, encode_body
from mobile_contract.proxies import unusable_proxies

LEVEL = "Mingcha-Level"
ACCEPT = "application/graphql-response+json, application/json;q=0.9"
TIMEOUT = httpx.Timeout(60, connect=10)
SENDS_CLOCK = frozenset({"SignIn", "RefreshSession", "SubmitObservations", "EditAssignmentNotes", "Sync"})
"""Operations whose input contains the phone's current time, so that the server can compute the clock's error."""
TIMED_INPUTS = frozenset({"drafts", "edits"})
"""Further variables of `Sync` that contain times by the phone's clock. They get the phone's current time too."""
TRANSIENT_CODES = frozenset({"BUSY", "UNAVAILABLE"})
"""Codes of refusals after which the phone retries within seconds. Other refusals with RETRY_LATER wait longer."""


@dataclass(frozen=True)
class Reply:
    """An answer: the value of the operation's last root field, and the server's time when it answered."""

    value: dict[str, Any]
    server_time: datetime
    before: dict[str, Any]
    """The values of the earlier root fields, by name. In `Sync`, they answer the sent items. Each can be a refusal."""

    def items(self) -> list[dict[str, Any]]:
        """Return the nodes of a connection's page."""
        return [edge["node"] for edge in self.value["edges"]]

    def value_items(self) -> list[dict[str, Any]]:
        """Return the items of a root field that is a plain list."""
        items: list[dict[str, Any]] = self.value["listed"]
        return items

    @property
    def next_page(self) -> str | None:
        info = self.value["pageInfo"]
        return info["endCursor"] if info["hasNextPage"] else None


def endpoint_of(url: str) -> str:
    """Return the GraphQL endpoint: `/graphql` unless the address has another path.

    Raise `UsageError` if `url` is not an HTTP address.
    """
    address = urlsplit(url if "://" in url else f"http://{url}")
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise UsageError(f"{url!r} is not an address such as https://mingcha.example.", "服务器地址不正确。")
    return f"{address.scheme}://{address.netloc}{address.path.rstrip('/') or '/graphql'}"


class GraphqlClient:
    """A client for one server's endpoint."""

    def __init__(self, client: httpx.AsyncClient, endpoint: str, backoff: Backoff) -> None:
        self._client = client
        self.endpoint = endpoint
        self._backoff = backoff
        self._round_trip: float | None = None
        self._packs = True

    async def ask(self, operation: str, variables: dict[str, Any], token: str | None = None) -> Reply:
        """Send an operation. Raise `ServerRefusedError` for a refusal, `UnreachableError` if all attempts fail.

        Every operation can be repeated safely, even if an earlier attempt took effect and only its reply was lost.
        """
        for failed in range(1, self._backoff.attempts + 1):
            try:
                return await self._send(operation, variables, token)
            except UnreachableError as fault:
                if failed == self._backoff.attempts:
                    raise
                await asyncio.sleep(self._backoff.wait(failed, asked=fault.seconds))
        raise AssertionError("a back-off has at least one attempt")

    async def _send(self, operation: str, variables: dict[str, Any], token: str | None) -> Reply:
        for name in TIMED_INPUTS & variables.keys():
            variables = variables | {name: variables[name] | {"deviceClock": self._clock()}}
        # Read the clock again for each attempt: after a long wait, an earlier reading would seem to be behind.
        if operation in SENDS_CLOCK:
            variables = variables | {"input": variables["input"] | {"deviceClock": self._clock()}}
        payload = {"query": text_of(operation), "operationName": operation, "variables": variables}
        response = await self._post(payload, token)
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or not ("data" in body or "errors" in body):
            raise self._unreachable(f"HTTP {response.status_code}, no GraphQL answer", retry_after(response))
        before = dict(list((body.get("data") or {}).items())[:-1])
        return Reply(_read_root(body, response), _server_time(response), before)

    async def _post(self, payload: dict[str, Any], token: str | None) -> httpx.Response:
        """Send the payload compressed. If the server can't read compressed bodies, send the payload uncompressed.

        If that helped, don't compress later requests either.
        """
        body = encode_body(payload, packed=self._packs)
        headers = {"Accept": ACCEPT, LEVEL: str(Levels.read().current)} | body.headers
        if token:
            headers["Authorization"] = f"Bearer {token}"
        began = time.monotonic()
        try:
            response = await self._client.post(self.endpoint, content=body.content, headers=headers, timeout=TIMEOUT)
            self._round_trip = time.monotonic() - began
            if body.is_packed and response.status_code in UNREADABLE_STATUSES:
                del headers["Content-Encoding"]
                plain = encode_body(payload, packed=False).content
                response = await self._client.post(self.endpoint, content=plain, headers=headers, timeout=TIMEOUT)
                self._packs = response.status_code in UNREADABLE_STATUSES
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self._unreachable(describe_error(error)) from error
        return response

    def _clock(self) -> dict[str, Any]:
        """Return the phone's current time, even if it is wrong, and the round-trip time, if it is known.

        The round-trip time tells the server how exact a comparison with its own clock is.
        """
        clock: dict[str, Any] = {"at": datetime.now().astimezone().isoformat(timespec="milliseconds")}
        if self._round_trip is not None:
            clock["roundTripMilliseconds"] = round(self._round_trip * 1000)
        return clock

    def _unreachable(self, why: str, seconds: float | None = None) -> UnreachableError:
        if proxies := unusable_proxies():
            why += f"; {', '.join(proxies)} can't be used, and was left out"
        return unreachable(f"The server {self.endpoint}", f"服务器 {self.endpoint} ", why, seconds=seconds)


def describe_error(error: httpx.RequestError) -> str:
    """Say briefly why a request failed."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _read_root(body: dict[str, Any], response: httpx.Response) -> dict[str, Any]:
    """Return the last root field's value, even if the answer also has errors. Raise if it is null or a `Refused`."""
    root = next(reversed((body.get("data") or {}).values()), None)
    if root is None:
        error: dict[str, Any] = next(iter(body.get("errors") or []), {})
        raise _read_refusal(error.get("extensions", {}) | {"message": error.get("message")}, response)
    if isinstance(root, list):
        return {"listed": root}
    if not isinstance(root, dict) or root.get("__typename") == "Refused":
        raise _read_refusal(root if isinstance(root, dict) else {}, response)
    return root


def _read_refusal(value: dict[str, Any], response: httpx.Response) -> ServerRefusedError | UnreachableError:
    refused = ServerRefusedError.read(value)
    if refused.code in TRANSIENT_CODES:
        seconds = value.get("retryAfterSeconds")
        asked = retry_after(response) if seconds is None else float(seconds)
        return UnreachableError(refused.message, refused.message_zh, seconds=asked)
    return refused


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds in the header `Retry-After`, or None if it has no number."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _server_time(response: httpx.Response) -> datetime:
    """Return the server's time from the header `Date`, because the phone's own clock can be years off."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)
