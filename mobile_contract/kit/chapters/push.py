"""Chapter 9, push: subscriptions over a WebSocket and over server-sent events, and what they tell after a gap."""

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
from mobile_contract.kit.case_setup import Given, give, take_back
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import BrokenClauseError, hold
from mobile_contract.levels import Levels

NAMES = ("AssignmentChanged", "CaseChanged")


@clause(
    "P1",
    "`assignmentChanged` and `caseChanged` over `graphql-transport-ws` report a change within seconds.",
    "officer",
)
async def sockets(party: Party) -> str:
    person = await party.user.again()
    async with socket_of(person) as connection:
        for name in NAMES:
            await subscribe(connection, name)
        began: set[str] = set()
        missing: set[str] = set()
        given: Given | None = None
        try:
            async with asyncio.timeout(party.seconds):
                while given is None or missing:
                    message = json.loads(await connection.recv())
                    hold(message["type"] in {"next", "ping"}, "subscribe", "next", message)
                    if message["type"] == "next":
                        began.add(message["id"])
                        missing -= told_of(message["payload"])
                    if given is None and began == set(NAMES):
                        given = await give(party)
                        missing = {given.case_id, given.assignment_id}
        except TimeoutError:
            raise BrokenClauseError(
                "both subscriptions over graphql-transport-ws", "the change", f"not {missing or NAMES}"
            ) from None
    await take_back(party, given)
    return "Both subscriptions told of a case that was given."


@clause("P2", "The same over server-sent events at `/graphql/stream`.", "officer")
async def events(party: Party) -> str:
    for name in NAMES:
        given: Given | None = None
        async for event in _heard(party, name, None):
            if given is None:
                given = await give(party)
            elif {given.case_id, given.assignment_id} & told_of(event):
                break
        assert given  # noqa: S101
        await take_back(party, given)
    return "Both streams told of a case that was given."


@clause("P3", "A subscription that names the last cursor goes on after it, and misses nothing.", "officer")
async def resumed(party: Party) -> str:
    cursor = None
    async for event in _heard(party, "AssignmentChanged", None):
        cursor = next(iter(event["data"].values()))["cursor"]
        break
    missed = [await give(party) for _ in range(2)]
    waiting = {each.assignment_id for each in missed}
    async for event in _heard(party, "AssignmentChanged", cursor):
        waiting -= told_of(event)
        if not waiting:
            break
    waiting = {each.assignment_id for each in missed}
    person = await party.user.again()
    async with socket_of(person) as connection:
        await subscribe(connection, "AssignmentChanged", since=cursor)
        await _until_told(
            party, connection, waiting, "AssignmentChanged over graphql-transport-ws since the last cursor"
        )
    for each in missed:
        await take_back(party, each)
    return "Two assignments that were given while nobody listened came after the last cursor, over both transports."


async def _until_told(party: Party, connection: Any, waiting: set[str], request: str) -> None:
    """Read until all of `waiting` have been told of."""
    missing = set(waiting)
    try:
        async with asyncio.timeout(party.seconds):
            while missing:
                message = json.loads(await connection.recv())
                hold(message["type"] in {"next", "ping"}, request, "next", message)
                missing -= told_of(message.get("payload") or {})
    except TimeoutError:
        raise BrokenClauseError(request, "the change", f"not {missing}") from None


async def subscribe(connection: Any, name: str, since: str | None = None) -> None:
    payload = {"query": text_of(name), "operationName": name, "variables": {"since": since}}
    await connection.send(json.dumps({"type": "subscribe", "id": name, "payload": payload}))


async def _heard(party: Party, name: str, since: str | None) -> AsyncIterator[dict[str, Any]]:
    """Events as they come. Raise `BrokenClauseError` when none comes in time."""
    person = await party.user.again()
    request = f"{name} at /graphql/stream{' since the last cursor' if since else ''}"
    stream = _events(person, name, since, request)
    async with aclosing(stream):
        while True:
            try:
                async with asyncio.timeout(party.seconds):
                    event = await anext(stream)
            except (TimeoutError, StopAsyncIteration, httpx.TransportError):
                raise BrokenClauseError(request, "the change", f"nothing of it within {party.seconds:.0f} s") from None
            yield event


async def _events(person: Person, name: str, since: str | None, request: str) -> AsyncGenerator[dict[str, Any]]:
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
async def socket_of(person: Person) -> AsyncIterator[Any]:
    parts = urlsplit(person.server.endpoint)
    address = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{parts.path}"
    try:
        async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as connection:
            init = {"authorization": f"Bearer {person.access}", "Mingcha-Level": str(Levels.read().current)}
            await connection.send(json.dumps({"type": "connection_init", "payload": init}))
            said = json.loads(await connection.recv())
            hold(said["type"] == "connection_ack", "connection_init", "connection_ack", said)
            yield connection
    except (OSError, InvalidHandshake) as error:
        raise BrokenClauseError(f"a WebSocket to {address}", "graphql-transport-ws", str(error)) from None


def told_of(payload: dict[str, Any]) -> set[str]:
    """Ids of the records that an event tells of."""
    event = next(iter((payload.get("data") or {}).values()), None) or {}
    records = [event.get("assignment"), event.get("case")]
    return {record["id"] for record in records if record}
