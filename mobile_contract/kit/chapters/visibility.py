"""Check chapter 10, visibility: other people's records are hidden, and requests without a token are refused."""

import asyncio
import contextlib
import json
from typing import Any

from mobile_contract.kit.accounts import Party, Person, new_draft
from mobile_contract.kit.case_setup import assign_case, withdraw_assignment
from mobile_contract.kit.chapters.push import NAMES, event_ids, open_socket, subscribe
from mobile_contract.kit.chapters.uploads import announce, new_photo
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import require
from mobile_contract.phone.ids import new_id

ONE = "query One($id: ID!) { observation(id: $id) { id } node(id: $id) { id } }"
LATEST = "query Latest { observations(first: 50) { edges { node { id } } } }"


@clause(
    "V1",
    "A record that is not the viewer's does not exist: asked for by id, it answers exactly as an id that was never"
    " given.",
    "other",
)
async def check_hidden_ids(party: Party) -> str:
    other, medium = party.require_account("other"), new_photo()
    own = await announce(party.user, medium)
    pairs = [(own, new_id("obs")), (medium.id, new_id("med"))]
    asked: list[tuple[str, str, Any]] = []
    for hidden, never in pairs:
        for id in (hidden, never):
            asked += [
                ("RequestUploads", id, {"input": {"media": [{"mediaId": id}]}}),
                ("ConfirmMedia", id, {"input": {"mediaIds": [id]}}),
                ("AbortUploads", id, {"input": {"mediaIds": [id]}}),
                (ONE, id, {"id": id}),
            ]
    said: dict[tuple[str, str], str] = {}
    for operation, id, variables in asked:
        answer = await other.send(operation, variables)
        said[operation, id] = answer.response.text.replace(id, "ID")
    for hidden, never in pairs:
        for operation in {operation for operation, _, _ in asked}:
            here, there = said[operation, hidden], said[operation, never]
            require(here == there, f"{operation[:20]} of another's {hidden[:4]}", f"as of no id: {there[:200]}", here)
    return "In four requests, another person's observation and medium got the same answer as unknown ids."


@clause("V2", "Without a token nothing is read, and nothing is accepted.")
async def check_without_token(party: Party) -> str:
    sent = new_draft()
    asked: dict[str, Any] = {
        "MyReports": {},
        "Units": {},
        "Changes": {},
        "Sync": {"submits": True, "drafts": {"drafts": [sent]}, "input": {}},
        "SubmitObservations": {"input": {"drafts": [sent]}},
    }
    for name, variables in asked.items():
        answer = await party.server.ask(name, variables)
        values = (answer.body.get("data") or {}).values()
        allowed = [value for value in values if value and value.get("__typename") != "Refused"]
        said = answer.errors or [value for value in values if value]
        require(said and not allowed, f"{name} without a token", "a refusal", answer.body)
    found = await party.user.find_reports(sent["id"])
    require(not found, "MyReports afterwards", "nothing accepted", found)
    return f"{', '.join(asked)} were refused, and nothing was stored."


@clause("V3", "An observation of one inspector is not in another's lists, pulls or subscriptions.", "other", "officer")
async def check_other_inspector(party: Party) -> str:
    other = party.require_account("other")
    own = (await party.user.submit_accepted())["id"]
    await party.wait_quiet(party.user)
    await party.wait_quiet(other)
    reports = {edge["node"]["id"] for edge in (await other.ask("MyReports", {"first": 50}))["edges"]}
    listed = {edge["node"]["id"] for edge in (await other.ask(LATEST))["edges"]}
    pulled = {change["id"] for change in (await other.pull())[0]}
    for name, ids in (("MyReports", reports), ("observations", listed), ("Changes", pulled)):
        require(own not in ids, f"{name} of another inspector", f"nothing of {own}", "it is there")
    await _check_subscriptions(party, other)
    return "Another inspector's reports, lists and pulls don't have it, nor do their subscriptions report its case."


async def _check_subscriptions(party: Party, other: Person) -> None:
    """Subscribe as both inspectors, and assign a case to the user. Only the user's subscriptions may report it."""
    own, others = await party.user.sign_in_again(), await other.sign_in_again()
    async with open_socket(own) as mine, open_socket(others) as theirs:
        for connection in (mine, theirs):
            for name in NAMES:
                await subscribe(connection, name)
                await connection.recv()  # where the stream stands
        given = await assign_case(party)
        ids = {given.case_id, given.assignment_id}
        request = "subscriptions of two inspectors, as one is given a case"
        heard = {
            name: await _receive_ids(connection, name == "own", ids, party.seconds)
            for name, connection in (("own", mine), ("other's", theirs))
        }
        require(heard["own"] >= ids, request, f"{ids} told to whom it was given", heard["own"])
        require(not heard["other's"] & ids, request, "nothing of it told to the other", heard["other's"])
    await withdraw_assignment(party, given)


async def _receive_ids(connection: Any, wants: bool, ids: set[str], seconds: float) -> set[str]:
    """Return the ids that the subscriptions report.

    If `wants` is true, wait for all of `ids`. Otherwise listen for one second.
    """
    heard: set[str] = set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds if wants else 1.0):
            while not (wants and heard >= ids):
                heard |= event_ids(json.loads(await connection.recv()).get("payload") or {})
    return heard
