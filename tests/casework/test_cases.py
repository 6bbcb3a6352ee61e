"""Test cases: gapless numbers, linked observations, moves between states, and who may read them."""

import asyncio

import pytest

from api.casework import loaders
from schema.casework.case_moves import MOVES
from schema.casework.cases import CaseState
from storage.mongodb.client import Mongo
from tests.support.case_steps import LINK, MOVE, UNLINK, move_case, open_investigated_case
from tests.support.world import CASE, OPEN, World, new_id

pytestmark = pytest.mark.both_drivers

FOLLOW = "query($id: ID!) { observation(id: $id) { followUps { caseNumber reply } } }"
RELATED = "query Related($id: ID!) { case(id: $id) { relatedCases { id } } }"


async def test_a_case_takes_its_subject_from_its_first_observation(world: World) -> None:
    ids = [await world.observe(category="SLOW"), await world.observe()]
    case = await world.open_case("officer", *ids)
    assert (case["state"], case["category"]) == ("ACCEPTED", "SLOW")
    assert case["unit"] == {"code": "360703-JT-1"}
    assert case["office"] == {"code": "360703-XNB"}
    assert {each["id"] for each in case["observations"]} == set(ids)
    assert case["firstResponder"] == case["responsible"] == {"id": world.people["officer"].id}
    assert [(each["kind"], each["state"]) for each in case["history"]] == [
        ("OPENED", "RECEIVED"),
        ("MOVED", "ACCEPTED"),
    ]
    assert case["number"] == f"360703-XNB-{case['year']}-0001"


async def test_concurrently_opened_cases_get_unique_gapless_numbers(world: World) -> None:
    ids = [await world.observe() for _ in range(12)]
    cases = await asyncio.gather(*(world.open_case("officer", id) for id in ids))
    neighbours = await world.open_case("neighbour", await world.observe("neighbour", unit="360783-JT-1"))
    assert sorted(case["sequence"] for case in cases) == list(range(1, 13))
    assert len({case["number"] for case in cases}) == 12
    assert neighbours["sequence"] == 1


async def test_opening_a_case_survives_a_concurrent_insert_of_the_counter(
    world: World, system: Mongo, mongo: Mongo
) -> None:
    """A fail point makes MongoDB answer the first try as if two requests had inserted the year's counter at once."""
    observed = await world.observe()
    race = {
        "errorCode": 11000,
        "errorExtraInfo": {"keyPattern": {"_id": 1}, "keyValue": {"_id": "cases"}},
        "failCommands": ["findAndModify"],
        "namespace": f"{mongo.name}.counters",
    }
    await system.command("configureFailPoint", "failCommand", mode={"times": 1}, data=race)
    assert (await world.open_case("officer", observed))["sequence"] == 1
    left = await system.command("configureFailPoint", "failCommand", mode="off")
    assert left["count"] >= 1


async def test_a_refused_opening_uses_no_number(world: World) -> None:
    own = await world.observe()
    before = await world.snapshot()
    for ids in ([own, new_id("obs")], [], ["obs_1"]):
        answer = await world.ask("officer", OPEN, input={"id": new_id("cas"), "title": "某件", "observationIds": ids})
        assert answer["openCase"]["code"] in {"NOT_FOUND", "LIMIT_EXCEEDED", "BAD_ID"}
    assert await world.snapshot() == before
    assert (await world.open_case("officer", own))["sequence"] == 1


async def test_opening_a_case_again_is_harmless_and_different_content_a_conflict(world: World) -> None:
    given = {"id": new_id("cas"), "title": "窗口无人在岗", "observationIds": [await world.observe()]}
    answers = await asyncio.gather(*(world.ask("officer", OPEN, input=given) for _ in range(5)))
    assert len({answer["openCase"]["case"]["number"] for answer in answers}) == 1
    before = await world.snapshot()
    other = await world.ask("officer", OPEN, input=given | {"title": "另一件"})
    assert other["openCase"]["code"] == "CONFLICT"
    stranger = await world.ask("clerk", OPEN, input=given)
    assert stranger["openCase"]["code"] == "CONFLICT"
    assert await world.snapshot() == before
    assert [document["last"] for document in before["counters"]] == [1]


async def test_linking_and_unlinking_each_enter_the_history_once(world: World) -> None:
    case, extra = await world.open_case(), await world.observe()
    given = {"id": new_id("evt"), "caseId": case["id"], "observationIds": [extra], "note": "同一窗口"}
    for _ in range(2):
        linked = (await world.ask("officer", LINK, input=given))["linkObservations"]["case"]
    assert extra in {each["id"] for each in linked["observations"]}
    undone = given | {"id": new_id("evt")}
    for _ in range(2):
        left = (await world.ask("officer", UNLINK, input=undone))["unlinkObservations"]["case"]
    replayed = (await world.ask("officer", LINK, input=given))["linkObservations"]["case"]
    for each in (left, replayed):
        assert extra not in {observation["id"] for observation in each["observations"]}
        assert [step["kind"] for step in each["history"]] == ["OPENED", "MOVED", "LINKED", "UNLINKED"]


