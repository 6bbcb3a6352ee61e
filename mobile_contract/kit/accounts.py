"""Sign in the kit's accounts, each on a device of its own, and send their requests."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mobile_contract.kit.http_client import Answer, HttpClient
from mobile_contract.kit.results import BrokenClauseError, NotTriedError, require
from mobile_contract.kit.shapes import root_of
from mobile_contract.phone.ids import new_id

DEVICE_NAME = "conformance kit 一致性检查"


class SignInFailedError(Exception):
    """An account that the kit was given can't sign in, so no clause can be checked."""


@dataclass
class Person:
    """A person on a device. An expired token is renewed by signing in again."""

    server: HttpClient
    name: str
    password: str
    device_id: str = field(default_factory=lambda: new_id("dev"))
    access: str = ""
    refresh: str = ""
    secret: str = ""
    id: str = ""

    async def sign_in(self) -> "Person":
        credentials = {
            "userName": self.name,
            "password": self.password,
            "deviceId": self.device_id,
            "deviceName": DEVICE_NAME,
        }
        value = (await self.server.ask("SignIn", {"input": credentials})).root
        if value.get("__typename") != "SignedIn":
            raise SignInFailedError(f"{self.name} can't sign in: {value.get('message') or value}")
        self.access, self.refresh, self.id = value["accessToken"], value["refreshToken"], value["user"]["id"]
        self.secret = value.get("deviceSecret") or ""
        return self

    async def sign_in_again(self) -> "Person":
        """Sign the same account in on another device."""
        return await Person(self.server, self.name, self.password).sign_in()

    async def send(self, operation: str, variables: dict[str, Any] | None = None, **how: Any) -> Answer:
        """Send an operation. `operation` is the name of an operation of the contract, or the text of any other."""
        answer = await self.server.ask(operation, variables or {}, token=self.access, **how)
        if answer.code == "UNAUTHENTICATED":
            await self.sign_in()
            answer = await self.server.ask(operation, variables or {}, token=self.access, **how)
        if answer.code == "UNKNOWN_DOCUMENT" and " " in operation:
            raise NotTriedError("The server executes only trusted documents, and this check needs another operation.")
        return answer

    async def ask(self, operation: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send an operation, and return the first root field's value.

        Raise `BrokenClauseError` if the value is missing, or if it is a refusal.
        """
        answer = await self.send(operation, variables)
        value = answer.root
        if value.get("__typename") == "Refused":
            raise BrokenClauseError(answer.request, "an answer", f"refused: {value.get('code')} {value.get('message')}")
        return value

    async def submit(self, *drafts: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        value = await self.ask("SubmitObservations", {"input": {"drafts": list(drafts), **more}})
        results: list[dict[str, Any]] = value["results"]
        require(len(results) == len(drafts), "SubmitObservations", f"{len(drafts)} results", f"{len(results)} results")
        return results

    async def submit_accepted(self, **fields: Any) -> dict[str, Any]:
        """Submit a draft that the server must accept. Return the draft, with the server's answer as `result`."""
        sent = new_draft(**fields)
        [result] = await self.submit(sent)
        require(result["outcome"] == "ACCEPTED", f"SubmitObservations of {sent['id']}", "ACCEPTED", result)
        return sent | {"result": result}

    async def fetch_nodes(self, operation: str, most: int = 2000, first: int = 50) -> list[dict[str, Any]]:
        """Fetch all nodes of a list of the contract, page by page."""
        nodes: list[dict[str, Any]] = []
        after: str | None = None
        page = f"{operation} {root_of(operation)}.pageInfo"
        while len(nodes) < most:
            answer = await self.send(operation, {"first": first, "after": after})
            require(not (after and answer.errors), f"{page}.endCursor", "a cursor that goes on", answer.errors)
            value = answer.root
            nodes += [edge["node"] for edge in value["edges"]]
            is_last = not value["pageInfo"]["hasNextPage"]
            require(value["edges"] or is_last, f"{page}.hasNextPage", "false after the last record", "an empty page")
            before, after = after, value["pageInfo"]["endCursor"]
            if is_last:
                break
            require(after and after != before, f"{page}.endCursor", "a cursor that goes on", after)
        return nodes

    async def find_reports(self, *ids: str) -> list[dict[str, Any]]:
        """Find the given ids among the person's latest 50 reports."""
        value = await self.ask("MyReports", {"first": 50})
        return [edge["node"] for edge in value["edges"] if edge["node"]["id"] in ids]

    async def send_pull(
        self, since: str | None, first: int = 100, kinds: list[str] | None = None, by: str = "Sync"
    ) -> Answer:
        """Ask for a page of changes, by `Sync` or by `Changes`."""
        given = {"since": since, "first": first, "kinds": kinds}
        return await self.send(by, {"input": given} if by == "Sync" else given)

    async def pull_page(
        self, since: str | None, first: int = 100, kinds: list[str] | None = None, by: str = "Sync"
    ) -> dict[str, Any]:
        answer = await self.send_pull(since, first, kinds, by)
        page: dict[str, Any] = answer.pulled
        require(page["__typename"] != "Refused", answer.request, "changes", f"{page}")
        return page

    async def pull(
        self, since: str | None = None, first: int = 100, kinds: list[str] | None = None, by: str = "Sync"
    ) -> tuple[list[dict[str, Any]], str]:
        """Pull all changes since a cursor. Return the changes and the next cursor."""
        changes: list[dict[str, Any]] = []
        for _ in range(20_000):
            page = await self.pull_page(since, first, kinds, by)
            changes += page["changes"]
            require(page["cursor"] != since or not page["hasMore"], by, "a cursor that goes on", "the same cursor")
            since = page["cursor"]
            if not page["hasMore"]:
                return changes, str(since)
        raise BrokenClauseError(f"{by}, page after page", "an end", "20,000 pages")


def new_draft(**fields: Any) -> dict[str, Any]:
    """Make a draft of an observation. Its text says that it comes from the kit."""
    return {
        "id": new_id("obs"),
        "method": "PATROL",
        "category": "OTHER",
        "severity": "NOTE",
        "text": "[conformance kit 一致性检查] not an observation 并非真实记录",
        "capturedAt": _now(),
    } | fields


def new_answer(assignment_id: str) -> dict[str, Any]:
    """Make an answer that accepts an assignment now."""
    return {"id": new_id("ans"), "assignmentId": assignment_id, "kind": "ACCEPT", "answeredAt": _now()}


def new_note_edit(assignment_id: str, value: str = "[conformance kit 一致性检查]", **fields: Any) -> dict[str, Any]:
    """Make an edit of an assignment's working note. Its running number is 1, so it is the first edit of a device."""
    edit = {"id": new_id("evt"), "assignmentId": assignment_id, "field": "WORKING_NOTE", "value": value}
    return edit | {"baseVersion": 0, "editedAt": _now(), "deviceSequence": 1} | fields


def now() -> datetime:
    return datetime.now().astimezone()


def _now() -> str:
    return now().isoformat(timespec="milliseconds")


@dataclass
class Party:
    """The accounts that the kit was given. `user` and `other` are inspectors, and `monitor` is a monitor of a point.

    `seconds` is how long the kit waits for a slow step.
    """

    server: HttpClient
    user: Person
    other: Person | None = None
    officer: Person | None = None
    monitor: Person | None = None
    seconds: float = 20.0

    async def wait_until(self, work: Callable[[], Awaitable[Any]], request: str, expected: str) -> Any:
        """Repeat `work` until it returns a truthy value, and return this value.

        Raise `BrokenClauseError` after `seconds`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.seconds
        while not (answer := await work()):
            if loop.time() > deadline:
                raise BrokenClauseError(request, expected, f"nothing of it within {self.seconds:.0f} s")
            await asyncio.sleep(0.1)
        return answer

    async def wait_quiet(self, person: Person) -> str:
        """Pull until no more changes arrive. Return the last cursor, which covers all writes before this call."""
        written = (await person.ask("Sync", {"input": {"first": 1}}))["serverTime"]
        state: dict[str, str | None] = {"cursor": None}

        async def still() -> str | None:
            before = state["cursor"]
            changes, state["cursor"] = await person.pull(before)
            if not before or changes:
                return None
            return state["cursor"] if ((await person.pull_page(state["cursor"]))["asOf"] or "") > written else None

        cursor: str = await self.wait_until(still, "Sync since the last cursor", "no change once all has been pulled")
        return cursor

    def require_account(self, role: str) -> Person:
        """Return the account of a role. Raise `NotTriedError` if the kit was given no such account."""
        person: Person | None = getattr(self, role)
        if person is None:
            raise NotTriedError(f"No account was given by --{role}.")
        return person
