"""Test flags: examiners see them and authors never do, officers review them, and lists are filtered and paginated."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from api.checks.runner import CheckRunner
from api.graphql.context import clock
from tests.support.flags import FLAG, HERE, REVIEW, codes_of, flags_of
from tests.support.world import ASSIGN, World, new_id

FLAGS = f"""
query Flags($filter: FlagFilter, $first: Int! = 20, $after: String) {{
  flags(filter: $filter, first: $first, after: $after) {{
    edges {{ node {{ {FLAG} }} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""


@pytest.fixture
def work(world: World) -> CheckRunner:
    return CheckRunner(world.store, clock)


async def mocked(world: World, work: CheckRunner, **fields: Any) -> tuple[str, str]:
    """Submit an observation that raises one flag. Return the ids of the observation and the flag."""
    id = await world.observe(position=HERE | {"isMock": True}, **fields)
    await work.do_all()
    [flag] = await flags_of(world, id) or []
    return id, flag["id"]


def verdict(flag_id: str, **fields: Any) -> dict[str, Any]:
    return {"id": new_id("evt"), "flagId": flag_id, "verdict": "EXPLAINED", "note": "测试设备"} | fields


async def test_only_examiners_in_scope_see_flags(world: World, work: CheckRunner) -> None:
    id, flag_id = await mocked(world, work)
    node = "query($id: ID!) { node(id: $id) { id } }"
    for name in ("officer", "clerk", "supervisor", "supervisor2", "city_officer"):
        assert await codes_of(world, id, name) == ["MOCK_POSITION"]
        assert [edge["node"]["id"] for edge in (await world.ask(name, FLAGS))["flags"]["edges"]] == [flag_id]
        assert (await world.ask(name, node, id=flag_id))["node"] == {"id": flag_id}
    assert await flags_of(world, id, "inspector") is None
    for name in ("neighbour", "neighbour_supervisor"):
        assert (await world.ask(name, FLAGS))["flags"]["edges"] == []
        assert (await world.ask(name, node, id=flag_id))["node"] is None
    for name in ("inspector", "monitor", "liaison", "admin"):
        assert (await world.ask(name, node, id=flag_id))["node"] is None
        assert await world.errors(name, FLAGS) == ["FORBIDDEN"]


async def test_an_officer_never_sees_flags_of_their_own_observations(world: World, work: CheckRunner) -> None:
    id = await world.observe("officer", position=HERE | {"isMock": True})
    await work.do_all()
    assert await flags_of(world, id, "officer") is None
    assert (await world.ask("officer", FLAGS))["flags"]["edges"] == []
    [flag] = await flags_of(world, id, "clerk") or []
    before = await world.snapshot()
    answer = (await world.ask("officer", REVIEW, input=verdict(flag["id"])))["reviewFlag"]
    assert answer["code"] == "NOT_FOUND"
    assert await world.snapshot() == before


async def test_flags_of_a_case_from_outside_the_scope_are_visible_but_not_reviewable(
    world: World, work: CheckRunner
) -> None:
    seen = await world.observe("city_inspector", position=HERE | {"isMock": True})
    await work.do_all()
    case = await world.open_case("city_officer", seen)
    given = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people["clerk"].id}
    await world.ask("city_officer", ASSIGN, input=given)
    [flag] = await flags_of(world, seen, "clerk") or []
    before = await world.snapshot()
    assert (await world.ask("clerk", REVIEW, input=verdict(flag["id"])))["reviewFlag"]["code"] == "NOT_FOUND"
    assert await world.snapshot() == before


async def test_a_repeated_review_is_harmless_and_invalid_reviews_change_nothing(
    world: World, work: CheckRunner
) -> None:
    _, flag_id = await mocked(world, work)
    given = verdict(flag_id)
    for _ in range(2):
        flag = (await world.ask("officer", REVIEW, input=given))["reviewFlag"]["flag"]
        assert (flag["state"], flag["verdict"]) == ("REVIEWED", "EXPLAINED")
        [review] = flag["reviews"]
        assert (review["id"], review["note"], review["by"]) == (
            given["id"],
            "测试设备",
            {"id": world.people["officer"].id},
        )
    before = await world.snapshot()
    conflict = (await world.ask("officer", REVIEW, input=given | {"verdict": "CONFIRMED"}))["reviewFlag"]
    assert conflict["code"] == "CONFLICT"
    for name in ("supervisor", "inspector", "admin"):
        assert (await world.ask(name, REVIEW, input=verdict(flag_id)))["reviewFlag"]["code"] == "FORBIDDEN"
    assert (await world.ask("neighbour", REVIEW, input=verdict(flag_id)))["reviewFlag"]["code"] == "NOT_FOUND"
    for wrong in ({"note": "  "}, {"note": "长" * 2001}):
        assert (await world.ask("clerk", REVIEW, input=verdict(flag_id, **wrong)))["reviewFlag"]["code"] == "BAD_INPUT"
    assert (await world.ask("clerk", REVIEW, input=verdict(flag_id)))["reviewFlag"]["code"] == "WRONG_STATE"
    assert await world.snapshot() == before


async def test_a_review_is_replaced_by_a_later_one_that_names_it(world: World, work: CheckRunner) -> None:
    id, flag_id = await mocked(world, work)
    first = verdict(flag_id)
    await world.ask("officer", REVIEW, input=first)
    second = verdict(flag_id, verdict="CONFIRMED", insteadOf=first["id"])
    flag = (await world.ask("clerk", REVIEW, input=second))["reviewFlag"]["flag"]
    assert (flag["verdict"], [each["id"] for each in flag["reviews"]]) == ("CONFIRMED", [first["id"], second["id"]])
    stale = verdict(flag_id, insteadOf=first["id"])
    assert (await world.ask("officer", REVIEW, input=stale))["reviewFlag"]["code"] == "WRONG_STATE"
    again = (await world.ask("officer", REVIEW, input=first))["reviewFlag"]["flag"]
    assert again["verdict"] == "CONFIRMED"
    await world.store.mongo.collection("observations").update_one({"_id": id}, {"$set": {"check_due_at": clock()}})
    await work.do_all()
    [flag] = await flags_of(world, id) or []
    assert flag["verdict"] == "CONFIRMED"


async def test_reviews_of_a_flag_are_limited(world: World, work: CheckRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A review that was read before the last one was stored is refused by the store."""
    _, flag_id = await mocked(world, work)
    for module in ("api.checks.flags", "storage.checks.flags"):
        monkeypatch.setattr(f"{module}.MAX_REVIEWS", 2)
    first, last = verdict(flag_id), verdict(flag_id)
    await world.ask("officer", REVIEW, input=first)
    await world.ask("officer", REVIEW, input=last | {"insteadOf": first["id"]})
    before = await world.snapshot()
    more = verdict(flag_id, insteadOf=last["id"])
    assert (await world.ask("officer", REVIEW, input=more))["reviewFlag"]["code"] == "LIMIT_EXCEEDED"
    [flag] = await world.store.flags.many([flag_id])
    assert await world.store.flags.review(flag_id, flag.reviews[0], last["id"]) is None
    late = replace(flag.reviews[0], id=more["id"])
    assert await world.store.flags.review(flag_id, late, last["id"]) is None
    again = await world.ask("officer", REVIEW, input=first)
    assert len(again["reviewFlag"]["flag"]["reviews"]) == 2
    assert await world.snapshot() == before


async def test_only_one_of_several_concurrent_reviews_succeeds(world: World, work: CheckRunner) -> None:
    _, flag_id = await mocked(world, work)
    names = ("officer", "clerk", "city_officer")
    answers = await asyncio.gather(*(world.ask(name, REVIEW, input=verdict(flag_id)) for name in names))
    codes = sorted(answer["reviewFlag"].get("code", "done") for answer in answers)
    assert codes == ["WRONG_STATE", "WRONG_STATE", "done"]


async def test_flags_are_filtered_and_paginated(world: World, work: CheckRunner) -> None:
    ids = [await mocked(world, work) for _ in range(3)]
    for minute, (_, id) in enumerate(ids):
        raised = {"$set": {"raised_at": datetime(2026, 11, 20, 1, minute, tzinfo=UTC)}}
        await world.store.mongo.collection("flags").update_one({"_id": id}, raised)
    await world.ask("officer", REVIEW, input=verdict(ids[0][1]))

    async def listed(**filter: Any) -> set[str]:
        found = (await world.ask("supervisor", FLAGS, filter=filter))["flags"]["edges"]
        return {edge["node"]["id"] for edge in found}

    assert await listed(states=["OPEN"]) == {ids[1][1], ids[2][1]}
    assert await listed(verdicts=["EXPLAINED"]) == {ids[0][1]}
    assert await listed(codes=["EDITED"]) == set()
    assert await listed(codes=["MOCK_POSITION"], observationId=ids[1][0]) == {ids[1][1]}
    assert await world.errors("officer", FLAGS, filter={"observationId": "x"}) == ["BAD_ID"]
    first = (await world.ask("officer", FLAGS, first=2))["flags"]
    assert [edge["node"]["id"] for edge in first["edges"]] == [ids[2][1], ids[1][1]]
    rest = (await world.ask("officer", FLAGS, first=2, after=first["pageInfo"]["endCursor"]))["flags"]
    assert [edge["node"]["id"] for edge in rest["edges"]] == [ids[0][1]]