async def test_the_last_observation_of_a_case_cannot_be_unlinked(world: World) -> None:
    id = await world.observe()
    case = await world.open_case("officer", id)
    before = await world.snapshot()
    given = {"id": new_id("evt"), "caseId": case["id"], "observationIds": [id]}
    assert (await world.ask("officer", UNLINK, input=given))["unlinkObservations"]["code"] == "WRONG_STATE"
    assert await world.snapshot() == before


async def test_a_case_moves_through_rectification_closing_and_reopening(world: World) -> None:
    id = await open_investigated_case(world)
    steps: list[tuple[str, dict[str, str]]] = [
        ("RECTIFYING", {}),
        ("VERIFYING", {}),
        ("RECTIFYING", {}),
        ("VERIFYING", {}),
        ("CLOSED", {"outcome": "SUBSTANTIATED", "reply": "已整改，谢谢监督。"}),
        ("REOPENED", {"reason": "又有反映"}),
    ]
    for to, more in steps:
        answer = await move_case(world, id, to, **more)
        assert answer["case"]["state"] == to, answer
        assert (answer["case"]["closedAt"] is not None) == (to == "CLOSED")
        assert (answer["case"]["outcome"] is not None) == (to == "CLOSED")


async def test_a_case_is_not_closed_without_outcome_and_reply(world: World) -> None:
    id = await open_investigated_case(world)
    before = await world.snapshot()
    wanting: list[dict[str, str]] = [{}, {"outcome": "PARTLY"}, {"reply": "已办"}]
    for more in wanting:
        answer = await move_case(world, id, "CLOSED", **more)
        assert (answer["code"], answer["field"]) == ("BAD_INPUT", "reply" if "outcome" in more else "outcome")
    assert await world.snapshot() == before


async def test_a_proved_matter_is_rectified_and_verified_before_its_case_is_closed(world: World) -> None:
    """Rule 5 (一案一整改). Other outcomes need no rectification."""
    id = await open_investigated_case(world)
    before = await world.snapshot()
    for outcome in ("SUBSTANTIATED", "PARTLY"):
        answer = await move_case(world, id, "CLOSED", outcome=outcome, reply="已办")
        assert (answer["code"], answer["field"]) == ("WRONG_STATE", "outcome")
    assert await world.snapshot() == before
    await move_case(world, id, "RECTIFYING")
    answer = await move_case(world, id, "CLOSED", outcome="PARTLY", reply="已办")
    assert (answer["code"], answer["field"]) == ("WRONG_STATE", "to")
    await move_case(world, id, "VERIFYING")
    assert (await move_case(world, id, "CLOSED", outcome="PARTLY", reply="已办"))["case"]["state"] == "CLOSED"


@pytest.mark.parametrize("to", [state.value for state in CaseState])
async def test_moves_missing_from_the_table_are_refused(world: World, to: str) -> None:
    case = await world.open_case(accept=False)
    before = await world.snapshot()
    more = {"reason": "理由", "outcome": "WITHDRAWN", "reply": "答复"}
    answer = await move_case(world, case["id"], to, **more)
    allowed = {str(state.value) for state in MOVES[CaseState.RECEIVED]}
    if to in allowed:
        assert answer["case"]["state"] == to
    else:
        assert answer["code"] in {"WRONG_STATE", "BAD_INPUT"}
        assert await world.snapshot() == before


async def test_a_repeated_move_is_harmless_and_different_content_a_conflict(world: World) -> None:
    case = await world.open_case(accept=False)
    step = {"id": new_id("evt"), "caseId": case["id"], "to": "ACCEPTED"}
    for _ in range(3):
        answer = (await world.ask("officer", MOVE, input=step))["moveCase"]["case"]
    assert [each["kind"] for each in answer["history"]] == ["OPENED", "MOVED"]
    other = await world.ask("officer", MOVE, input=step | {"reason": "别的理由"})
    assert other["moveCase"]["code"] == "CONFLICT"


async def test_only_one_of_two_concurrent_moves_succeeds(world: World) -> None:
    case = await world.open_case(accept=False)
    answers = await asyncio.gather(
        move_case(world, case["id"], "ACCEPTED"),
        move_case(world, case["id"], "DECLINED", reason="重复", reply="已并案"),
    )
    assert sorted("code" in answer for answer in answers) == [False, True]


async def test_a_case_of_another_county_is_not_found(world: World) -> None:
    case = await world.open_case()
    for name in ("neighbour", "neighbour_supervisor"):
        assert (await world.ask(name, CASE, id=case["id"]))["case"] is None
    for name in ("officer", "clerk", "supervisor", "city_officer"):
        assert (await world.ask(name, CASE, id=case["id"]))["case"]["id"] == case["id"]


