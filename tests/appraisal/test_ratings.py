"""Test rating submission: results item by item, superseding and late ratings, and refusals that change nothing."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.appraisal import rating_submission
from api.graphql.partial_batches import cut_unreadable
from api.graphql.requests import Payload
from api.imports.runner import Noun
from schema.appraisal.rating_drafts import new_rating
from tests.support.import_office import Office
from tests.support.rating_drafts import (
    CLOSED,
    DECEMBER_BEGINS,
    IN_NOVEMBER,
    LIST,
    NODE,
    SCORE,
    SUBMIT,
    a_colleague,
    another_point,
    ask,
    hand_in,
    listed,
    rating,
    rating_id,
)
from tests.support.world import SCHEMA, World, new_id


async def test_the_rater_gets_all_fields_back(world: World) -> None:
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


async def test_an_internal_error_on_one_rating_leaves_the_others_accepted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [rating(), rating(unit="360703-JT-1"), rating(score=70)]
    really = new_rating

    def trips(draft: Any, *more: Any, **others: Any) -> Any:
        if draft.id == sent[1]["id"]:
            raise ZeroDivisionError
        return really(draft, *more, **others)

    monkeypatch.setattr(rating_submission, "new_rating", trips)
    results = await hand_in(world, *sent)
    assert [each["outcome"] for each in results] == ["ACCEPTED", "REFUSED", "ACCEPTED"]
    assert (results[1]["refusal"]["code"], results[1]["refusal"]["nextStep"]) == ("INTERNAL", "RETRY_LATER")
    monkeypatch.undo()
    assert [each["outcome"] for each in await hand_in(world, *sent)] == ["DUPLICATE", "ACCEPTED", "DUPLICATE"]


async def test_a_grade_is_converted_to_its_score_and_an_unknown_one_is_refused(world: World) -> None:
    results = await hand_in(world, rating(score=None, grade="良"), rating(unit="360703-JT-1", score=None, grade="甲"))
    assert (results[0]["rating"]["score"], results[0]["rating"]["grade"]) == (75, "良")
    assert (results[1]["refusal"]["code"], results[1]["refusal"]["field"]) == ("BAD_INPUT", "drafts.1.grade")


async def test_the_nearest_offices_grades_at_month_start_apply(world: World, tmp_path: Path) -> None:
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


async def test_an_unreadable_rating_is_refused_in_its_place(world: World) -> None:
    bad = rating(score="eighty")
    given = {"drafts": [rating(), bad, rating(unit="360703-JT-1", score=-1)]}
    cut = cut_unreadable(SCHEMA._schema, Payload(SUBMIT, {"input": given}, None))
    assert cut
    context = replace(world.context("monitor"), now=IN_NOVEMBER, unreadable=cut.unreadable)
    answer = await SCHEMA.execute(SUBMIT, variable_values=cut.variables, context_value=context)
    assert answer.data
    results = answer.data["submitRatings"]["results"]
    assert [each["outcome"] for each in results] == ["ACCEPTED", "REFUSED", "REFUSED"]
    assert [each["refusal"]["field"] for each in results[1:]] == ["drafts.1.score", "drafts.2.score"]
    assert results[1]["id"] == bad["id"]


async def test_a_replay_gets_the_same_receipt_even_after_the_month_closes(world: World) -> None:
    sent = rating()
    [first] = await hand_in(world, sent)
    before = await world.snapshot()
    again, twice = await hand_in(world, sent, sent, at=CLOSED + timedelta(days=400))
    assert [again["outcome"], twice["outcome"]] == ["DUPLICATE", "DUPLICATE"]
    assert again["receipt"] == twice["receipt"] == first["receipt"]
    assert await world.snapshot() == before


async def test_different_content_under_a_taken_id_is_refused_and_stored_as_a_conflict(world: World) -> None:
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


async def test_a_later_rating_supersedes_an_earlier_one_and_both_are_kept(world: World) -> None:
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


async def test_the_last_of_several_ratings_of_a_unit_in_one_batch_counts(world: World) -> None:
    drafts = [rating(score=score) for score in (10, 20, 30)]
    results = await hand_in(world, *drafts, drafts[0], drafts[1] | {"score": 99})
    assert [each["outcome"] for each in results] == ["ACCEPTED", "ACCEPTED", "ACCEPTED", "DUPLICATE", "REFUSED"]
    assert results[4]["refusal"]["code"] == "CONFLICT"
    assert [each["rating"]["revision"] for each in results[:3]] == [1, 2, 3]
    [counting_one] = [each for each in await listed(world, "monitor") if each["counts"]]
    assert counting_one["score"] == 30


async def test_concurrent_ratings_of_a_unit_leave_one_that_counts(world: World) -> None:
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


async def test_late_ratings_are_accepted_and_marked_until_the_month_closes(world: World) -> None:
    [late] = await hand_in(world, rating(), at=CLOSED - timedelta(seconds=1))
    assert (late["outcome"], late["rating"]["isLate"]) == ("ACCEPTED", True)
    before = await world.snapshot()
    [closed] = await hand_in(world, rating(), at=CLOSED)
    assert (closed["refusal"]["code"], closed["refusal"]["field"]) == ("WRONG_STATE", "drafts.0.month")
    assert await world.snapshot() == before
    [edge] = await hand_in(world, rating(unit="360703-JT-1"), at=DECEMBER_BEGINS - timedelta(milliseconds=1))
    assert edge["rating"]["isLate"] is False


async def test_other_roles_and_oversized_batches_are_refused_without_changes(world: World) -> None:
    before = await world.snapshot()
    for name in ("officer", "supervisor", "inspector", "liaison", "admin"):
        assert (await ask(world, name, SUBMIT, input={"drafts": [rating()]}))["code"] == "FORBIDDEN"
    for drafts in ([], [rating()] * 51):
        assert (await ask(world, "monitor", SUBMIT, input={"drafts": drafts}))["code"] == "LIMIT_EXCEEDED"
    world.people["monitor"].office_id = world.people["monitor"].office_path = None
    assert (await ask(world, "monitor", SUBMIT, input={"drafts": [rating()]}))["code"] == "FORBIDDEN"
    assert await world.snapshot() == before


@pytest.mark.parametrize("month", ["2026-11-02", "0001-01-01", "9999-12-01"])
async def test_an_invalid_month_is_refused(world: World, month: str) -> None:
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
