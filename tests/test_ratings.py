"""Ratings: settled one by one, superseded and never edited, counted by month, and silent about who rated and when."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.imports import Noun
from api.payloads import Payload
from api.salvage import salvaged
from schema.monitoring_points import MonitoringPoint
from schema.viewers import Role
from storage.engines import Addresses
from storage.mongo import Mongo
from storage.ratings import counting
from storage.store import Store
from tests.counting import Commands
from tests.offices import Office
from tests.world import REFUSED, SCHEMA, World, new_id

IN_NOVEMBER = datetime(2026, 11, 20, 2, tzinfo=UTC)
NOVEMBER = date(2026, 11, 1)
DECEMBER_BEGINS = datetime(2026, 11, 30, 16, tzinfo=UTC)
CLOSED = DECEMBER_BEGINS + timedelta(days=10)
RATING = """
id month score grade reason isLate revision counts receivedAt
unit { code } monitoringPoint { code } rater { id } receipt { ratingId contentSha256 receivedAt }
"""
SUBMIT = f"""
mutation Submit($input: SubmitRatingsInput!) {{
  submitRatings(input: $input) {{
    ... on SubmitRatingsPayload {{
      results {{
        id outcome receipt {{ ratingId contentSha256 receivedAt }} rating {{ {RATING} }}
        refusal {{ code message nextStep field }}
      }}
    }}
    {REFUSED}
  }}
}}"""
LIST = f"""
query List($filter: RatingFilter, $first: Int! = 20, $after: String) {{
  ratings(filter: $filter, first: $first, after: $after) {{
    edges {{ node {{ {RATING} }} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
NODE = "query One($id: ID!) { node(id: $id) { id ... on Rating { score } } }"
SCORE = "query Score($unit: ID!, $month: Date!) { unit(id: $unit) { monthlyScore(month: $month) } }"


@pytest.fixture
def driver() -> str:
    return "motor"


def rating_id(month: date = NOVEMBER) -> str:
    return new_id("rat", datetime(month.year, month.month, month.day, tzinfo=UTC))


def rating(month: date = NOVEMBER, **fields: Any) -> dict[str, Any]:
    """A draft as a phone sends it."""
    return {
        "id": rating_id(month),
        "monitoringPoint": "GZ-001",
        "unit": "360703-JT",
        "month": month.isoformat(),
        "score": 80,
    } | fields


async def ask(world: World, name: str, operation: str, at: datetime = IN_NOVEMBER, **variables: Any) -> Any:
    """The root field's value, asked at that hour."""
    context = replace(world.context(name), now=at)
    result = await SCHEMA.execute(operation, variable_values=variables, context_value=context)
    assert not result.errors, result.errors
    assert result.data
    return next(iter(result.data.values()))


async def hand_in(
    world: World, *drafts: Mapping[str, Any], name: str = "monitor", at: datetime = IN_NOVEMBER
) -> list[dict[str, Any]]:
    answer = await ask(world, name, SUBMIT, at, input={"drafts": list(drafts)})
    results: list[dict[str, Any]] = answer["results"]
    return results


async def listed(world: World, name: str, at: datetime = IN_NOVEMBER, **filter: Any) -> list[dict[str, Any]]:
    return [edge["node"] for edge in (await ask(world, name, LIST, at, filter=filter))["edges"]]


async def score_of(world: World, name: str = "officer", at: datetime = CLOSED, code: str = "360703-JT") -> float | None:
    found = await ask(world, name, SCORE, at, unit=world.units[code].id, month=NOVEMBER.isoformat())
    score: float | None = found["monthlyScore"]
    return score


async def another_point(world: World, code: str, *monitors: str) -> None:
    assert world.point
    ids = tuple(world.people[name].id for name in monitors or ("monitor",))
    made = replace(world.point, id=new_id("pnt"), code=code, monitor_ids=ids)
    await world.store.monitoring_points.put_all([made])


async def a_colleague(world: World, name: str = "monitor2") -> None:
    """A second monitor of the county, as yet of no point."""
    world._person(name, Role.MONITOR, "360703", ())
    await world.store.users.put_all([world.people[name]])


async def test_all_fields_come_back_to_whoever_rated(world: World) -> None:
    sent = rating(reason="办事快，态度好")
    [result] = await hand_in(world, sent)
    assert result["outcome"] == "ACCEPTED"
    assert result["refusal"] is None
    [mine] = await listed(world, "monitor", mine=True)
    assert mine == result["rating"]
    assert mine == {
        "id": sent["id"],
        "month": "2026-11-01",
        "score": 80,
        "grade": None,
        "reason": "办事快，态度好",
        "isLate": False,
        "revision": 1,
        "counts": True,
        "receivedAt": "2026-11-20T02:00:00.000Z",
        "unit": {"code": "360703-JT"},
        "monitoringPoint": {"code": "GZ-001"},
        "rater": {"id": world.people["monitor"].id},
        "receipt": result["receipt"],
    }
    assert result["receipt"]["ratingId"] == sent["id"]
    assert (await ask(world, "monitor", NODE, id=sent["id"]))["score"] == 80


async def test_a_grade_stands_for_the_score_that_it_had_when_the_month_began(world: World) -> None:
    results = await hand_in(world, rating(score=None, grade="良"), rating(unit="360703-JT-1", score=None, grade="甲"))
    assert (results[0]["rating"]["score"], results[0]["rating"]["grade"]) == (75, "良")
    assert (results[1]["refusal"]["code"], results[1]["refusal"]["field"]) == ("BAD_INPUT", "drafts.1.grade")


async def test_the_nearest_offices_grades_count_as_they_held_when_the_month_began(world: World, tmp_path: Path) -> None:
    titles = ["类别", "编号", "名称", "适用单位代码", "生效日期", "分值"]
    rows = [
        ["满意度等级", "优", "优", "360700", "2026-01-01", "91"],
        ["满意度等级", "优", "优", "360703", "2026-02-01", "95"],
        ["满意度等级", "优", "优", "360703", "2026-11-02", "99"],
        ["满意度等级", "良", "良", "360783", "2026-01-01", "1"],
        ["满意度等级", "特优", "特优", "360703", "2026-11-02", "100"],
    ]
    await Office(world.store, tmp_path).load([titles, *rows], Noun.CATALOGUES)
    drafts = [
        rating(unit=unit, score=None, grade=word)
        for unit, word in (("360703-JT", "优"), ("360703-JT-1", "良"), ("360703-XNB", "特优"))
    ]
    results = await hand_in(world, *drafts)
    assert [each["rating"] and each["rating"]["score"] for each in results] == [95, 75, None]
    assert results[2]["refusal"]["field"] == "drafts.2.grade"


async def test_one_bad_rating_never_blocks_the_others(world: World) -> None:
    october = date(2026, 10, 1)
    drafts = [
        rating(),
        rating(id="rat_1"),
        rating(id=new_id("rat")),
        rating(month=date(2026, 11, 2)),
        rating(month=date(2026, 12, 1)),
        rating(score=101),
        rating(score=None),
        rating(grade="优"),
        rating(reason="长" * 501),
        rating(unit="360783-JT"),
        rating(unit="nowhere"),
        rating(monitoringPoint="GZ-002"),
        rating(month=october),
        rating(id=rating_id(october)),
    ]
    results = await hand_in(world, *drafts)
    assert [each["outcome"] for each in results] == ["ACCEPTED", *["REFUSED"] * 13]
    told = [(each["refusal"]["code"], each["refusal"]["field"], each["refusal"]["nextStep"]) for each in results[1:]]
    fix = "FIX_AND_RESEND"
    assert told == [
        ("BAD_ID", "drafts.1.id", fix),
        ("BAD_ID", "drafts.2.id", fix),
        ("BAD_INPUT", "drafts.3.month", fix),
        ("BAD_INPUT", "drafts.4.month", fix),
        ("BAD_INPUT", "drafts.5.score", fix),
        ("BAD_INPUT", "drafts.6.score", fix),
        ("BAD_INPUT", "drafts.7.score", fix),
        ("BAD_INPUT", "drafts.8.reason", fix),
        ("NOT_FOUND", "drafts.9.unit", fix),
        ("NOT_FOUND", "drafts.10.unit", fix),
        ("NOT_FOUND", "drafts.11.monitoringPoint", fix),
        ("WRONG_STATE", "drafts.12.month", "DISCARD"),
        ("BAD_ID", "drafts.13.id", fix),
    ]
    assert results[9]["refusal"]["message"] == results[10]["refusal"]["message"]
    stored = await world.store.mongo.collection("ratings").find({})
    assert [document["_id"] for document in stored] == [drafts[0]["id"]]


async def test_what_could_not_be_read_is_refused_in_its_place(world: World) -> None:
    bad = rating(score="eighty")
    given = {"drafts": [rating(), bad, rating(unit="360703-JT-1", score=-1)]}
    cut = salvaged(SCHEMA._schema, Payload(SUBMIT, {"input": given}, None))
    assert cut
    context = replace(world.context("monitor"), now=IN_NOVEMBER, unreadable=cut.unreadable)
    answer = await SCHEMA.execute(SUBMIT, variable_values=cut.variables, context_value=context)
    assert answer.data
    results = answer.data["submitRatings"]["results"]
    assert [each["outcome"] for each in results] == ["ACCEPTED", "REFUSED", "REFUSED"]
    assert [each["refusal"]["field"] for each in results[1:]] == ["drafts.1.score", "drafts.2.score"]
    assert results[1]["id"] == bad["id"]


async def test_a_replay_gets_the_same_receipt_and_changes_nothing_also_after_the_month_has_closed(world: World) -> None:
    sent = rating()
    [first] = await hand_in(world, sent)
    before = await world.snapshot()
    again, twice = await hand_in(world, sent, sent, at=CLOSED + timedelta(days=400))
    assert [again["outcome"], twice["outcome"]] == ["DUPLICATE", "DUPLICATE"]
    assert again["receipt"] == twice["receipt"] == first["receipt"]
    assert await world.snapshot() == before


async def test_other_content_under_a_taken_id_is_kept_aside(world: World) -> None:
    await a_colleague(world)
    await another_point(world, "GZ-002", "monitor2")
    sent = rating()
    await hand_in(world, sent)
    before = await world.snapshot()
    [own] = await hand_in(world, sent | {"score": 10})
    [others] = await hand_in(world, sent, name="monitor2")
    for result in (own, others):
        assert (result["refusal"]["code"], result["refusal"]["nextStep"]) == ("CONFLICT", "DISCARD")
        assert result["rating"] is None
    after = await world.snapshot()
    assert sorted(each["sent"]["score"] for each in after.pop("set_aside")) == [10, 80]
    before.pop("set_aside")
    assert after == before


async def test_a_later_one_supersedes_and_both_are_kept(world: World) -> None:
    first, second, third = rating(score=30), rating(score=60), rating(score=90)
    await hand_in(world, first)
    results = await hand_in(world, second, third)
    assert [each["outcome"] for each in results] == ["ACCEPTED", "ACCEPTED"]
    found = {each["id"]: each for each in await listed(world, "monitor")}
    told = [
        (found[each["id"]]["score"], found[each["id"]]["revision"], found[each["id"]]["counts"])
        for each in (first, second, third)
    ]
    assert told == [(30, 1, False), (60, 2, False), (90, 3, True)]
    before = await world.snapshot()
    assert [each["outcome"] for each in await hand_in(world, first, second)] == ["DUPLICATE", "DUPLICATE"]
    assert await world.snapshot() == before


async def test_one_batch_may_hold_several_of_a_unit_and_the_last_of_them_counts(world: World) -> None:
    drafts = [rating(score=score) for score in (10, 20, 30)]
    results = await hand_in(world, *drafts, drafts[0], drafts[1] | {"score": 99})
    assert [each["outcome"] for each in results] == ["ACCEPTED", "ACCEPTED", "ACCEPTED", "DUPLICATE", "REFUSED"]
    assert results[4]["refusal"]["code"] == "CONFLICT"
    assert [each["rating"]["revision"] for each in results[:3]] == [1, 2, 3]
    [counting_one] = [each for each in await listed(world, "monitor") if each["counts"]]
    assert counting_one["score"] == 30


async def test_many_phones_at_once_leave_one_that_counts(world: World) -> None:
    drafts = [rating(score=score) for score in range(8)]
    answers = await asyncio.gather(*(hand_in(world, draft) for draft in drafts for _ in range(2)))
    settled = [result for [result] in answers]
    accepted = [each for each in settled if each["outcome"] == "ACCEPTED"]
    assert {each["refusal"]["code"] for each in settled if each["refusal"]} <= {"BUSY"}
    for draft in drafts:
        await hand_in(world, draft)
    found = await listed(world, "monitor")
    assert sorted(each["revision"] for each in found) == list(range(1, 9))
    assert [each["revision"] for each in found if each["counts"]] == [8]
    assert len({each["id"] for each in accepted}) == len(accepted)


async def test_late_ones_are_taken_and_marked_as_long_as_the_office_says(world: World) -> None:
    [late] = await hand_in(world, rating(), at=CLOSED - timedelta(seconds=1))
    assert (late["outcome"], late["rating"]["isLate"]) == ("ACCEPTED", True)
    before = await world.snapshot()
    [closed] = await hand_in(world, rating(), at=CLOSED)
    assert (closed["refusal"]["code"], closed["refusal"]["field"]) == ("WRONG_STATE", "drafts.0.month")
    assert await world.snapshot() == before
    [edge] = await hand_in(world, rating(unit="360703-JT-1"), at=DECEMBER_BEGINS - timedelta(milliseconds=1))
    assert edge["rating"]["isLate"] is False


async def test_the_window_is_the_nearest_offices_as_it_was_when_the_month_ended(world: World) -> None:
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


async def test_those_in_scope_learn_the_score_and_not_who_nor_when(world: World) -> None:
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


async def test_nobody_else_finds_any(world: World) -> None:
    await a_colleague(world)
    sent = rating()
    await hand_in(world, sent)
    for name in ("neighbour", "neighbour_supervisor", "monitor2"):
        assert await listed(world, name, at=CLOSED) == []
        assert await ask(world, name, NODE, CLOSED, id=sent["id"]) is None
    for name in ("liaison", "inspector", "admin"):
        assert await world.errors(name, LIST) == ["FORBIDDEN"]
        assert await ask(world, name, NODE, CLOSED, id=sent["id"]) is None


async def test_who_may_not_hand_in_changes_nothing(world: World) -> None:
    before = await world.snapshot()
    for name in ("officer", "supervisor", "inspector", "liaison", "admin"):
        assert (await ask(world, name, SUBMIT, input={"drafts": [rating()]}))["code"] == "FORBIDDEN"
    for drafts in ([], [rating()] * 51):
        assert (await ask(world, "monitor", SUBMIT, input={"drafts": drafts}))["code"] == "LIMIT_EXCEEDED"
    world.people["monitor"].office_id = world.people["monitor"].office_path = None
    assert (await ask(world, "monitor", SUBMIT, input={"drafts": [rating()]}))["code"] == "FORBIDDEN"
    assert await world.snapshot() == before


async def test_a_list_tells_nothing_by_its_order_and_pages_hold_together(world: World) -> None:
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


async def test_a_months_score_takes_three_and_appears_when_the_month_ends(world: World) -> None:
    for number, score in enumerate((90, 75, 61), start=1):
        await another_point(world, f"GZ-10{number}")
        await hand_in(world, rating(monitoringPoint=f"GZ-10{number}", score=score))
        assert (await score_of(world) is None) is (number < 3)
    assert await score_of(world, at=DECEMBER_BEGINS - timedelta(milliseconds=1)) is None
    assert await score_of(world, at=DECEMBER_BEGINS) == 75.33
    assert await score_of(world, "supervisor") == 75.33
    assert await score_of(world, code="360703-JT-1") is None
    for name in ("monitor", "liaison", "inspector", "admin"):
        assert await score_of(world, name) is None
    assert await score_of(world, "neighbour", code="360700") is None


async def test_a_late_revision_counts_once_from_when_the_month_closes(world: World) -> None:
    for number, score in enumerate((90, 60, 60), start=1):
        await another_point(world, f"GZ-10{number}")
        await hand_in(world, rating(monitoringPoint=f"GZ-10{number}", score=score))
    for score in (20, 30):
        await hand_in(world, rating(monitoringPoint="GZ-101", score=score), at=DECEMBER_BEGINS + timedelta(days=1))
    before, after = CLOSED - timedelta(seconds=1), CLOSED
    assert (await score_of(world, at=before), await score_of(world, at=after)) == (70, 50)
    assert [each["counts"] for each in await listed(world, "clerk", before)] == [True] * 3
    shown = {each["score"]: each["counts"] for each in await listed(world, "clerk", after) if each["score"] != 60}
    assert shown == {90: False, 20: False, 30: True}
    own = {each["score"]: each["counts"] for each in await listed(world, "monitor", before) if each["score"] != 60}
    assert own == {90: False, 20: False, 30: True}


async def test_a_lowered_minimum_bares_no_month_that_has_begun(world: World) -> None:
    await another_point(world, "GZ-102")
    await hand_in(world, rating(), rating(monitoringPoint="GZ-102", score=60))
    setting = f"mutation Set($input: SetThresholdInput!) {{ setThreshold(input: $input) {{ __typename {REFUSED} }} }}"
    given = {"unitId": world.units["360703"].id, "kind": "RATING_MINIMUM"}
    refused = await ask(world, "officer", setting, input=given | {"id": new_id("thr"), "value": 1.0})
    assert refused["code"] == "BAD_INPUT"
    done = await ask(world, "officer", setting, input=given | {"id": new_id("thr"), "value": 2.0})
    assert done["__typename"] == "ThresholdPayload"
    assert await score_of(world) is None
    december = date(2026, 12, 1)
    await hand_in(
        world, rating(december), rating(december, monitoringPoint="GZ-102", score=60), at=CLOSED + timedelta(days=1)
    )
    asked = {"unit": world.units["360703-JT"].id, "month": "2026-12-01"}
    assert (await ask(world, "officer", SCORE, CLOSED + timedelta(days=40), **asked))["monthlyScore"] == 70


@pytest.mark.parametrize("month", ["2026-11-02", "0001-01-01", "9999-12-01"])
async def test_a_month_is_named_by_its_first_day(world: World, month: str) -> None:
    unit = world.units["360703-JT"].id
    assert await world.errors("officer", SCORE, unit=unit, month=month) == ["BAD_INPUT"]
    assert await world.errors("officer", LIST, filter={"month": month}) == ["BAD_INPUT"]
    before = await world.snapshot()
    for id in (new_id("rat"), "rat_ffffffff-ffff-7000-8000-000000000000"):
        [refused] = await hand_in(world, rating(id=id) | {"month": month})
        assert (refused["refusal"]["code"], refused["refusal"]["field"]) == ("BAD_INPUT", "drafts.0.month")
    [refused] = await hand_in(world, rating(id="rat_ffffffff-ffff-7000-8000-000000000000"))
    assert (refused["refusal"]["code"], refused["refusal"]["field"]) == ("BAD_ID", "drafts.0.id")
    assert await world.snapshot() == before


async def test_months_scores_come_by_an_index(world: World) -> None:
    mongo: Mongo = world.store.mongo
    command = {
        "aggregate": "ratings",
        "pipeline": [
            {"$match": counting([world.units["360703-JT"].id], [NOVEMBER], CLOSED)},
            {"$group": {"_id": {"unit_id": "$unit_id", "month": "$month"}, "mean": {"$avg": "$score"}}},
        ],
        "cursor": {},
    }
    plan = str(await mongo.command("explain", command))
    assert "IXSCAN" in plan
    assert "COLLSCAN" not in plan


async def test_two_monitors_of_a_point_see_each_their_own(world: World) -> None:
    await a_colleague(world)
    assert isinstance(world.point, MonitoringPoint)
    both = (*world.point.monitor_ids, world.people["monitor2"].id)
    await world.store.monitoring_points.put_all([replace(world.point, monitor_ids=both)])
    await hand_in(world, rating(score=10))
    [later] = await hand_in(world, rating(score=20), name="monitor2")
    assert later["rating"]["revision"] == 2
    assert [(each["score"], each["counts"]) for each in await listed(world, "monitor")] == [(10, False)]
    assert [(each["score"], each["counts"]) for each in await listed(world, "monitor2")] == [(20, True)]


async def test_a_batch_and_a_page_of_scores_cost_the_same_number_of_commands_at_ten_times_the_size(
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
    assert costs[3]["aggregate"] == 1