async def test_a_county_sees_neither_a_city_case_nor_its_observation(world: World) -> None:
    seen = await world.observe("city_inspector")
    case = await world.open_case("city_officer", seen)
    for name in ("officer", "supervisor"):
        assert (await world.ask(name, CASE, id=case["id"]))["case"] is None
        answer = await world.ask(name, "query($id: ID!) { observation(id: $id) { id } }", id=seen)
        assert answer["observation"] is None


async def test_related_cases_share_the_unit_or_the_monitoring_point(world: World) -> None:
    first, second = await world.open_case(), await world.open_case()
    other = await world.open_case("officer", await world.observe(unit="360703-JT"))
    from_point = [
        await world.observe("monitor", method="MONITOR_REPORT", unit=None, monitoringPoint="GZ-001") for _ in "ab"
    ]
    third, fourth = [await world.open_case("officer", id) for id in from_point]
    hidden = await world.open_case("city_officer", await world.observe("city_inspector"))
    assert {each["id"] for each in (await world.ask("officer", RELATED, id=first["id"]))["case"]["relatedCases"]} == {
        second["id"]
    }
    assert (await world.ask("officer", RELATED, id=other["id"]))["case"]["relatedCases"] == []
    assert (await world.ask("officer", RELATED, id=third["id"]))["case"]["relatedCases"] == [{"id": fourth["id"]}]
    related = (await world.ask("city_officer", RELATED, id=hidden["id"]))["case"]["relatedCases"]
    assert {each["id"] for each in related} == {first["id"], second["id"]}


async def test_a_reporter_learns_the_outcome_but_does_not_see_the_case(world: World) -> None:
    id = await world.observe("monitor", method="MONITOR_REPORT", monitoringPoint="GZ-001")
    case = await world.open_case("officer", id, accept=False)
    await move_case(world, case["id"], "DECLINED", reason="不属本办", reply="已转有关部门")
    asked = "query($id: ID!) { observation(id: $id) { followUps { caseNumber state reply } cases { id } } }"
    answer = (await world.ask("monitor", asked, id=id))["observation"]
    assert answer["followUps"] == [{"caseNumber": case["number"], "state": "DECLINED", "reply": "已转有关部门"}]
    assert answer["cases"] == []


async def test_an_event_replayed_with_different_content_is_a_conflict(world: World) -> None:
    case, one, two = await world.open_case(), await world.observe(), await world.observe()
    given = {"id": new_id("evt"), "caseId": case["id"], "observationIds": [one]}
    await world.ask("officer", LINK, input=given)
    before = await world.snapshot()
    answer = (await world.ask("officer", LINK, input=given | {"observationIds": [two]}))["linkObservations"]
    assert answer.get("code") == "CONFLICT"
    answer = (await world.ask("officer", UNLINK, input=given))["unlinkObservations"]
    assert answer.get("code") == "CONFLICT"
    assert await world.snapshot() == before


async def test_a_move_replayed_with_another_reply_is_a_conflict(world: World) -> None:
    id = await open_investigated_case(world)
    step = {"id": new_id("evt"), "caseId": id, "to": "CLOSED", "outcome": "WITHDRAWN", "reply": "甲"}
    await world.ask("officer", MOVE, input=step)
    for change in ({"reply": "乙"}, {"outcome": "UNFOUNDED"}):
        assert (await world.ask("officer", MOVE, input=step | change))["moveCase"].get("code") == "CONFLICT"


async def test_a_blank_or_overlong_reply_is_refused(world: World) -> None:
    id = await open_investigated_case(world)
    for reply in ("  ", "字" * 50_000):
        answer = await move_case(world, id, "CLOSED", outcome="PARTLY", reply=reply)
        assert (answer.get("code"), answer.get("field")) == ("BAD_INPUT", "reply")


async def test_related_cases_do_not_crowd_each_other_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "MAX_RELATED", 3)
    quiet = [await world.open_case("officer", await world.observe(unit="360703-JT")) for _ in "ab"]
    for _ in range(5):
        await world.open_case()
    found = (await world.ask("officer", "{ cases { edges { node { id relatedCases { id } } } } }"))["cases"]["edges"]
    related = {each["node"]["id"]: [one["id"] for one in each["node"]["relatedCases"]] for each in found}
    assert related[quiet[0]["id"]] == [quiet[1]["id"]]


async def test_follow_ups_of_a_city_case_stay_hidden_from_the_county(world: World) -> None:
    id = await world.observe()
    await world.open_case("city_officer", id)
    for name, count in (("inspector", 1), ("city_officer", 1), ("clerk", 0), ("supervisor", 0)):
        assert len((await world.ask(name, FOLLOW, id=id))["observation"]["followUps"]) == count, name
