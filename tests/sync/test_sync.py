"""Test syncs: a phone submits, compares clocks, learns what is missing and pulls, in one document and round trip."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from graphql import build_schema
from hypothesis import given
from hypothesis import strategies as st

from api.graphql.context import clock
from api.graphql.partial_batches import cut_unreadable
from api.graphql.requests import Payload
from api.server.graphql_schema import print_sdl
from mobile_contract.documents import text_of
from schema.core.times import print_instant
from schema.sync.sync import WINDOW, gaps
from tests.support.pulling import followed, settled
from tests.support.world import SCHEMA, World, draft, medium

SYNC = text_of("Sync")


async def meet(world: World, name: str = "inspector", **variables: Any) -> dict[str, Any]:
    return await world.ask(name, SYNC, **{"input": {}, **variables})


def gap(first: int, last: int) -> dict[str, Any]:
    return {"__typename": "SequenceGap", "first": first, "last": last}


async def test_one_document_submits_confirms_and_pulls(world: World) -> None:
    photo = medium()
    earlier, sent = await world.observe("inspector", media=[photo]), draft(deviceSequence=2)
    async with followed(world.store):
        await settled(world.store)
        answer = await meet(
            world,
            submits=True,
            drafts={"drafts": [sent]},
            confirms=True,
            media={"mediaIds": [photo["id"]]},
            input={"lastSequence": 2, "deviceClock": {"at": print_instant(clock() + timedelta(hours=1))}},
        )
    assert [each["outcome"] for each in answer["submitObservations"]["results"]] == ["ACCEPTED"]
    assert answer["confirmMedia"]["results"][0]["mediaId"] == photo["id"]
    met = answer["sync"]
    assert met["gaps"] == [gap(1, 1)]
    assert met["clock"]["skewSeconds"] == pytest.approx(3600, abs=60)
    assert earlier in {change["id"] for change in met["changes"]["changes"]}
    assert await world.store.clocks.latest(world.people["inspector"].id, world.devices["inspector"])


async def test_operations_that_are_not_included_are_not_executed(world: World) -> None:
    before = await world.snapshot()
    answer = await meet(world, drafts={"drafts": [draft()]})
    assert set(answer) == {"sync"}
    assert answer["sync"]["changes"]["asOf"] is None
    assert await world.snapshot() == before


async def test_an_unreadable_draft_does_not_stop_the_rest_of_the_document(world: World) -> None:
    """The test cuts the draft out of the variables, as the HTTP endpoint does, and then runs the whole document."""
    good, bad = draft(), draft(category="NO_SUCH")
    schema = build_schema(print_sdl(SCHEMA))
    payload = Payload(SYNC, {"submits": True, "drafts": {"drafts": [bad, good]}, "input": {}}, "Sync")
    saved = cut_unreadable(schema, payload)
    assert saved
    assert [each.id for each in saved.unreadable["submitObservations"]] == [bad["id"]]
    context = replace(world.context("inspector"), unreadable=saved.unreadable)
    answer = await SCHEMA.execute(SYNC, variable_values=saved.variables, context_value=context)
    assert answer.data
    results = answer.data["submitObservations"]["results"]
    assert [each["outcome"] for each in results] == ["REFUSED", "ACCEPTED"]
    assert "serverTime" in answer.data["sync"]


async def test_an_expired_cursor_does_not_stop_the_submission(world: World) -> None:
    sent = draft()
    async with followed(world.store):
        await settled(world.store)
        answer = await meet(world, submits=True, drafts={"drafts": [sent]}, input={"since": "expired"})
    assert answer["submitObservations"]["results"][0]["outcome"] == "ACCEPTED"
    assert answer["sync"]["changes"]["code"] == "CURSOR_EXPIRED"


async def test_numbers_of_another_device_or_person_fill_no_gap(world: World) -> None:
    await world.observe("inspector", deviceSequence=1)
    await world.observe("inspector2", deviceSequence=2)
    assert (await meet(world, input={"lastSequence": 3}))["sync"]["gaps"] == [gap(2, 3)]
    del world.devices["inspector"]
    assert (await meet(world, input={"lastSequence": 3}))["sync"]["gaps"] == [gap(1, 3)]


@pytest.mark.parametrize("last", [-1, 2**31 - 1])
async def test_extreme_sequence_numbers_are_answered(world: World, last: int) -> None:
    met = (await meet(world, input={"lastSequence": last}))["sync"]
    assert met.get("code") == "BAD_INPUT" if last < 0 else met["gaps"] == [gap(last - WINDOW + 1, last)]


@given(st.sets(st.integers(1, 60)), st.integers(0, 60))
def test_gaps_and_known_numbers_make_up_the_whole_sequence(known: set[int], last: int) -> None:
    missing = {number for gap in gaps(known, last) for number in range(gap.first, gap.last + 1)}
    assert missing == set(range(1, last + 1)) - known
