"""Test observations: batches, replays, id conflicts, placement, positions, and who sees which field."""

import asyncio
from datetime import timedelta

import pytest

from api.fieldwork.placement import place_known
from api.graphql.context import clock
from api.graphql.id_conflicts import MAX_CONFLICTS_PER_DAY
from schema.geography import datums
from schema.organisation.units import Unit, UnitLevel, path_below
from tests.support.observation_queries import ONE
from tests.support.world import ASSIGN, SUBMIT, World, draft, medium, new_id

pytestmark = pytest.mark.both_drivers


async def test_all_fields_of_an_observation_are_returned(world: World) -> None:
    assert world.point
    sent = draft(
        method="MONITOR_REPORT",
        category="SOLICITING",
        severity="GRAVE",
        position={
            "latitude": 25.6,
            "longitude": 114.75,
            "accuracyMetres": 12.5,
            "altitudeMetres": 130.0,
            "isMock": True,
            "source": "FUSED",
            "fixedAt": "2026-11-20T01:04:00Z",
        },
        monitoringPoint="GZ-001",
        staffSeen="三号窗口，工号 0017",
        deviceSequence=7,
    )
    [result] = await world.submit("monitor", sent)
    assert result["outcome"] == "ACCEPTED"
    stored = (await world.ask("monitor", ONE, id=sent["id"]))["observation"]
    assert stored["content"]["capturedAt"] == "2026-11-20T01:05:00.000Z"
    assert stored["content"]["capturedOffsetMinutes"] == 480
    assert stored["content"]["staffSeen"] == "三号窗口，工号 0017"
    assert stored["deviceSequence"] == 7
    position = stored["content"]["position"]
    assert (position["latitude"], position["longitude"]) == (25.6, 114.75)
    assert position["isMock"] is True
    assert position["fixedAt"] == "2026-11-20T01:04:00.000Z"
    assert stored["unit"] == {
        "code": "360703-JT-1",
        "ancestors": [{"code": code} for code in ("360000", "360700", "360703", "360703-JT")],
        "parent": {"code": "360703-JT"},
    }
    assert stored["monitoringPoint"]["code"] == "GZ-001"
    assert stored["author"] == {"id": world.people["monitor"].id}
    assert stored["receipt"] == result["receipt"]
    assert stored["receivedAt"] == result["receipt"]["receivedAt"]


async def test_one_bad_draft_never_blocks_the_others(world: World) -> None:
    good, clueless = draft(), draft(text="长" * 20_001)
    wrong_id = draft(id="obs_1")
    wrong_medium = draft(media=[medium(sha256="beef")])
    not_ours = draft(method="MONITOR_REPORT")
    results = await world.submit("inspector", wrong_id, good, clueless, wrong_medium, not_ours)
    assert [result["outcome"] for result in results] == ["REFUSED", "ACCEPTED", "REFUSED", "REFUSED", "REFUSED"]
    assert [result["refusal"] and result["refusal"]["field"] for result in results] == [
        "drafts.0.id",
        None,
        "drafts.2.text",
        "drafts.3.media.0.sha256",
        "drafts.4.method",
    ]
    assert {result["refusal"]["nextStep"] for result in results if result["refusal"]} == {"FIX_AND_RESEND"}
    stored = await world.store.mongo.collection("observations").find({})
    assert [document["_id"] for document in stored] == [good["id"]]
    assert await world.store.mongo.collection("media").count({}) == 0


async def test_a_replay_gets_the_same_receipt_and_changes_nothing(world: World) -> None:
    sent = draft(media=[medium()])
    [first] = await world.submit("inspector", sent)
    before = await world.snapshot()
    [again, twice] = await world.submit("inspector", sent, sent)
    assert [again["outcome"], twice["outcome"]] == ["DUPLICATE", "DUPLICATE"]
    assert again["receipt"] == twice["receipt"] == first["receipt"]
    assert again["uploads"][0]["mediaId"] == sent["media"][0]["id"]
    assert await world.snapshot() == before


async def test_the_same_instant_in_another_offset_is_the_same_content(world: World) -> None:
    sent = draft(capturedAt="2026-11-20T09:05:00+08:00")
    [first] = await world.submit("inspector", sent)
    [again] = await world.submit("inspector", sent | {"capturedAt": "2026-11-20T01:05:00Z"})
    assert again["receipt"] == first["receipt"]


async def test_a_draft_repeated_in_one_batch_is_a_duplicate(world: World) -> None:
    sent = draft()
    first, second, other = await world.submit("inspector", sent, sent, sent | {"text": "另一回事"})
    assert [first["outcome"], second["outcome"], other["outcome"]] == ["ACCEPTED", "DUPLICATE", "REFUSED"]
    assert other["refusal"]["code"] == "CONFLICT"


