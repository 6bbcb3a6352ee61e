"""Test that nothing a reader sees of a flag tells which hidden observation it was raised for."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from api.checks.runner import CheckRunner
from api.graphql.context import clock
from schema.checks.flags import coarsen_skew
from schema.core.ids import compose, milliseconds_of
from schema.core.times import read_instant, to_minute
from tests.support.flags import FAR, HERE, REVIEW, flags_of
from tests.support.world import SUBMIT, World, draft, new_id

SEEN = """
{ observations(first: 100) { edges { node {
  id receivedAt content { capturedAt position { latitude longitude } }
} } } }"""


@pytest.fixture
def work(world: World) -> CheckRunner:
    return CheckRunner(world.store, clock)


async def fast_pair(world: World, work: CheckRunner) -> tuple[str, str]:
    """Submit two observations of one phone that are too far apart. Return the ids of the earlier and the flagged one."""
    early = await world.observe(position=HERE, capturedAt="2026-11-20T09:05:00+08:00")
    late = await world.observe(position=FAR, capturedAt="2026-11-20T09:06:00+08:00")
    for minute in range(10, 16):
        await world.observe("inspector2", position=HERE, capturedAt=f"2026-11-20T10:{minute}:00+08:00")
    await work.do_all()
    return early, late


def former_id(flag: dict[str, Any], flagged: dict[str, Any], other: str) -> str:
    """Return the id that this flag would have had when ids were made from what a flag is about."""
    parts = (flagged["id"], flag["code"], None, other, None, flag["value"])
    digest = hashlib.sha256("\n".join(str(part) for part in parts).encode()).digest()
    return compose("flg", read_instant(flagged["receivedAt"]), digest)


async def test_an_uncleared_reader_cannot_find_the_other_observation_by_trial(world: World, work: CheckRunner) -> None:
    early, late = await fast_pair(world, work)
    [cleared] = await flags_of(world, late) or []
    assert cleared["otherObservation"] == {"id": early}
    assert round(cleared["value"]) == 601
    [flag] = await flags_of(world, late, "clerk") or []
    seen = {edge["node"]["id"]: edge["node"] for edge in (await world.ask("clerk", SEEN))["observations"]["edges"]}
    assert early in seen
    tried = [former_id(cleared, seen[late], other) for other in seen]
    assert flag["id"] == cleared["id"]
    assert flag["id"] not in tried
    assert flag["otherObservation"] is None


async def test_an_uncleared_reader_sees_the_threshold_instead_of_the_speed(world: World, work: CheckRunner) -> None:
    _, late = await fast_pair(world, work)
    [flag] = await flags_of(world, late, "clerk") or []
    assert flag["value"] == flag["threshold"]
    assert "601" not in flag["message"] + flag["messageZh"]
    [cleared] = await flags_of(world, late) or []
    assert "601" in cleared["message"]
    assert "601" in cleared["messageZh"]


async def skewed(world: World, work: CheckRunner, name: str, minutes: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Submit by a phone whose clock is wrong by this. Return the flag as seen with the clearance and without it."""
    at = (clock() + timedelta(minutes=minutes)).isoformat()
    given = {"drafts": [draft(capturedAt=at)], "deviceClock": {"at": at, "roundTripMilliseconds": 80}}
    [result] = (await world.ask(name, SUBMIT, input=given))["submitObservations"]["results"]
    await work.do_all()
    [cleared], [seen] = [await flags_of(world, result["id"], reader) or [] for reader in ("officer", "clerk")]
    return cleared, seen


async def test_an_uncleared_reader_sees_only_in_steps_how_wrong_a_clock_was(world: World, work: CheckRunner) -> None:
    """Two phones of one step look alike, so that the exact skew does not name one of them in all its reports."""
    cleared, seen = zip(
        *[await skewed(world, work, name, minutes) for name, minutes in (("inspector", -37), ("inspector2", -51))],
        strict=True,
    )
    assert [round(flag["value"] / 60) for flag in cleared] == [-37, -51]
    assert {flag["value"] for flag in seen} == {-15 * 60.0}
    assert {flag["message"] for flag in seen} == {
        "The device's clock was at least 15 minutes slow (threshold 10 minutes)."
    }
    assert {flag["messageZh"] for flag in seen} == {"设备时钟至少慢 15 分钟（阈值 10 分钟）。"}
    assert cleared[0]["message"] == "The device's clock was 37 minutes slow (threshold 10 minutes)."


@pytest.mark.parametrize(
    ("skew", "threshold", "shown"),
    [(600, 600, 600), (899, 600, 600), (901, 600, 900), (-7200, 600, -3600), (1000, 1000, 1000), (4000, 1000, 3600)],
)
def test_a_skew_is_cut_to_a_step_that_the_threshold_permits(skew: float, threshold: float, shown: float) -> None:
    assert coarsen_skew(skew, threshold) == shown


async def test_the_times_of_flags_do_not_show_which_observations_were_checked_together(
    world: World, work: CheckRunner
) -> None:
    """The observations of one batch are checked within milliseconds of each other."""
    results = await world.submit("inspector", *(draft(position=HERE | {"isMock": True}) for _ in range(2)))
    await work.do_all()
    for result in results:
        [flag] = await flags_of(world, result["id"], "clerk") or []
        raised_at = read_instant(flag["raisedAt"])
        assert raised_at == to_minute(raised_at)
        assert milliseconds_of(flag["id"]) == raised_at.timestamp() * 1000


async def test_an_old_flag_gets_a_random_id_and_keeps_its_reviews(world: World, work: CheckRunner) -> None:
    early, late = await fast_pair(world, work)
    stored = world.store.mongo.collection("flags")
    [document] = await stored.find({"observation_id": late})
    key = document["finding_key"]
    await stored.delete_many({"_id": document["_id"]})
    del document["finding_key"]
    await stored.insert_one(document | {"_id": key})
    given = {"id": new_id("evt"), "flagId": key, "verdict": "EXPLAINED", "note": "坐高铁"}
    assert "flag" in (await world.ask("officer", REVIEW, input=given))["reviewFlag"]

    async def check_again() -> list[dict[str, Any]]:
        again = {"$set": {"check_due_at": clock()}}
        await world.store.mongo.collection("observations").update_many({"_id": {"$in": [early, late]}}, again)
        await work.do_all()
        return await flags_of(world, late) or []

    [before] = await check_again()
    assert before["id"] == key
    random = iter((bytes([7] * 10),))
    assert await world.store.flags.replace_keys_as_ids(10, lambda _: next(random)) == 1
    assert await world.store.flags.replace_keys_as_ids(10, lambda _: next(random)) == 0
    [after] = await check_again()
    assert after["id"].endswith("-070707070707")
    assert {name: value for name, value in after.items() if name != "id"} == {
        name: value for name, value in before.items() if name != "id"
    }
    assert after["reviews"][0]["id"] == given["id"]
    answer = await world.ask("officer", "query($id: ID!) { node(id: $id) { id } }", id=key)
    assert answer["node"] is None
