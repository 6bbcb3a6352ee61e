"""PyPI's `gql`, a client nobody here wrote, runs the contract's operations against a served product."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport

from mobile_contract.documents import text_of
from mobile_contract.levels import SDL, Levels
from tests.phones import PASSWORD
from tests.pulling import followed, settled
from tests.streaming import serving
from tests.world import World, draft, new_id


@pytest.fixture
def driver() -> str:
    return "motor"


@asynccontextmanager
async def session(address: str, token: str | None = None) -> AsyncIterator[AsyncClientSession]:
    headers = {"Mingcha-Level": str(Levels.read().current)} | ({"Authorization": f"Bearer {token}"} if token else {})
    transport = HTTPXAsyncTransport(url=f"http://{address}/graphql", headers=headers)
    async with Client(transport=transport, schema=SDL.read_text(encoding="utf-8")) as made:
        yield made


async def ask(made: AsyncClientSession, name: str, **variables: Any) -> Any:
    """The root field's value."""
    answer = await made.execute(GraphQLRequest(text_of(name), variable_values=variables))
    return next(iter(answer.values()))


async def test_gql_signs_in_submits_lists_pulls_renews_and_is_refused(world: World) -> None:
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
