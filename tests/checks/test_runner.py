"""Test the check runner: each new observation or photo is checked once across all workers, and flags are raised."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from api.checks.runner import LEASE, CheckRunner
from api.fieldwork.placement import place_known
from api.graphql.context import clock
from schema.checks.similarity import Likeness
from schema.geography.positions import GeoPointInput, locate
from schema.media.media_facts import MediaFacts
from schema.organisation.outlines import Outline
from schema.organisation.units import Unit, UnitLevel, path_below
from storage.mongodb.client import Mongo
from tests.support.flags import FAR, HERE, codes_of, flags_of, place_unit
from tests.support.world import REFUSED, World, draft, medium, new_id

DUE = {"check_due_at": {"$type": "date"}}


@pytest.fixture
def work(world: World) -> CheckRunner:
    return CheckRunner(world.store, clock)


async def ready(world: World, id: str, **facts: Any) -> None:
    now = world.context(None).now
    await world.store.media.confirm(id, now)
    await world.store.media.mark_ready(id, now, MediaFacts(**facts), ())


async def test_a_check_is_due_with_its_observation_and_runs_once(world: World, work: CheckRunner) -> None:
    id = await world.observe(position=FAR | {"isMock": True})
    await place_unit(world, "360703-JT-1", **HERE)
    assert await flags_of(world, id) == []
    assert await work.do_all() == 1
    assert await work.do_one() is False
    found = await flags_of(world, id)
    assert found
    far, mock = sorted(found, key=lambda flag: str(flag["code"]))
    assert (far["code"], mock["code"]) == ("FAR_FROM_UNIT", "MOCK_POSITION")
    assert (round(far["value"]), far["threshold"], far["measure"]) == (10019, 500, "METRES")
    assert far["message"] == "The observation was recorded 10 km from the unit (threshold 500 m)."
    assert far["messageZh"] == "记录地点距被巡查单位 10 公里（阈值 500 米）。"
    assert (far["state"], far["observation"], far["medium"]) == ("OPEN", {"id": id}, None)


async def test_a_consistent_observation_is_not_flagged(world: World, work: CheckRunner) -> None:
    await place_unit(world, "360703-JT-1", **HERE)
    photo = medium()
    id = await world.observe(position=HERE, media=[photo])
    await ready(
        world,
        photo["id"],
        position=locate(GeoPointInput(**HERE)),
        taken_at_local="2026-11-20T09:05:00",
        software="MIUI Camera",
    )
    await work.do_all()
    assert await flags_of(world, id) == []


async def test_photo_metadata_that_contradicts_the_observation_is_flagged(world: World, work: CheckRunner) -> None:
    photo, old = medium(b"1"), medium(b"2")
    id = await world.observe(position=HERE, media=[photo, old])
    await work.do_all()
    await ready(
        world, photo["id"], position=locate(GeoPointInput(**FAR)), software="Snapseed 2.0", make="Huawei", model="P60"
    )
    await ready(world, old["id"], taken_at_local="2026-11-01T09:05:00")
    assert await work.do_all() == 2
    found = {flag["code"]: flag for flag in await flags_of(world, id) or ()}
    assert set(found) == {"PHOTO_POSITION_FAR", "EDITED", "CAPTURED_LONG_BEFORE"}
    assert found["PHOTO_POSITION_FAR"]["medium"] == found["EDITED"]["medium"] == {"id": photo["id"]}
    assert (found["CAPTURED_LONG_BEFORE"]["value"], found["CAPTURED_LONG_BEFORE"]["medium"]) == (
        19 * 86_400,
        {"id": old["id"]},
    )
    assert "Snapseed" in found["EDITED"]["message"]
    assert all(word not in str(found) for word in ("2.0", "Huawei", "P60"))


async def test_a_photo_position_is_checked_when_none_is_claimed(world: World, work: CheckRunner) -> None:
    await place_unit(world, "360703-JT", **HERE)
    photo = medium()
    id = await world.observe(media=[photo])
    await ready(world, photo["id"], position=locate(GeoPointInput(**FAR)))
    await work.do_all()
    [flag] = await flags_of(world, id) or []
    assert (flag["code"], flag["medium"]) == ("FAR_FROM_UNIT", {"id": photo["id"]})


@pytest.mark.parametrize(
    ("method", "name", "flagged"), [("PATROL", "inspector", True), ("MONITOR_REPORT", "monitor", False)]
)
async def test_monitors_are_not_flagged_for_reporting_from_their_enterprise(
    world: World, work: CheckRunner, method: str, name: str, flagged: bool
) -> None:
    await place_unit(world, "360703-JT-1", **HERE)
    assert world.point
    world.point.position = locate(GeoPointInput(**FAR))
    await world.store.monitoring_points.put_all([world.point])
    id = await world.observe(name, method=method, position=FAR, monitoringPoint="GZ-001")
    await work.do_all()
    assert await codes_of(world, id) == (["FAR_FROM_UNIT"] if flagged else [])


async def test_the_distance_to_the_countys_own_position_is_not_checked(world: World, work: CheckRunner) -> None:
    await place_unit(world, "360703", **HERE)
    id = await world.observe(position=FAR)
    await work.do_all()
    assert await flags_of(world, id) == []


async def test_an_observation_outside_the_units_county_is_flagged(world: World, work: CheckRunner) -> None:
    ring = ((114.0, 25.0), (115.0, 25.0), (115.0, 25.7), (114.0, 25.7), (114.0, 25.0))
    await world.store.outlines.put_all([Outline(world.units["360703"].id, ((ring,),))])
    inside = await world.observe(position=HERE)
    outside = await world.observe(position=FAR, capturedAt="2026-11-20T11:05:00+08:00")
    elsewhere = await world.observe("city_inspector", position=FAR, unit="360783-JT-1")
    complaint = await world.observe("officer", method="COMPLAINT", position=FAR)
    await work.do_all()
    for id, expected in ((inside, []), (outside, ["OUTSIDE_COUNTY"]), (elsewhere, []), (complaint, [])):
        assert await codes_of(world, id, "city_officer") == expected


async def test_an_impossible_speed_is_found_in_any_order_of_arrival(world: World, work: CheckRunner) -> None:
    late = await world.observe(position=FAR, capturedAt="2026-11-20T09:06:00+08:00")
    await work.do_all()
    assert await flags_of(world, late) == []
    early = await world.observe(position=HERE, capturedAt="2026-11-20T09:05:00+08:00")
    other = await world.observe("inspector2", position=HERE, capturedAt="2026-11-20T09:05:30+08:00")
    await work.do_all()
    assert [await flags_of(world, id) for id in (early, other)] == [[], []]
    [flag] = await flags_of(world, late) or []
    assert (flag["code"], round(flag["value"]), flag["measure"]) == ("IMPOSSIBLE_SPEED", 601, "KILOMETRES_PER_HOUR")
    assert flag["otherObservation"] == {"id": early}


async def test_only_cleared_people_learn_that_two_observations_share_a_device(world: World, work: CheckRunner) -> None:
    early = await world.observe(position=HERE, capturedAt="2026-11-20T09:05:00+08:00")
    late = await world.observe(position=FAR, capturedAt="2026-11-20T09:06:00+08:00")
    await work.do_all()
    for name, told in (("officer", True), ("city_officer", True), ("clerk", False), ("supervisor", False)):
        [flag] = await flags_of(world, late, name) or []
        assert (flag["otherObservation"] == {"id": early}) is told
        assert (early in str(flag)) is told
        assert world.devices["inspector"] not in str(flag)


async def test_a_file_that_another_inspector_submitted_earlier_is_flagged(world: World, work: CheckRunner) -> None:
    first, again, own = medium(b"the same"), medium(b"the same"), medium(b"the same")
    original = await world.observe("inspector", media=[first])
    copy = await world.observe("inspector2", media=[again, own])
    for each in (again, own, first):
        await ready(world, each["id"])
        await work.do_all()
    assert await flags_of(world, original) == []
    found = await flags_of(world, copy)
    assert found
    assert {(flag["code"], flag["medium"]["id"], flag["otherMedium"]["id"]) for flag in found} == {
        ("SAME_PICTURE", again["id"], first["id"]),
        ("SAME_PICTURE", own["id"], first["id"]),
    }
    assert {flag["otherObservation"]["id"] for flag in found} == {original}


async def test_a_flag_does_not_reveal_another_countys_original(world: World, work: CheckRunner) -> None:
    photo, copied = medium(b"the same"), medium(b"the same")
    await world.observe("neighbour", unit="360783-JT-1", media=[photo])
    copy = await world.observe(media=[copied])
    for each in (photo, copied):
        await ready(world, each["id"])
    await work.do_all()
    [flag] = await flags_of(world, copy) or []
    assert (flag["code"], flag["otherObservation"], flag["otherMedium"]) == ("SAME_PICTURE", None, None)
    [flag] = await flags_of(world, copy, "city_officer") or []
    assert flag["otherMedium"] == {"id": photo["id"]}


async def test_a_medium_without_an_observation_is_not_an_original(world: World, work: CheckRunner) -> None:
    stray, photo = medium(b"the same"), medium(b"the same")
    [expected] = (await world.submit("inspector", draft(media=[stray])))[:1]
    await world.store.mongo.collection("observations").delete_many({"_id": expected["id"]})
    id = await world.observe("inspector2", media=[photo])
    for each in (stray, photo):
        await ready(world, each["id"])
    await work.do_all()
    assert await work.do_one() is False
    assert await flags_of(world, id) == []


async def test_a_revision_is_checked_and_earlier_flags_stay(world: World, work: CheckRunner) -> None:
    await place_unit(world, "360703-JT-1", **HERE)
    id = await world.observe(position=FAR)
    await work.do_all()
    revise = (
        f"mutation($input: ReviseObservationInput!) {{ reviseObservation(input: $input) {{ __typename {REFUSED} }} }}"
    )
    for latitude, expected in ((25.75, 1), (25.66, 1), (25.70, 2)):
        content = draft(id=id, position=FAR | {"latitude": latitude})
        given = {"id": new_id("rev"), "reason": "更正", "content": content}
        assert (await world.ask("inspector", revise, input=given))["reviseObservation"] == {
            "__typename": "ReviseObservationPayload"
        }
        assert await work.do_all() == 1
        assert await codes_of(world, id) == ["FAR_FROM_UNIT"] * expected


async def test_an_observation_is_checked_again_once_its_unit_is_known(world: World, work: CheckRunner) -> None:
    id = await world.observe(unit="360703-XX", position=FAR)
    await work.do_all()
    unit_id, parent = new_id("unt"), world.units["360703"]
    made = Unit(
        id=unit_id,
        code="360703-XX",
        name="新局",
        level=UnitLevel.DEPARTMENT,
        path=path_below(parent.path, unit_id),
        parent_id=parent.id,
        ancestor_ids=(*parent.ancestor_ids, parent.id),
        position=locate(GeoPointInput(**HERE)),
    )
    await world.store.units.put_all([made])
    assert await place_known(world.store) == 1
    await work.do_all()
    assert await codes_of(world, id) == ["FAR_FROM_UNIT"]


async def test_a_check_is_retried_after_a_database_error(world: World, work: CheckRunner, system: Mongo) -> None:
    """Similar pictures are searched for concurrently. An error in one search must not be logged as a bug."""
    sent = medium()
    await world.observe(media=[sent])
    await ready(world, sent["id"])
    await world.store.likenesses.store(sent["id"], [Likeness(0, 1, "0" * 64)])
    failing = {"failCommands": ["find"], "errorCode": 2, "namespace": f"{world.store.mongo.name}.likenesses"}
    await system.command("configureFailPoint", "failCommand", mode={"skip": 1}, data=failing)
    try:
        with capture_logs() as logged:
            assert await work.do_one()
    finally:
        await system.command("configureFailPoint", "failCommand", mode="off")
    assert logged == [{"event": "work failed", "log_level": "warning", "work": "check", "reason": "StoreError"}]
    assert await CheckRunner(world.store, lambda: clock() + LEASE * 2).do_all() == 2, "of the observation and its photo"
