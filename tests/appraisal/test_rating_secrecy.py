"""Test rating secrecy: other people see monthly scores, published together, but neither the raters nor the times."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from schema.organisation.monitoring_points import MonitoringPoint
from storage.appraisal.ratings import counting
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.store import Store
from tests.support.command_counter import Commands
from tests.support.rating_drafts import (
    CLOSED,
    DECEMBER_BEGINS,
    LIST,
    NODE,
    NOVEMBER,
    SCORE,
    a_colleague,
    another_point,
    ask,
    hand_in,
    listed,
    rate_by_different_monitors,
    rate_by_monitor,
    rating,
    score_of,
)
from tests.support.sdl import SDL
from tests.support.world import REFUSED, World, new_id


async def test_the_nearest_offices_late_window_at_month_end_applies(world: World) -> None:
    setting = "mutation Set($input: SetThresholdInput!) { setThreshold(input: $input) { __typename } }"
    given = {"id": new_id("thr"), "unitId": world.units["360703"].id, "kind": "RATING_LATE", "value": 40.0}
    assert await ask(world, "officer", setting, input=given) == {"__typename": "ThresholdPayload"}
    afterwards = given | {"id": new_id("thr"), "value": 0.0}
    await ask(world, "officer", setting, DECEMBER_BEGINS + timedelta(seconds=1), input=afterwards)
    [result] = await hand_in(world, rating(), at=DECEMBER_BEGINS + timedelta(days=39))
    assert result["outcome"] == "ACCEPTED"
    assert await listed(world, "clerk", DECEMBER_BEGINS + timedelta(days=40, seconds=-1)) == []
    assert len(await listed(world, "clerk", DECEMBER_BEGINS + timedelta(days=40))) == 1
    [closed] = await hand_in(world, rating(date(2026, 12, 1)), at=datetime(2026, 12, 31, 16, tzinfo=UTC))
    assert closed["refusal"]["code"] == "WRONG_STATE"


async def test_uncleared_viewers_see_the_score_but_not_the_rater_or_time(world: World) -> None:
    sent = rating(reason="窗口推诿")
    await hand_in(world, sent)
    for name in ("clerk", "supervisor"):
        assert await listed(world, name) == []
        assert await ask(world, name, NODE, id=sent["id"]) is None
        [found] = await listed(world, name, at=DECEMBER_BEGINS)
        assert (found["score"], found["reason"], found["unit"]) == (80, "窗口推诿", {"code": "360703-JT"})
        assert [found[field] for field in ("rater", "monitoringPoint", "receivedAt", "receipt")] == [None] * 4
        assert (await ask(world, name, NODE, DECEMBER_BEGINS, id=sent["id"]))["score"] == 80
        assert str(world.people["monitor"].id) not in str(found)
    [cleared] = await listed(world, "officer")
    assert cleared["rater"] == {"id": world.people["monitor"].id}
    assert cleared["monitoringPoint"] == {"code": "GZ-001"}
    assert len(await listed(world, "city_officer")) == 1


def test_no_filter_or_order_of_ratings_is_by_person_point_or_time() -> None:
    assert set(SDL.type_map["Query"].fields["ratings"].args) == {"first", "after", "filter"}  # type: ignore[attr-defined]
    assert set(SDL.type_map["RatingFilter"].fields) == {"unitId", "month", "mine"}  # type: ignore[attr-defined]


async def test_other_scopes_and_roles_see_no_ratings(world: World) -> None:
    await a_colleague(world)
    sent = rating()
    await hand_in(world, sent)
    for name in ("neighbour", "neighbour_supervisor", "monitor2"):
        assert await listed(world, name, at=CLOSED) == []
        assert await ask(world, name, NODE, CLOSED, id=sent["id"]) is None
    for name in ("liaison", "inspector", "admin"):
        assert await world.errors(name, LIST) == ["FORBIDDEN"]
        assert await ask(world, name, NODE, CLOSED, id=sent["id"]) is None


async def test_the_list_order_reveals_nothing_and_pages_are_complete(world: World) -> None:
    sent = [rating(unit=unit) for unit in ("360703-JT", "360703-JT-1", "360703-XNB", "360703")]
    for draft in sent:
        await hand_in(world, draft)
    found, after = [], None
    while True:
        page = await ask(world, "clerk", LIST, CLOSED, first=1, after=after)
        found += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == sorted((draft["id"] for draft in sent), reverse=True)
    assert len({id[:17] for id in found}) == 1
    inside = await listed(world, "clerk", CLOSED, unitId=world.units["360703-JT"].id)
    assert sorted(each["unit"]["code"] for each in inside) == ["360703-JT", "360703-JT-1"]
    assert await listed(world, "clerk", CLOSED, month="2026-10-01") == []


async def test_ratings_of_one_monitor_for_several_points_count_as_one_rater(world: World) -> None:
    for number, score in enumerate((90, 75, 61), start=1):
        await another_point(world, f"GZ-20{number}")
        await hand_in(world, rating(monitoringPoint=f"GZ-20{number}", score=score))
    assert await score_of(world) is None
    await rate_by_monitor(world, 2, 80)
    assert await score_of(world) is None
    await rate_by_monitor(world, 3, 60)
    assert await score_of(world) == 73.2


async def test_a_monthly_score_needs_three_raters_and_appears_at_month_end(world: World) -> None:
    for number, score in enumerate((90, 75, 61), start=1):
        await rate_by_monitor(world, number, score)
        assert (await score_of(world) is None) is (number < 3)
    assert await score_of(world, at=DECEMBER_BEGINS - timedelta(milliseconds=1)) is None
    assert await score_of(world, at=DECEMBER_BEGINS) == 75.33
    assert await score_of(world, "supervisor") == 75.33
    assert await score_of(world, code="360703-JT-1") is None
    for name in ("monitor", "liaison", "inspector", "admin"):
        assert await score_of(world, name) is None
    assert await score_of(world, "neighbour", code="360700") is None


async def test_a_late_revision_counts_for_others_only_after_the_month_closes(world: World) -> None:
    await rate_by_different_monitors(world, 90, 60, 60)
    for score in (20, 30):
        await hand_in(world, rating(monitoringPoint="GZ-101", score=score), at=DECEMBER_BEGINS + timedelta(days=1))
    before, after = CLOSED - timedelta(seconds=1), CLOSED
    assert (await score_of(world, at=before), await score_of(world, at=after)) == (70, 50)
    assert [each["counts"] for each in await listed(world, "clerk", before)] == [True] * 3
    shown = {each["score"]: each["counts"] for each in await listed(world, "clerk", after) if each["score"] != 60}
    assert shown == {90: False, 20: False, 30: True}
    own = {each["score"]: each["counts"] for each in await listed(world, "monitor", before) if each["score"] != 60}
    assert own == {90: False, 20: False, 30: True}


async def test_a_lowered_minimum_does_not_affect_months_that_have_begun(world: World) -> None:
    await rate_by_different_monitors(world, 80, 60)
    setting = f"mutation Set($input: SetThresholdInput!) {{ setThreshold(input: $input) {{ __typename {REFUSED} }} }}"
    given = {"unitId": world.units["360703"].id, "kind": "RATING_MINIMUM"}
    refused = await ask(world, "officer", setting, input=given | {"id": new_id("thr"), "value": 1.0})
    assert refused["code"] == "BAD_INPUT"
    done = await ask(world, "officer", setting, input=given | {"id": new_id("thr"), "value": 2.0})
    assert done["__typename"] == "ThresholdPayload"
    assert await score_of(world) is None
    december = date(2026, 12, 1)
    for name, score in (("monitor", 80), ("monitor2", 60)):
        point = "GZ-101" if name == "monitor" else "GZ-102"
        draft = rating(december, monitoringPoint=point, score=score)
        await hand_in(world, draft, name=name, at=CLOSED + timedelta(days=1))
    asked = {"unit": world.units["360703-JT"].id, "month": "2026-12-01"}
    assert (await ask(world, "officer", SCORE, CLOSED + timedelta(days=40), **asked))["monthlyScore"] == 70


async def test_monthly_score_queries_use_an_index(world: World) -> None:
    mongo: Mongo = world.store.mongo
    command = {
        "aggregate": "ratings",
        "pipeline": [
            {"$match": counting([world.units["360703-JT"].id], [NOVEMBER], CLOSED)},
            {"$group": {"_id": {"unit_id": "$unit_id", "month": "$month"}, "raters": {"$addToSet": "$rater_id"}}},
        ],
        "cursor": {},
    }
    plan = str(await mongo.command("explain", command))
    assert "IXSCAN" in plan
    assert "COLLSCAN" not in plan


async def test_two_monitors_of_a_point_each_see_only_their_own_rating(world: World) -> None:
    await a_colleague(world)
    assert isinstance(world.point, MonitoringPoint)
    both = (*world.point.monitor_ids, world.people["monitor2"].id)
    await world.store.monitoring_points.put_all([replace(world.point, monitor_ids=both)])
    await hand_in(world, rating(score=10))
    [later] = await hand_in(world, rating(score=20), name="monitor2")
    assert later["rating"]["revision"] == 2
    assert [(each["score"], each["counts"]) for each in await listed(world, "monitor")] == [(10, False)]
    assert [(each["score"], each["counts"]) for each in await listed(world, "monitor2")] == [(20, True)]


async def test_commands_do_not_grow_with_the_size_of_a_batch_or_page(
    world: World, engines: Addresses, driver: str
) -> None:
    for number in range(20):
        await another_point(world, f"GZ-2{number:02d}")
    commands = Commands()
    uncounted = world.store
    mongo = Mongo(engines.mongo_url, uncounted.mongo.name, driver=driver, listeners=[commands])
    world.store = Store(mongo, uncounted.objects)
    scores = """
    query Scores($below: ID!, $first: Int!) {
      units(below: $below, first: $first) {
        edges { node { monthlyScore(month: "2026-11-01") other: monthlyScore(month: "2026-10-01") } }
      }
    }"""
    costs = []
    for points in (range(2), range(20)):
        commands.clear()
        results = await hand_in(
            world, *(rating(monitoringPoint=f"GZ-2{number:02d}", grade="优", score=None) for number in points)
        )
        costs.append(commands.names.copy())
        assert {each["outcome"] for each in results} <= {"ACCEPTED"}
        await uncounted.mongo.collection("ratings").delete_many({})
    for first in (1, 10):
        commands.clear()
        await ask(world, "officer", scores, CLOSED, first=first, below=world.units["360703"].id)
        costs.append(commands.names.copy())
    await mongo.close()
    assert costs[0] == costs[1]
    assert costs[2] == costs[3]
    assert costs[3]["aggregate"] == 2, "one reads the unit, and one counts"
