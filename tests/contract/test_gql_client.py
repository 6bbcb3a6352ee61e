"""Test the contract's operations with PyPI's `gql`, a client that others wrote, against a served product."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from api.notifications.websocket import SUBPROTOCOL
from mobile_contract.documents import text_of
from mobile_contract.levels import SDL, Levels
from tests.support.phone_sessions import PASSWORD
from tests.support.pulling import followed, settled
from tests.support.subscription_clients import SECONDS, Signed, serving, signed_in
from tests.support.world import ASSIGN, WITHDRAW, World, draft, new_id


@asynccontextmanager
async def session(address: str, token: str | None = None) -> AsyncIterator[AsyncClientSession]:
    headers = {"Mingcha-Level": str(Levels.read().current)} | ({"Authorization": f"Bearer {token}"} if token else {})
    transport = HTTPXAsyncTransport(url=f"http://{address}/graphql", headers=headers)
    async with Client(transport=transport, schema=SDL.read_text(encoding="utf-8")) as made:
        yield made


async def ask(made: AsyncClientSession, name: str, **variables: Any) -> Any:
    """Return the value of the root field."""
    answer = await made.execute(GraphQLRequest(text_of(name), variable_values=variables))
    return next(iter(answer.values()))


async def test_gql_signs_in_renews_submits_lists_and_pulls_and_reports_refusals(world: World) -> None:
    hashed, now = await world.passwords.hash(PASSWORD), world.context(None).now
    await world.store.users.set_password(world.people["inspector"].id, hashed, now)
    device = {"deviceId": new_id("dev"), "deviceName": "gql"}
    drafts = [draft(text=text) for text in ("一", "二", "三")]
    async with followed(world.store), serving(world) as address:
        async with session(address) as stranger:
            wrong = await ask(stranger, "SignIn", input={"userName": "inspector", "password": "wrong", **device})
            assert (wrong["__typename"], wrong["code"]) == ("Refused", "BAD_CREDENTIALS")
            signed = await ask(stranger, "SignIn", input={"userName": "inspector", "password": PASSWORD, **device})
            renewal = {"refreshToken": signed["refreshToken"], "deviceId": device["deviceId"]}
            renewed = await ask(stranger, "RefreshSession", input=renewal)
            assert renewed["__typename"] == "SignedIn"
            with pytest.raises(TransportQueryError) as refused:
                await ask(stranger, "MyReports")
            assert refused.value.errors
            assert refused.value.errors[0]["extensions"]["nextStep"] == "SIGN_IN_AGAIN"
        async with session(address, renewed["accessToken"]) as phone:
            first = await ask(phone, "SubmitObservations", input={"drafts": drafts})
            again = await ask(phone, "SubmitObservations", input={"drafts": drafts})
            assert {each["outcome"] for each in first["results"]} == {"ACCEPTED"}
            assert {each["outcome"] for each in again["results"]} == {"DUPLICATE"}
            assert [each["receipt"] for each in again["results"]] == [each["receipt"] for each in first["results"]]
            one = await ask(phone, "MyReports", first=2)
            two = await ask(phone, "MyReports", first=2, after=one["pageInfo"]["endCursor"])
            assert (one["pageInfo"]["hasNextPage"], two["pageInfo"]["hasNextPage"]) == (True, False)
            listed = {edge["node"]["id"] for page in (one, two) for edge in page["edges"]}
            assert listed == {each["id"] for each in drafts}
            await settled(world.store)
            pulled = await ask(phone, "Changes", kinds=["OBSERVATION"])
            assert {change["id"] for change in pulled["changes"]} == listed
            assert (await ask(phone, "Changes", kinds=["OBSERVATION"], since=pulled["cursor"]))["changes"] == []
            before = await world.snapshot()
            rating = {"id": new_id("rat"), "monitoringPoint": "GZ-001", "unit": "360703-JT", "month": "2026-11-01"}
            rated = await ask(phone, "SubmitRatings", input={"drafts": [rating]})
            assert (rated["__typename"], rated["code"], rated["nextStep"]) == ("Refused", "FORBIDDEN", "DISCARD")
            assert await world.snapshot() == before


@asynccontextmanager
async def socket(address: str, signed: Signed) -> AsyncIterator[AsyncClientSession]:
    init = {"authorization": signed.header, "Mingcha-Level": str(Levels.read().current)}
    transport = WebsocketsTransport(url=f"ws://{address}/graphql", init_payload=init, subprotocols=[SUBPROTOCOL])
    async with Client(transport=transport, schema=SDL.read_text(encoding="utf-8")) as made:
        yield made


@asynccontextmanager
async def heard(made: AsyncClientSession, name: str, since: str | None = None) -> AsyncIterator[AsyncIterator[Any]]:
    """Subscribe, and yield the events."""
    stream = made.subscribe(GraphQLRequest(text_of(name), variable_values={"since": since}))
    async with aclosing(stream):
        yield (next(iter(result.values())) async for result in stream)


async def given(world: World) -> str:
    id, case = new_id("asg"), await world.open_case()
    input = {"id": id, "caseId": case["id"], "assigneeId": world.people["supervisor"].id}
    assert "assignment" in (await world.ask("officer", ASSIGN, input=input))["assign"]
    return id


async def test_gql_receives_pushes_and_misses_none_after_a_lost_connection(world: World) -> None:
    signed = await signed_in(world, "supervisor")
    async with asyncio.timeout(3 * SECONDS), serving(world) as address:
        async with socket(address, signed) as phone, heard(phone, "AssignmentChanged") as events:
            assert (await anext(events))["__typename"] == "StreamPosition"
            known = await given(world)
            event = await anext(events)
            assert (event["assignment"]["id"], event["assignment"]["state"]) == (known, "OFFERED")
            phone.transport.adapter.websocket.transport.abort()
            with pytest.raises(TransportConnectionFailed):
                await anext(events)
        assert "assignment" in (await world.ask("officer", WITHDRAW, input={"id": known}))["withdrawAssignment"]
        missed = await given(world)
        async with socket(address, signed) as phone, heard(phone, "AssignmentChanged", event["cursor"]) as events:
            assert (await anext(events))["__typename"] == "StreamPosition"
            told = [(await anext(events))["assignment"] for _ in range(2)]
            assert [(each["id"], each["state"]) for each in told] == [(known, "WITHDRAWN"), (missed, "OFFERED")]
