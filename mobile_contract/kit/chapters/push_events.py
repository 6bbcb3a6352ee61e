"""Check chapter 9, push: what events say, how a stream goes on after each of them and how it ends, and push tokens."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import httpx

from mobile_contract.kit.accounts import Party, Person
from mobile_contract.kit.case_setup import AssignedCase, assign_case, assign_unit, withdraw_assignment
from mobile_contract.kit.chapters.outbox_answers import edit_notes
from mobile_contract.kit.chapters.push import NAMES, open_socket, open_stream, subscribe
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, near, recent, some_text
from mobile_contract.kit.results import BrokenClauseError

MINUTE = timedelta(seconds=61)
ROOTS = {"AssignmentChanged": "assignmentChanged", "CaseChanged": "caseChanged"}
TRANSPORTS = ("graphql-transport-ws", "text/event-stream")


@clause(
    "P5",
    "An event says of a record what a list says, a stream goes on after any event's cursor, and it says why it ends.",
    "officer",
)
async def check_events(party: Party) -> str:
    compared, person = Comparison(), await party.user.sign_in_again()
    for transport in TRANSPORTS:
        for name in NAMES:
            await _check_stream(party, person, compared, transport, name)
    return f"{compared.report()} fields of events were those of their records, over both transports."


async def _check_stream(party: Party, person: Person, compared: Comparison, transport: str, name: str) -> None:
    """Follow one stream from its position to its end: records change, one is lost, the session ends."""
    root = ROOTS[name]
    await person.sign_in()
    cursors: dict[str, str] = {}
    expected: list[dict[str, Any]] = []
    given: AssignedCase | None = None
    async for event in _follow(party, person, transport, name, None):
        kind = event["__typename"]
        cursors[kind] = event.get("cursor", "")
        if given is None:
            compared.same(name, root, {"cursor": some_text()}, event)
            given = await assign_case(party)
            expected = await _expect_events(party, person, name, given)
        elif expected and kind == name and _id_of(event) == _id_of(expected[0]):
            if _is_older(event, expected[0]):
                continue
            compared.same(name, root, expected.pop(0), event)
            if not expected:
                await (withdraw_assignment(party, given) if name == "CaseChanged" else person.ask("SignOut"))
        elif kind == "RecordLost":
            compared.same(name, root, {"cursor": some_text(), "id": given.case_id}, event)
            await person.ask("SignOut")
        elif kind == "StreamEnded":
            compared.same(name, root, {"endReason": "SESSION_ENDED"}, event)
            break
    await person.sign_in()
    for cursor in filter(None, cursors.values()):
        goes_on = await _goes_on(party, person, transport, name, cursor)
        compared.same(name, f"{root}.cursor", "a stream that goes on", goes_on)


def _is_older(event: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Return whether an event of the assignment is from before its notes were edited by both devices."""
    lost = [
        [note["lostEdits"] for note in (each.get("assignment") or {}).get("notes") or ()] for each in (event, expected)
    ]
    return any(lost[1]) and not any(lost[0])


async def _expect_events(party: Party, person: Person, name: str, given: AssignedCase) -> list[dict[str, Any]]:
    """Change what the stream follows, and return the events that must come."""
    if name == "CaseChanged":
        case = given.case
        told = {field: case[field] for field in ("id", "number", "title", "closedAt", "outcome", "reply")}
        told |= {"state": "ASSIGNED", "openedAt": near(case["openedAt"], MINUTE)}
        return [{"cursor": some_text(), "case": told}]
    unit = (await party.user.fetch_nodes("Units"))[-1]
    inspection = await assign_unit(party, unit["id"])
    notes = await edit_notes(party, person, given.assignment_id)
    records = [inspection | {"notes": []}, given.assignment | {"notes": notes}]
    return [
        {"cursor": some_text(), "assignment": each | {"offeredAt": near(each["offeredAt"], MINUTE)}} for each in records
    ]


async def _follow(
    party: Party, person: Person, transport: str, name: str, since: str | None
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the events of a stream. Raise `BrokenClauseError` if the next one takes too long."""
    request = f"{name} over {transport}"
    stream = (_over_socket if transport == TRANSPORTS[0] else _over_sse)(person, name, since, request)
    async with aclosing(stream):
        while True:
            try:
                async with asyncio.timeout(party.seconds):
                    payload = await anext(stream)
            except (TimeoutError, StopAsyncIteration, httpx.TransportError):
                raise BrokenClauseError(request, "the next event", f"none within {party.seconds:.0f} s") from None
            event = next(iter((payload.get("data") or {}).values()), None)
            if not isinstance(event, dict):
                raise BrokenClauseError(request, "an event", payload)
            person.server.check_shape(name, payload["data"], {"since": since})
            yield event


async def _over_socket(
    person: Person, name: str, since: str | None, request: str
) -> AsyncGenerator[dict[str, Any], None]:
    async with open_socket(person) as connection:
        await subscribe(connection, name, since)
        async for text in connection:
            message = json.loads(text)
            if message["type"] == "next":
                yield message["payload"]
            elif message["type"] != "ping":
                raise BrokenClauseError(request, "next", message)


async def _over_sse(person: Person, name: str, since: str | None, request: str) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(open_stream(person, name, since, request)) as events:
        async for payload in events:
            yield payload


async def _goes_on(party: Party, person: Person, transport: str, name: str, cursor: str) -> str:
    """Subscribe again since a cursor, and say whether a stream begins."""
    try:
        async with aclosing(_follow(party, person, transport, name, cursor)) as events:
            async for event in events:
                return "a stream that goes on" if event.get("cursor") else str(event)
    except BrokenClauseError as broken:
        return broken.got
    return "nothing"


def _id_of(event: dict[str, Any]) -> str | None:
    record = event.get("assignment") or event.get("case") or {}
    id: str | None = record.get("id")
    return id


@clause("P6", "A push token is registered for the device that asks, and forgotten for it.")
async def check_push_token(party: Party) -> str:
    person, compared = await party.user.sign_in_again(), Comparison()
    token = {"service": "APNS", "token": "0" * 64}
    registered = await person.ask("RegisterPushToken", {"input": token})
    expected = {"deviceId": person.device_id, "service": "APNS", "registeredAt": recent()}
    compared.same("RegisterPushToken", "registerPushToken", expected, registered)
    forgotten = await person.ask("ForgetPushToken")
    compared.same("ForgetPushToken", "forgetPushToken", {"deviceId": person.device_id}, forgotten)
    return f"{compared.report()} fields named the device whose token was registered and forgotten."
