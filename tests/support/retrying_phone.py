"""Send each step of a phone again, with jitter, until it succeeds, and record every answer, for tests of failures.

It uses no code of the reference phone, so that its judgement is independent.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx

from tests.support.world import draft, medium, new_id

T = TypeVar("T")
OPERATIONS = Path(__file__).parents[2] / "mobile_contract" / "operations"
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0
SIGNED_OUT = frozenset({"UNAUTHENTICATED", "SESSION_ENDED"})


class RetryLaterError(Exception):
    """The attempt failed, but another attempt may succeed. The text is a short reason."""


class SubmissionRefusedError(Exception):
    """A typed refusal by the server. The text is the refusal's code."""


@cache
def document(operation: str) -> str:
    return (OPERATIONS / f"{operation}.graphql").read_text()


@dataclass(frozen=True)
class Photo:
    """A draft with one medium, which is `picture` followed by that many zero bytes."""

    draft: dict[str, Any]
    picture: bytes
    zeros: int

    @classmethod
    def of(cls, picture: bytes, zeros: int) -> "Photo":
        return cls(draft(media=[medium(picture + bytes(zeros))]), picture, zeros)

    @property
    def body(self) -> bytes:
        return self.picture + bytes(self.zeros)

    @property
    def id(self) -> str:
        return str(self.draft["id"])

    @property
    def media_id(self) -> str:
        return str(self.draft["media"][0]["id"])

    @property
    def sha256(self) -> str:
        return str(self.draft["media"][0]["sha256"])