async def test_different_content_under_a_taken_id_is_refused_and_stored_as_a_conflict(world: World) -> None:
    sent = draft()
    await world.submit("inspector", sent)
    before = await world.snapshot()
    for name in ("inspector", "inspector2"):
        [result] = await world.submit(name, sent | {"text": "改过的内容"})
        assert result["refusal"]["code"] == "CONFLICT"
        assert result["observation"] is None
    after = await world.snapshot()
    assert [document["sent"]["text"] for document in after.pop("set_aside")] == ["改过的内容"]
    before.pop("set_aside")
    assert after == before


async def test_stored_conflicts_per_person_and_day_are_limited(world: World) -> None:
    sent = [draft() for _ in range(50)]
    await world.submit("inspector", *sent)
    for n in range(MAX_CONFLICTS_PER_DAY // 50):
        await world.submit("inspector", *(each | {"text": f"另一回事 {n}"} for each in sent))
    before = await world.snapshot()
    assert len(before["set_aside"]) == MAX_CONFLICTS_PER_DAY
    [known, fresh] = await world.submit("inspector", sent[0] | {"text": "另一回事 0"}, sent[0] | {"text": "再一回事"})
    assert (known["refusal"]["code"], known["refusal"]["nextStep"]) == ("CONFLICT", "DISCARD")
    assert (fresh["refusal"]["code"], fresh["refusal"]["nextStep"]) == ("LIMIT_EXCEEDED", "RETRY_LATER")
    assert fresh["refusal"]["field"] == "drafts.1.id"
    assert await world.snapshot() == before
    [other] = await world.submit("inspector2", sent[0] | {"text": "别人的话"})
    assert other["refusal"]["code"] == "CONFLICT"
    yesterday = clock() - timedelta(days=1)
    await world.store.mongo.collection("set_aside").update_many({}, {"$set": {"received_at": yesterday}})
    [again] = await world.submit("inspector", sent[0] | {"text": "再一回事"})
    assert again["refusal"]["code"] == "CONFLICT"


async def test_another_author_learns_nothing_from_a_taken_id(world: World) -> None:
    sent = draft()
    await world.submit("inspector", sent)
    [result] = await world.submit("inspector2", sent)
    assert (result["outcome"], result["receipt"]) == ("REFUSED", None)


async def test_a_taken_media_id_is_a_conflict_and_the_observation_is_not_stored(world: World) -> None:
    photo = medium(b"one")
    await world.submit("inspector", draft(media=[photo]))
    before = await world.snapshot()
    [result] = await world.submit("inspector", draft(media=[photo | {"sha256": medium(b"two")["sha256"]}]))
    assert result["refusal"]["code"] == "CONFLICT"
    assert result["refusal"]["field"] == "drafts.0.media.0.id"
    after = await world.snapshot()
    assert after["observations"] == before["observations"]
    assert after["media"] == before["media"]


async def test_concurrent_replays_store_one_observation_and_get_the_same_receipt(world: World) -> None:
    sent = draft(media=[medium()])
    answers = await asyncio.gather(*(world.submit("inspector", sent) for _ in range(8)))
    outcomes = sorted(result["outcome"] for [result] in answers)
    assert outcomes == ["ACCEPTED"] + ["DUPLICATE"] * 7
    assert len({result["receipt"]["receivedAt"] for [result] in answers}) == 1
    assert await world.store.mongo.collection("observations").count({}) == 1


@pytest.mark.parametrize("unit", ["999999", "360783-JT-1"], ids=["unknown", "beyond the scope"])
async def test_an_observation_of_an_unknown_unit_is_stored_unplaced(world: World, unit: str) -> None:
    id = await world.observe(unit=unit)
    stored = (await world.ask("inspector", ONE, id=id))["observation"]
    assert (stored["placement"], stored["unit"], stored["content"]["claimedUnit"]) == ("UNPLACED", None, unit)
    assert (await world.ask("officer", ONE, id=id))["observation"]["id"] == id


async def test_an_unplaced_observation_is_placed_once_its_unit_is_known(world: World) -> None:
    id = await world.observe(unit="360703-HB")
    assert await place_known(world.store) == 0
    county, new = world.units["360703"], new_id("unt")
    bureau = Unit(
        id=new,
        code="360703-HB",
        name="南康区环保局",
        level=UnitLevel.DEPARTMENT,
        path=path_below(county.path, new),
        parent_id=county.id,
        ancestor_ids=(*county.ancestor_ids, county.id),
    )
    await world.store.units.put_all([bureau])
    assert await place_known(world.store) == 1
    stored = (await world.ask("inspector", ONE, id=id))["observation"]
    assert (stored["placement"], stored["unit"]["code"], stored["revision"]) == ("PLACED", "360703-HB", 1)


async def test_gcj02_positions_are_stored_in_wgs84(world: World) -> None:
    id = await world.observe(position={"latitude": 25.8452, "longitude": 114.9387, "datum": "GCJ02"})
    position = (await world.ask("inspector", ONE, id=id))["observation"]["content"]["position"]
    assert (position["originalLatitude"], position["originalDatum"]) == (25.8452, "GCJ02")
    assert abs(position["latitude"] - 25.8481) < 0.001
    assert abs(position["longitude"] - 114.9337) < 0.001


async def test_a_position_is_returned_in_the_requested_datum(world: World) -> None:
    id = await world.observe(position={"latitude": 25.84521234567, "longitude": 114.9387, "datum": "GCJ02"})
    asked = """query One($id: ID!, $datum: Datum!) { observation(id: $id) { content {
        plain: position { latitude longitude datum }
        mine: position(datum: GCJ02) { latitude longitude datum originalLatitude }
        other: position(datum: $datum) { latitude longitude datum originalDatum }
    } } }"""
    content = (await world.ask("inspector", asked, id=id, datum="BD09"))["observation"]["content"]
    assert (content["plain"]["datum"], content["mine"]["datum"], content["other"]["datum"]) == (
        "WGS84",
        "GCJ02",
        "BD09",
    )
    assert (content["mine"]["latitude"], content["mine"]["longitude"]) == (25.84521234567, 114.9387)
    expected = datums.gcj02_to_bd09(25.84521234567, 114.9387)
    assert (content["other"]["latitude"], content["other"]["longitude"]) == pytest.approx(expected, abs=2e-7)
    assert abs(content["plain"]["latitude"] - 25.8481) < 0.001


@pytest.mark.parametrize(
    ("latitude", "longitude", "problem"),
    [(0, 0, "NULL_ISLAND"), (114.9, 25.8, "SWAPPED_AXES"), (139.7, 35.7, "OUT_OF_RANGE"), (10, 200, "OUT_OF_RANGE")],
)
async def test_impossible_positions_are_stored_raw_and_never_used(
    world: World, latitude: float, longitude: float, problem: str
) -> None:
    id = await world.observe(position={"latitude": latitude, "longitude": longitude})
    position = (await world.ask("inspector", ONE, id=id))["observation"]["content"]["position"]
    assert (position["latitude"], position["longitude"], position["problem"]) == (None, None, problem)
    assert (position["originalLatitude"], position["originalLongitude"]) == (latitude, longitude)


async def test_only_the_author_and_cleared_people_in_scope_see_a_complainant(world: World) -> None:
    complainant = {"name": "某投诉人", "contact": "0797-0000000"}
    sent = {"method": "COMPLAINT", "complainant": complainant, "unit": "360703-JT", "deviceSequence": 7}
    id = await world.observe("city_officer", **sent)
    case = await world.open_case("city_officer", id)
    offer = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people["officer"].id}
    await world.ask("city_officer", ASSIGN, input=offer)
    for name, told in (("city_officer", "某投诉人"), ("officer", None)):
        seen = (await world.ask(name, ONE, id=id))["observation"]
        assert (seen["complainant"] and seen["complainant"]["name"]) == told, name
        assert seen["deviceSequence"] == (told and 7), name
    own = await world.observe("clerk", method="COMPLAINT", complainant=complainant)
    for name, told in (("officer", "某投诉人"), ("clerk", "某投诉人"), ("supervisor", None)):
        seen = (await world.ask(name, ONE, id=own))["observation"]
        assert (seen["complainant"] and seen["complainant"]["name"]) == told, name


async def test_only_the_author_and_cleared_people_see_the_device_sequence(world: World) -> None:
    """Other people could use the sequence to find out which reports come from the same person."""
    id = await world.observe(deviceSequence=7)
    for name, told in (("inspector", 7), ("officer", 7), ("clerk", None), ("supervisor", None)):
        assert (await world.ask(name, ONE, id=id))["observation"]["deviceSequence"] == told, name


async def test_a_name_for_an_anonymous_complainant_is_refused(world: World) -> None:
    named = draft(method="COMPLAINT", complainant={"name": "某投诉人", "isAnonymous": True})
    before = await world.snapshot()
    [result] = await world.submit("officer", named)
    assert (result["refusal"]["code"], result["refusal"]["field"]) == ("BAD_INPUT", "drafts.0.complainant.name")
    assert await world.snapshot() == before


async def test_empty_and_oversized_batches_are_refused(world: World) -> None:
    for drafts in ([], [draft() for _ in range(51)]):
        answer = await world.ask("inspector", SUBMIT, input={"drafts": drafts})
        assert answer["submitObservations"]["code"] == "LIMIT_EXCEEDED"
    assert await world.store.mongo.collection("observations").count({}) == 0
