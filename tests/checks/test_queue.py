"""Test the queue of checks: each check is claimed by one worker, none is lost, and people take turns."""

import asyncio
from typing import Any

import pytest

from api.checks.runner import LEASE, CheckRunner
from api.graphql.context import clock
from storage.checks.queue import Claim
from tests.support.flags import HERE, codes_of, flags_of
from tests.support.world import REFUSED, World, draft, new_id

DUE = {"check_due_at": {"$type": "date"}}


@pytest.fixture
def work(world: World) -> CheckRunner:
    return CheckRunner(world.store, clock)


async def claimed(world: World) -> Claim | None:
    """Claim the check of the only person whose checks are due."""
    [person] = await world.store.checks.find_waiting(clock())
    return await world.store.checks.claim(clock(), LEASE, person)


async def test_concurrent_workers_raise_each_flag_once(world: World) -> None:
    ids = [await world.observe(position=HERE | {"isMock": True}) for _ in range(6)]
    workers = [CheckRunner(world.store, clock) for _ in range(4)]
    assert sum(await asyncio.gather(*(each.do_all() for each in workers))) == 6
    for id in ids:
        assert await codes_of(world, id) == ["MOCK_POSITION"]


async def test_the_next_worker_takes_over_the_check_of_a_dead_one(world: World, work: CheckRunner) -> None:
    id = await world.observe(position=HERE | {"isMock": True})
    assert await claimed(world)
    assert await work.do_one() is False
    assert await CheckRunner(world.store, lambda: clock() + LEASE).do_one() is True
    assert await codes_of(world, id) == ["MOCK_POSITION"]
    assert await world.store.mongo.collection("observations").count(DUE) == 0


async def test_finishing_a_check_keeps_a_request_made_meanwhile(world: World) -> None:
    id = await world.observe(unit="360703-XX")
    claim = await claimed(world)
    assert claim
    revise = (
        f"mutation($input: ReviseObservationInput!) {{ reviseObservation(input: $input) {{ __typename {REFUSED} }} }}"
    )
    given = {"id": new_id("rev"), "reason": "更正", "content": draft(id=id)}
    await world.ask("inspector", revise, input=given)
    await world.store.checks.finish(claim)
    again = await claimed(world)
    assert again
    assert (again.observation_id, again.round) == (id, 2)
    await world.store.checks.finish(again)
    assert await world.store.mongo.collection("observations").count(DUE) == 0


async def test_a_person_with_many_reports_holds_nobody_up(world: World, work: CheckRunner) -> None:
    many = [await world.observe(position=HERE | {"isMock": True}) for _ in range(4)]
    single = await world.observe("inspector2", position=HERE | {"isMock": True})
    for _ in range(2):
        assert await work.do_one()
    assert await codes_of(world, single) == ["MOCK_POSITION"]
    assert [bool(await flags_of(world, id)) for id in many] == [True, False, False, False]


async def test_due_checks_are_found_by_their_index(world: World) -> None:
    await world.observe()
    due = {"check_due_at": {"$type": "date", "$lte": clock()}}
    for name, person in (("observations", "author_id"), ("media", "uploader_id")):
        index = f"{person}_1_check_due_at_1"
        first = {"find": name, "filter": due | {person: "usr"}, "sort": {"check_due_at": 1}}
        assert index in await plan_of(world, first)
        waiting = await plan_of(world, {"distinct": name, "key": person, "query": due | {person: {"$gt": ""}}})
        assert index in waiting
        assert "DISTINCT_SCAN" in waiting, "or each check would read the keys of all that are due"
        assert "FETCH" not in waiting


async def plan_of(world: World, command: dict[str, Any]) -> str:
    return str((await world.store.mongo.command("explain", command))["queryPlanner"]["winningPlan"])
