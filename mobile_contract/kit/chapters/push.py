"""Check chapter 9, push: subscriptions over WebSocket and server-sent events, and missed events after a break."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake
from websockets.typing import Subprotocol

from mobile_contract.documents import text_of
from mobile_contract.kit.accounts import Party, Person
from mobile_contract.kit.case_setup import AssignedCase, assign_case, withdraw_assignment
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import BrokenClauseError, require
from mobile_contract.levels import Levels

NAMES = ("AssignmentChanged", "CaseChanged")


@clause(
    "P1",
    "`assignmentChanged` and `caseChanged` over `graphql-transport-ws` report a change within seconds.",
    "officer",
)
async def check_websocket(party: Party) -> str:
    person = await party.user.sign_in_again()
    async with open_socket(person) as connection:
        for name in NAMES:
            await subscribe(connection, name)
        began: set[str] = set()
        missing: set[str] = set()
        given: AssignedCase | None = None
        try:
            async with asyncio.timeout(party.seconds):
                while given is None or missing:
                    message = json.loads(await connection.recv())
                    require(message["type"] in {"next", "ping"}, "subscribe", "next", message)
                    if message["type"] == "next":
                        began.add(message["id"])
                        missing -= event_ids(message["payload"])
                    if given is None and began == set(NAMES):
                        given = await assign_case(party)
                        missing = {given.case_id, given.assignment_id}
        except TimeoutError:
            raise BrokenClauseError(
                "both subscriptions over graphql-transport-ws", "the change", f"not {missing or NAMES}"
            ) from None
    await withdraw_assignment(party, given)
    return "Both subscriptions reported a case that was assigned."


@clause("P2", "The same over server-sent events at `/graphql/stream`.", "officer")
async def check_server_sent_events(party: Party) -> str:
    for name in NAMES:
        given: AssignedCase | None = None
        async for event in _listen(party, name, None):
            if given is None:
                given = await assign_case(party)
            elif {given.case_id, given.assignment_id} & event_ids(event):
                break
        assert given  # noqa: S101
        await withdraw_assignment(party, given)
    return "Both streams reported a case that was assigned."


@clause("P3", "A subscription that names the last cursor goes on after it, and misses nothing.", "officer")
async def check_resume(party: Party) -> str:
    cursor = None
    async for event in _listen(party, "AssignmentChanged", None):
        cursor = next(iter(event["data"].values()))["cursor"]
        break
    missed = [await assign_case(party) for _ in range(2)]
    waiting = {assigned.assignment_id for assigned in missed}
    async for event in _listen(party, "AssignmentChanged", cursor):
        waiting -= event_ids(event)
        if not waiting:
            break
    waiting = {assigned.assignment_id for assigned in missed}
    person = await party.user.sign_in_again()
    async with open_socket(person) as connection:
        await subscribe(connection, "AssignmentChanged", since=cursor)
        await _receive_all(
            party, connection, waiting, "AssignmentChanged over graphql-transport-ws since the last cursor"
        )
    for assigned in missed:
        await withdraw_assignment(party, assigned)
    return "Two assignments, made while nobody listened, came after the last cursor over both transports."


async def _receive_all(party: Party, connection: Any, waiting: set[str], request: str) -> None:
    """Receive events until they have reported all ids in `waiting`."""
    missing = set(waiting)
    try:
        async with asyncio.timeout(party.seconds):
            while missing:
                message = json.loads(await connection.recv())
                require(message["type"] in {"next", "ping"}, request, "next", message)
                missing -= event_ids(message.get("payload") or {})
    except TimeoutError:
        raise BrokenClauseError(request, "the change", f"not {missing}") from None


async def subscribe(connection: Any, name: str, since: str | None = None) -> None:
    payload = {"query": text_of(name), "operationName": name, "variables": {"since": since}}
    await connection.send(json.dumps({"type": "subscribe", "id": name, "payload": payload}))


async def _listen(party: Party, name: str, since: str | None) -> AsyncIterator[dict[str, Any]]:
    """Yield events as they arrive. Raise `BrokenClauseError` if the next event takes too long."""
    person = await party.user.sign_in_again()
    request = f"{name} at /graphql/stream{' since the last cursor' if since else ''}"
    stream = open_stream(person, name, since, request)
    async with aclosing(stream):
        while True:
            try:
                async with asyncio.timeout(party.seconds):
                    event = await anext(stream)
            except (TimeoutError, StopAsyncIteration, httpx.TransportError):
                raise BrokenClauseError(request, "the change", f"nothing of it within {party.seconds:.0f} s") from None
            yield event


async def open_stream(person: Person, name: str, since: str | None, request: str) -> AsyncGenerator[dict[str, Any]]:
    body = {"query": text_of(name), "operationName": name, "variables": {"since": since}}
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {person.access}"}
    async with person.server.client.stream(
        "POST", f"{person.server.endpoint}/stream", json=body, headers=headers
    ) as response:
        kind = response.headers.get("content-type", "")
        if response.status_code != 200 or not kind.startswith("text/event-stream"):
            raise BrokenClauseError(request, "200 text/event-stream", f"HTTP {response.status_code} {kind}")
        async for line in response.aiter_lines():
            if line.startswith("data:") and line[5:].strip():
                yield json.loads(line[5:])


@asynccontextmanager
async def open_socket(person: Person) -> AsyncIterator[Any]:
    parts = urlsplit(person.server.endpoint)
    address = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{parts.path}"
    try:
        async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as connection:
            init = {"authorization": f"Bearer {person.access}", "Mingcha-Level": str(Levels.read().current)}
            await connection.send(json.dumps({"type": "connection_init", "payload": init}))
            said = json.loads(await connection.recv())
            require(said["type"] == "connection_ack", "connection_init", "connection_ack", said)
            yield connection
    except (OSError, InvalidHandshake) as error:
        raise BrokenClauseError(f"a WebSocket to {address}", "graphql-transport-ws", str(error)) from None


def event_ids(payload: dict[str, Any]) -> set[str]:
    """Return the ids of the records that an event reports."""
    event = next(iter((payload.get("data") or {}).values()), None) or {}
    records = [event.get("assignment"), event.get("case")]
    return {record["id"] for record in records if record}
