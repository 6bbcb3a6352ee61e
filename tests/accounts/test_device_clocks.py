"""Test device clocks: every reading is stored, however wrong, and only people who may know the device see it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schema.accounts.device_clocks import DeviceClockInput, compare_clock
from tests.support.phone_sessions import Phone, with_passwords
from tests.support.world import SUBMIT, World, draft, medium, new_id

pytestmark = pytest.mark.both_drivers

READINGS = """
query Readings($device: ID, $observation: ID, $first: Int, $after: String) {
  clockReadings(deviceId: $device, observationId: $observation, first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    edges { node { readAt deviceAt deviceOffsetMinutes skewSeconds uncertaintySeconds } }
  }
}"""
WHEN = """
query When($id: ID!) {
  observation(id: $id) {
    clockSkewSeconds receivedAt
    content { capturedAt media { when { at local offsetMinutes source reason } } }
    when { at local offsetMinutes source reason message messageZh }
  }
}"""


async def submit(world: World, *drafts: dict[str, Any], name: str = "inspector", **clock: Any) -> list[str]:
    answer = await world.ask(name, SUBMIT, input={"drafts": list(drafts), "deviceClock": clock or None})
    results = answer["submitObservations"]["results"]
    return [result["outcome"] for result in results]


async def readings(world: World, name: str, **wanted: Any) -> list[dict[str, Any]]:
    found = (await world.ask(name, READINGS, first=100, **wanted))["clockReadings"]
    return [edge["node"] for edge in found["edges"]]


def own_clock(ahead: timedelta) -> str:
    return (datetime.now(UTC) + ahead).astimezone().isoformat()


async def test_a_clock_reading_in_a_submission_corrects_the_shown_time(world: World) -> None:
    seen = datetime.now(UTC) - timedelta(hours=2)
    ahead = timedelta(hours=5)
    sent = draft(capturedAt=(seen + ahead).isoformat())
    assert await submit(world, sent, at=own_clock(ahead), roundTripMilliseconds=350) == ["ACCEPTED"]
    found = (await world.ask("officer", WHEN, id=sent["id"]))["observation"]
    assert found["clockSkewSeconds"] == pytest.approx(ahead.total_seconds(), abs=20)
    assert (found["when"]["source"], found["when"]["reason"]) == ("DEVICE_CORRECTED", "SKEW_TAKEN_OFF")
    assert abs(datetime.fromisoformat(found["when"]["at"]) - seen) < timedelta(seconds=80)
    assert abs(datetime.fromisoformat(found["content"]["capturedAt"]) - seen - ahead) < timedelta(seconds=1)
    assert "校正" in found["when"]["messageZh"]
    [reading] = await readings(world, "officer", observation=sent["id"])
    assert reading["skewSeconds"] == found["clockSkewSeconds"]
    assert reading["uncertaintySeconds"] == 0.35


async def test_without_a_reading_the_device_time_is_shown_as_unconfirmed(world: World) -> None:
    id = await world.observe()
    found = (await world.ask("inspector", WHEN, id=id))["observation"]
    assert found["clockSkewSeconds"] is None
    assert found["when"]["at"] == found["content"]["capturedAt"] == "2026-11-20T01:05:00.000Z"
    assert (found["when"]["local"], found["when"]["offsetMinutes"]) == ("2026-11-20T09:05:00.000", 480)
    assert (found["when"]["source"], found["when"]["reason"]) == ("DEVICE", "UNCONFIRMED")
    assert await readings(world, "inspector", observation=id) == []


@pytest.mark.parametrize(
    "at", ["1970-01-01T00:00:03+08:00", "1980-01-06T00:00:00Z", "2099-12-31T23:59:59+08:00", "9998-06-01T00:00:00Z"]
)
async def test_readings_of_very_wrong_clocks_are_stored(world: World, at: str) -> None:
    sent = draft(capturedAt=at, media=[medium(capturedAt=at)])
    assert await submit(world, sent, at=at, roundTripMilliseconds=-5) == ["ACCEPTED"]
    found = (await world.ask("inspector", WHEN, id=sent["id"]))["observation"]
    assert datetime.fromisoformat(found["content"]["capturedAt"]) == datetime.fromisoformat(at)
    assert found["when"]["reason"] == "SKEW_TAKEN_OFF"
    assert found["when"]["at"] == found["receivedAt"][:17] + "00.000Z"
    [reading] = await readings(world, "inspector", observation=sent["id"])
    assert datetime.fromisoformat(reading["deviceAt"]) == datetime.fromisoformat(at)
    assert reading["uncertaintySeconds"] is None
    assert abs(reading["skewSeconds"]) > 70_000 * 3600 or at.startswith("9998")


async def test_new_readings_are_appended_and_a_replayed_one_is_not(world: World) -> None:
    sent, clock = draft(), own_clock(timedelta(minutes=9))
    assert await submit(world, sent, at=clock) == ["ACCEPTED"]
    before = await world.store.mongo.collection("clock_readings").find({})
    assert await submit(world, sent, at=clock) == ["DUPLICATE"]
    assert await world.store.mongo.collection("clock_readings").find({}) == before
    assert await submit(world, sent, at=own_clock(timedelta(minutes=30))) == ["DUPLICATE"]
    found = await readings(world, "inspector", device=world.devices["inspector"])
    assert [each["skewSeconds"] > 1000 for each in found] == [True, False]
    [stored] = await world.store.mongo.collection("observations").find({})
    assert stored["clock_skew_ms"] == pytest.approx(540_000, abs=20_000)
    latest = await world.store.clocks.latest(world.people["inspector"].id, world.devices["inspector"])
    assert latest is not None
    assert latest.skew > timedelta(minutes=25)


async def test_readings_are_stored_once_a_minute_and_kept_for_two_years(world: World) -> None:
    device, at = world.viewer("inspector").device_id, datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
    for seconds in range(0, 120, 10):
        now = at + timedelta(seconds=seconds)
        sent = DeviceClockInput(at=now + timedelta(hours=1))
        reading = compare_clock(sent, user_id=world.people["inspector"].id, device_id=str(device), now=now)
        await world.store.clocks.add(reading)
    assert await world.store.mongo.collection("clock_readings").count({}) == 2
    indexes = (await world.store.mongo.command("listIndexes", "clock_readings"))["cursor"]["firstBatch"]
    assert [index["expireAfterSeconds"] for index in indexes if "expireAfterSeconds" in index] == [730 * 86_400]


async def test_only_the_author_and_cleared_people_see_device_data(world: World) -> None:
    sent = draft()
    await submit(world, sent, at=own_clock(timedelta(hours=1)))
    shown = set()
    for name, told in (("inspector", True), ("officer", True), ("clerk", False), ("supervisor", False)):
        seen = (await world.ask(name, WHEN, id=sent["id"]))["observation"]
        shown.add(str(seen["when"]))
        assert (seen["clockSkewSeconds"] is not None) is told, name
        if told:
            assert len(await readings(world, name, observation=sent["id"])) == 1
        else:
            assert await world.errors(name, READINGS, observation=sent["id"]) == ["NOT_FOUND"], name
    assert len(shown) == 1, "the time shown is the same for everybody"
    for name in ("inspector2", "neighbour", "admin", "monitor"):
        assert await world.errors(name, READINGS, observation=sent["id"]) == ["NOT_FOUND"], name
    # Knowing a device's id gives other people nothing.
    for name in ("officer", "inspector2"):
        assert await readings(world, name, device=world.devices["inspector"]) == []
    assert len(await readings(world, "inspector", device=world.devices["inspector"])) == 1


async def test_a_query_without_exactly_one_device_or_observation_is_refused(world: World) -> None:
    both = {"device": new_id("dev"), "observation": new_id("obs")}
    for wanted in ({}, both):
        assert await world.errors("inspector", READINGS, **wanted) == ["BAD_INPUT"]
    assert await world.errors("inspector", READINGS, device="dev_1") == ["BAD_ID"]
    assert await world.errors(None, READINGS, device=both["device"]) == ["UNAUTHENTICATED"]


async def test_readings_are_paginated_newest_first(world: World) -> None:
    for minutes in range(5):
        await submit(world, draft(), at=own_clock(timedelta(minutes=minutes)))
    device, after, skews = world.devices["inspector"], None, []
    for _ in range(3):
        page = (await world.ask("inspector", READINGS, device=device, first=2, after=after))["clockReadings"]
        skews += [round(edge["node"]["skewSeconds"] / 60) for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    assert page["pageInfo"]["hasNextPage"] is False
    assert skews == [4, 3, 2, 1, 0]


async def test_a_refused_batch_stores_no_reading(world: World) -> None:
    answer = await world.ask("inspector", SUBMIT, input={"drafts": [], "deviceClock": {"at": own_clock(timedelta())}})
    assert answer["submitObservations"]["code"] == "LIMIT_EXCEEDED"
    assert await world.store.mongo.collection("clock_readings").count({}) == 0


async def test_a_revised_time_is_shown_as_corrected_by_the_author(world: World) -> None:
    sent = draft(capturedAt="1970-01-01T08:03:00+08:00")
    await submit(world, sent)
    found = (await world.ask("inspector", WHEN, id=sent["id"]))["observation"]["when"]
    assert (found["source"], found["reason"]) == ("RECEIPT", "CLOCK_UNSET")
    revise = """mutation Revise($input: ReviseObservationInput!) {
      reviseObservation(input: $input) { ... on Refused { code message } }
    }"""
    content = sent | {"capturedAt": "2026-11-20T09:05:00+08:00"}
    answer = await world.ask(
        "inspector", revise, input={"id": new_id("rev"), "reason": "手机时间未设置", "content": content}
    )
    assert answer["reviseObservation"] == {}
    found = (await world.ask("inspector", WHEN, id=sent["id"]))["observation"]["when"]
    assert (found["at"], found["reason"]) == ("2026-11-20T01:05:00.000Z", "CORRECTED_BY_AUTHOR")


async def test_a_medium_names_the_source_of_its_time(world: World) -> None:
    told, silent = medium(b"one", capturedAt="2026-11-20T09:04:00+08:00"), medium(b"two")
    broken = medium(b"three", capturedAt="1970-01-01T08:04:00+08:00")
    sent = draft(media=[told, silent, broken])
    await submit(world, sent)
    media = (await world.ask("inspector", WHEN, id=sent["id"]))["observation"]["content"]["media"]
    first, second, third = (each["when"] for each in media)
    assert (first["at"], first["local"]) == ("2026-11-20T01:04:00.000Z", "2026-11-20T09:04:00.000")
    assert (first["source"], second["source"]) == ("DEVICE", "RECEIPT")
    assert (third["source"], third["reason"]) == ("RECEIPT", "CLOCK_UNSET")


async def test_sign_in_and_refresh_store_a_clock_reading(world: World) -> None:
    phone = Phone(await with_passwords(world))
    ahead = {"at": own_clock(timedelta(minutes=7)), "roundTripMilliseconds": 120}
    assert (await phone.sign_in(password="wrong", deviceClock=ahead))["code"] == "BAD_CREDENTIALS"
    assert await world.store.mongo.collection("clock_readings").count({}) == 0
    await phone.sign_in(deviceClock=ahead)
    first = phone.answer["refreshToken"]
    phone.later = timedelta(minutes=30)
    await phone.refresh(deviceClock={"at": own_clock(timedelta(minutes=38))})
    found = await readings(world, "inspector", device=phone.id)
    assert [round(each["skewSeconds"] / 60) for each in found] == [8, 7]
    phone.later = timedelta(days=1)
    assert (await phone.refresh(first, deviceClock={"at": own_clock(timedelta())}))["code"] == "SESSION_ENDED"
    assert len(await readings(world, "inspector", device=phone.id)) == 2


SHOWN = """query($filter: ObservationFilter) {
  observations(first: 100, filter: $filter) { edges { node { id } } }
}"""


async def test_shown_time_filters_use_the_corrected_time(world: World) -> None:
    """The phone's clock is one hour ahead, so its 9:05 is shown and found as 8:05.

    A revised time replaces both the phone's time and the corrected time.
    """

    async def found(**filter: str) -> list[str]:
        answer = await world.ask("inspector", SHOWN, filter=filter)
        return [edge["node"]["id"] for edge in answer["observations"]["edges"]]

    sent = draft()
    await submit(world, sent, at=own_clock(timedelta(hours=1)))
    by_clock = {"From": "2026-11-20T09:05:00+08:00", "Before": "2026-11-20T09:06:00+08:00"}
    in_truth = {"From": "2026-11-20T08:05:00+08:00", "Before": "2026-11-20T08:06:00+08:00"}
    assert await found(**{f"captured{end}": at for end, at in by_clock.items()}) == [sent["id"]]
    assert await found(**{f"shown{end}": at for end, at in by_clock.items()}) == []
    assert await found(**{f"shown{end}": at for end, at in in_truth.items()}) == [sent["id"]]
    stored = world.store.mongo.collection("observations")
    await stored.update_one({"_id": sent["id"]}, {"$unset": {"shown_at": ""}})
    await world.store.observations.backfill_shown_times()
    assert await found(**{f"shown{end}": at for end, at in in_truth.items()}) == [sent["id"]]
    revise = "mutation($input: ReviseObservationInput!) { reviseObservation(input: $input) { __typename } }"
    content = sent | {"capturedAt": "2026-11-20T07:00:00+08:00"}
    await world.ask("inspector", revise, input={"id": new_id("rev"), "reason": "更正", "content": content})
    assert await found(**{f"shown{end}": at for end, at in in_truth.items()}) == []
    assert await found(shownFrom="2026-11-20T07:00:00+08:00", shownBefore="2026-11-20T07:01:00+08:00") == [sent["id"]]


async def test_queries_on_shown_time_use_its_index(world: World) -> None:
    await world.observe()
    for wanted in ({"$gte": world.context(None).now}, None):
        command = {"find": "observations", "filter": {"shown_at": wanted}}
        plan = await world.store.mongo.command("explain", command)
        assert "shown_at_-1" in str(plan["queryPlanner"]["winningPlan"])
