"""Test syncs: a phone submits, compares clocks, learns what is missing and pulls, in one document and round trip."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from graphql import build_schema
from hypothesis import given
from hypothesis import strategies as st

from api.accounts.authentication import as_viewer
from api.graphql.context import clock
from api.graphql.partial_batches import cut_unreadable
from api.graphql.requests import Payload
from api.server.graphql_schema import print_sdl
from mobile_contract.documents import text_of
from schema.accounts.users import Device
from schema.core.sequences import MAX_MISSING, NO_SEQUENCES, WINDOW, KnownSequences
from schema.core.times import print_instant
from schema.sync.sync import gaps
from tests.support.pulling import followed, settled
from tests.support.world import SCHEMA, World, draft, medium, new_id

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


async def test_a_sync_looks_only_for_numbers_that_no_earlier_sync_has_found(world: World) -> None:
    user, session = world.people["inspector"], new_id("ses")
    device = world.devices["inspector"] = new_id("dev")
    signed_in = Device(id=device, name="手机", signed_in_at=clock(), seen_at=clock())
    await world.store.users.add_device(user.id, signed_in, session)

    async def gaps_up_to(last: int) -> list[dict[str, Any]]:
        account = await world.store.users.by_session(user.id, device, session)
        assert account
        context = replace(world.context("inspector"), viewer=as_viewer(account, device))
        answer = await SCHEMA.execute(SYNC, variable_values={"input": {"lastSequence": last}}, context_value=context)
        assert answer.data
        found: list[dict[str, Any]] = answer.data["sync"]["gaps"]
        return found

    async def remembered() -> KnownSequences | None:
        account = await world.store.users.by_session(user.id, device, session)
        return account.devices[0].sequences if account else None

    ids = {number: await world.observe("inspector", deviceSequence=number) for number in (1, 2, 4)}
    assert await gaps_up_to(5) == [gap(3, 3), gap(5, 5)]
    assert await remembered() == KnownSequences(5, (3, 5))
    stored = world.store.mongo.collection("observations")
    await stored.delete_many({"_id": ids[2]})  # so that a search for this number would show
    assert await gaps_up_to(5) == [gap(3, 3), gap(5, 5)]
    await world.observe("inspector", deviceSequence=3)
    await world.observe("inspector", deviceSequence=6)
    assert await gaps_up_to(6) == [gap(5, 5)]
    assert await gaps_up_to(3) == []
    assert await remembered() == KnownSequences(6, (5,))
    assert await gaps_up_to(MAX_MISSING + 7) == [gap(5, 5), gap(7, MAX_MISSING + 7)]
    assert await remembered() == KnownSequences(6, (5,))
    await world.store.users.add_device(user.id, signed_in, session)
    assert await remembered() is None
    assert await gaps_up_to(6) == [gap(2, 2), gap(5, 5)]


async def test_numbers_are_looked_for_by_the_index(world: World) -> None:
    for number in range(1, 6):
        await world.observe("inspector", deviceSequence=number)
    user, device = world.people["inspector"].id, world.devices["inspector"]
    commands, wanted = world.store.mongo.collection("system.profile"), [2, 4, 9]
    await world.store.mongo.command("profile", 2)
    assert await world.store.observations.sequences(user, device, wanted) == {2, 4}
    await world.store.mongo.command("profile", 0)
    [cost] = await commands.find({"command.find": "observations", "command.filter.author_id": user})
    assert (cost["docsExamined"], cost["nreturned"]) == (2, 2)
    assert "device_sequence" in cost["planSummary"]


@given(st.lists(st.tuples(st.sets(st.integers(1, WINDOW + 60), max_size=30), st.integers(0, WINDOW + 60)), max_size=5))
def test_gaps_are_the_same_whatever_earlier_syncs_have_found(steps: list[tuple[set[int], int]]) -> None:
    known, stored = NO_SEQUENCES, set(range(20, WINDOW + 20))
    for more, last in steps:
        stored |= more
        unknown = known.unknown(last)
        missing = tuple(number for number in unknown if number not in stored)
        assert unknown == sorted(set(unknown))
        runs = gaps(missing)
        assert all(before.last + 1 < after.first for before, after in pairwise(runs))
        shown = {number for run in runs for number in range(run.first, run.last + 1)}
        assert shown == set(range(max(last - WINDOW, 0) + 1, last + 1)) - stored
        known = known.successor(last, missing) or known