@dataclass
class RetryingPhone:
    """One device of one person.

    `receipts` holds the first receipt of each observation. `pulled` holds the records of all pulls. `denials` lists the
    answers that contradict an earlier answer. `others` holds the texts of operations that phones don't have, by name.
    """

    address: str
    user_name: str
    password: str
    random: Random
    http: httpx.AsyncClient
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    denials: list[str] = field(default_factory=list)
    retries: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    sign_ins: int = 0
    refreshes: int = 0
    pulled: dict[str, dict[str, Any]] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    _cursor: str | None = None
    _device_id: str = field(default_factory=lambda: new_id("dev"))
    _tokens: dict[str, Any] | None = None

    async def hand_in(self, photo: Photo) -> None:
        """Submit and upload until the medium is confirmed. Sometimes submit the draft again without need."""
        begun = time.monotonic()
        slot = await self._until("submit", lambda: self._submit(photo))
        if self.random.random() < 0.2:
            slot = await self._until("submit again", lambda: self._submit(photo))
        while photo.media_id not in self.confirmed:
            await self._put(photo, slot)
            await self._until("confirm", lambda: self._confirm(photo))
            slot = None
        self.waits.append(time.monotonic() - begun)

    async def ask(self, operation: str, **variables: Any) -> dict[str, Any]:
        """Ask an operation until it is answered. It is one of `others`, or one of the phones' operations."""
        return await self._until(operation, lambda: self._ask(operation, variables))

    async def submit_again(self, photo: Photo) -> None:
        await self._until("submit again", lambda: self._submit(photo))

    async def media_states(self) -> dict[str, str]:
        """Return the states of this person's media, keyed by id."""
        states: dict[str, str] = {}
        after: str | None = None
        while True:
            variables = {"first": 100, "after": after}
            page = await self._until("read", lambda variables=variables: self._ask("MyMedia", variables))  # type: ignore[misc]
            for edge in page["edges"]:
                states |= {each["id"]: each["state"] for each in edge["node"]["content"]["media"]}
            if not page["pageInfo"]["hasNextPage"]:
                return states
            after = page["pageInfo"]["endCursor"]

    async def pull(self) -> int:
        """Pull one page of changes of this person's observations, and return the number of changes."""
        asked = {"since": self._cursor, "kinds": ["OBSERVATION"], "first": 50}
        page = await self._until("pull", lambda: self._ask("Changes", asked))
        self._cursor = page["cursor"]
        self.pulled |= {change["id"]: change["record"] for change in page["changes"]}
        return len(page["changes"])

    async def _until(self, step: str, attempt: Callable[[], Awaitable[T]]) -> T:
        wait = FIRST_WAIT
        while True:
            try:
                return await attempt()
            except RetryLaterError as reason:
                self.retries[f"{step}: {reason}"] += 1
            await asyncio.sleep(self.random.uniform(wait / 2, wait))
            wait = min(wait * 2, LONGEST_WAIT)

    async def _submit(self, photo: Photo) -> dict[str, Any] | None:
        """Submit the draft and return the upload slot; None if the server knows of the upload already."""
        result = _only(await self._ask("SubmitObservations", {"input": {"drafts": [photo.draft]}}))
        first = self.receipts.setdefault(photo.id, result["receipt"])
        if result["receipt"] != first:
            self.denials.append(f"{photo.id}: the receipt was {first} and is {result['receipt']}")
        return next(iter(result["uploads"]), None)

    async def _put(self, photo: Photo, slot: dict[str, Any] | None) -> None:
        """Upload the photo with the given slot. Request a new slot for each further attempt.

        The object store may have moved since the slot was made, or it may have some of the parts already.
        """

        async def attempt() -> None:
            nonlocal slot
            used, slot = slot or await self._slot(photo), None
            if used is None:
                return
            if used["kind"] == "SINGLE":
                await self._put_bytes(used, photo.body)
                return
            for part in used["parts"]:
                if not part["hasArrived"]:
                    start = part["offset"]
                    await self._put_bytes(part, photo.body[start : start + part["byteSize"]])

        if slot and slot["kind"] == "MULTIPART":  # a draft's answer has no parts yet
            slot = None
        await self._until("put", attempt)

    async def _put_bytes(self, to: dict[str, Any], body: bytes) -> None:
        headers = {header["name"]: header["value"] for header in to["headers"]}
        response = await self._send("PUT", to["url"], headers=headers, content=body)
        if not response.is_success:
            raise RetryLaterError(f"HTTP {response.status_code}")

    async def _slot(self, photo: Photo) -> dict[str, Any] | None:
        """Request an upload slot; None if the server knows of the upload already."""
        wanted = {"media": [{"mediaId": photo.media_id}]}
        result = _only(await self._ask("RequestUploads", {"input": wanted}))
        slot: dict[str, Any] | None = result["slot"]
        return slot

    async def _confirm(self, photo: Photo) -> None:
        try:
            _only(await self._ask("ConfirmMedia", {"input": {"mediaIds": [photo.media_id]}}))
        except RetryLaterError as reason:
            if str(reason) != "NOT_ARRIVED":
                raise
            self.denials.append(f"{photo.media_id}: the store had taken it, and confirming found nothing")
            return
        self.confirmed.add(photo.media_id)

    async def _ask(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Make one attempt with the current session. If it has expired, renew it and raise `RetryLaterError`."""
        if self._tokens is None:
            await self._sign_in()
        assert self._tokens is not None
        try:
            return await self._once(operation, variables, self._tokens["accessToken"])
        except SubmissionRefusedError as refusal:
            if str(refusal) not in SIGNED_OUT:
                raise
        await self._renew()
        raise RetryLaterError("the session was renewed")

    async def _sign_in(self) -> None:
        given = {"userName": self.user_name, "password": self.password, "deviceId": self._device_id, "deviceName": "x"}
        self._tokens = await self._once("SignIn", {"input": given})
        self.sign_ins += 1

    async def _renew(self) -> None:
        assert self._tokens is not None
        given = {"refreshToken": self._tokens["refreshToken"], "deviceId": self._device_id}
        try:
            self._tokens = await self._once("RefreshSession", {"input": given})
            self.refreshes += 1
        except SubmissionRefusedError as refusal:
            if str(refusal) not in SIGNED_OUT:
                raise
            self._tokens = None

    async def _once(self, operation: str, variables: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        query = self.others.get(operation) or document(operation)
        body = {"query": query, "operationName": operation, "variables": variables}
        headers = {"Accept": "application/graphql-response+json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        response = await self._send("POST", f"{self.address}/graphql", json=body, headers=headers)
        answer = response.json()
        for error in answer.get("errors", ()):
            _refuse(error["extensions"])
        [root] = answer["data"].values()
        if root.get("__typename") == "Refused":
            _refuse(root)
        return dict(root)

    async def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            return await self.http.request(method, url, **request)
        except httpx.TransportError as error:
            raise RetryLaterError(type(error).__name__) from None


def _only(payload: dict[str, Any]) -> dict[str, Any]:
    [result] = payload["results"]
    if result["refusal"]:
        _refuse(result["refusal"])
    return dict(result)


def _refuse(refusal: dict[str, Any]) -> None:
    if refusal["nextStep"] == "RETRY_LATER":
        raise RetryLaterError(refusal["code"])
    raise SubmissionRefusedError(refusal["code"])
