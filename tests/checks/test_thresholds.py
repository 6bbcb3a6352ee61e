"""Test thresholds: the nearest office's current threshold applies, and officers only append settings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.checks.runner import CheckRunner
from api.graphql.context import clock
from schema.checks.thresholds import DEFAULTS, Threshold, ThresholdKind, applicable_thresholds, limits_of
from schema.organisation.units import paths_above
from tests.support.flags import HERE, codes_of, place_unit
from tests.support.thresholds import SET, THRESHOLD
from tests.support.world import World, new_id

AT = datetime(2026, 11, 20, tzinfo=UTC)
DAY = timedelta(days=1)
APPLYING = f"""
query Applying($unit: ID!, $at: DateTime) {{
  thresholds(unitId: $unit, at: $at) {{ applying {{ {THRESHOLD} }} settings {{ {THRESHOLD} }} }}
}}"""


def threshold(path: str, value: float | None, valid_from: datetime, set_at: datetime = AT) -> Threshold:
    return Threshold(
        id=new_id("thr"),
        kind=ThresholdKind.UNIT_DISTANCE,
        value=value,
        valid_from=valid_from,
        set_at=set_at,
        path=path,
    )


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([], 500),
        ([("a/", 900, AT - DAY)], 900),
        ([("a/", 900, AT + DAY)], 500),
        ([("a/", 900, AT)], 900),
        ([("a/", 900, AT - DAY), ("a/b/", 100, AT - DAY)], 100),
        ([("a/b/", 100, AT - 9 * DAY), ("a/", 900, AT - DAY)], 100),
        ([("a/b/", 100, AT - 9 * DAY), ("a/b/", 200, AT - DAY)], 200),
        ([("a/b/", 100, AT - 9 * DAY), ("a/", 900, AT - DAY), ("a/b/", None, AT - DAY)], 900),
        ([("x/", 1, AT - DAY), ("a/c/", 2, AT - DAY), ("a/b/c/d/", 3, AT - DAY)], 500),
    ],
)
def test_the_nearest_threshold_in_force_applies(own: list[tuple[str, float | None, datetime]], expected: float) -> None:
    settings = [*DEFAULTS, *(threshold(*each) for each in own)]
    assert limits_of(settings, "a/b/c/", AT).of(ThresholdKind.UNIT_DISTANCE) == expected
    assert limits_of(reversed(settings), "a/b/c/", AT).of(ThresholdKind.UNIT_DISTANCE) == expected


def test_the_last_threshold_set_for_a_day_applies() -> None:
    settings = [threshold("a/", 1, AT, AT + DAY), threshold("a/", 2, AT, AT)]
    assert applicable_thresholds(settings, "a/", AT)[ThresholdKind.UNIT_DISTANCE].value == 1


def test_paths_above_a_unit_go_from_the_root_to_the_unit() -> None:
    assert paths_above("a/b/") == ["", "a/", "a/b/"]


async def set_(world: World, name: str = "officer", code: str = "360703", **fields: Any) -> dict[str, Any]:
    given = {"id": new_id("thr"), "unitId": world.units[code].id, "kind": "UNIT_DISTANCE", "value": 900} | fields
    answer: dict[str, Any] = (await world.ask(name, SET, input=given))["setThreshold"]
    return answer


async def applies(world: World, code: str, name: str = "officer", at: datetime | None = None) -> dict[str, float]:
    given = {"unit": world.units[code].id, "at": at.isoformat() if at else None}
    found = (await world.ask(name, APPLYING, **given))["thresholds"]["applying"]
    return {each["kind"]: each["value"] for each in found}


async def test_a_new_installation_stores_the_default_thresholds(world: World) -> None:
    assert await applies(world, "360703") == {str(each.kind.value): each.value for each in DEFAULTS}
    found = (await world.ask("supervisor", APPLYING, unit=world.units["360703-JT"].id))["thresholds"]
    assert {each["unit"] for each in found["applying"]} == {None}
    await world.store.thresholds.begin()
    assert len(await world.store.mongo.collection("thresholds").find({})) == len(DEFAULTS)


async def test_an_office_sets_its_own_threshold_from_a_given_day(world: World) -> None:
    later = clock() + DAY
    first = (await set_(world, "city_officer", "360700", value=800))["threshold"]
    assert (first["measure"], first["unit"], first["setBy"]) == (
        "METRES",
        {"code": "360700"},
        {"id": world.people["city_officer"].id},
    )
    await set_(world, value=300, validFrom=later.isoformat(), note="山区")
    assert (await applies(world, "360703-JT"))["UNIT_DISTANCE"] == 800
    assert (await applies(world, "360703-JT", at=later))["UNIT_DISTANCE"] == 300
    await set_(world, value=None, validFrom=(later + DAY).isoformat())
    assert (await applies(world, "360703-JT", at=later + DAY))["UNIT_DISTANCE"] == 800
    settings = (await world.ask("officer", APPLYING, unit=world.units["360703"].id))["thresholds"]["settings"]
    assert [each["value"] for each in settings if each["unit"]] == [800, 300, None]


async def test_an_observation_is_judged_by_the_threshold_at_its_receipt(world: World) -> None:
    await place_unit(world, "360703-JT-1", **HERE)
    work, near = CheckRunner(world.store, clock), HERE | {"latitude": HERE["latitude"] + 0.007}
    before = await world.observe(position=near)
    await set_(world, value=900)
    after = await world.observe(position=near)
    await work.do_all()
    assert (await codes_of(world, before), await codes_of(world, after)) == (["FAR_FROM_UNIT"], [])


async def test_a_repeated_setting_is_harmless_and_different_content_a_conflict(world: World) -> None:
    id = new_id("thr")
    first = await set_(world, id=id)
    before = await world.snapshot()
    assert await set_(world, id=id) == first
    assert (await set_(world, id=id, value=901))["code"] == "CONFLICT"
    assert (await set_(world, "city_officer", "360703", id=id, value=1))["code"] == "CONFLICT"
    assert await world.snapshot() == before


@pytest.mark.parametrize(
    ("name", "fields", "code"),
    [
        ("supervisor", {}, "FORBIDDEN"),
        ("inspector", {}, "FORBIDDEN"),
        ("admin", {}, "FORBIDDEN"),
        ("neighbour", {}, "NOT_FOUND"),
        ("officer", {"code": "360700"}, "NOT_FOUND"),
        ("officer", {"value": -1.0}, "BAD_INPUT"),
        ("officer", {"value": 1e9}, "BAD_INPUT"),
        ("officer", {"kind": "PICTURE_BITS", "value": 97.0}, "BAD_INPUT"),
        ("officer", {"note": "长" * 2001}, "BAD_INPUT"),
        ("officer", {"id": "thr_1"}, "BAD_ID"),
        ("officer", {"validFrom": "2026-01-01T00:00:00Z"}, "BAD_INPUT"),
    ],
)
async def test_settings_without_permission_or_out_of_range_are_refused(
    world: World, name: str, fields: dict[str, Any], code: str
) -> None:
    before = await world.snapshot()
    assert (await set_(world, name, **fields))["code"] == code
    assert await world.snapshot() == before


async def test_settings_of_one_kind_are_limited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.checks.thresholds.MAX_SETTINGS", 2)
    first = new_id("thr")
    await set_(world, "officer", id=first)
    await set_(world, "officer")
    before = await world.snapshot()
    assert (await set_(world, "officer"))["code"] == "LIMIT_EXCEEDED"
    await set_(world, "officer", id=first)
    assert await world.snapshot() == before
    await set_(world, "officer", kind="PHOTO_TIME")
    await set_(world, "officer", code="360703-JT")
    assert await world.store.mongo.collection("thresholds").count({"set_by_id": world.people["officer"].id}) == 4


async def test_thresholds_outside_the_scope_are_not_shown(world: World) -> None:
    assert await world.errors("officer", APPLYING, unit=world.units["360783"].id) == ["NOT_FOUND"]
    assert await world.errors("officer", APPLYING, unit=world.units["360700"].id) == ["NOT_FOUND"]
    assert await world.errors("inspector", APPLYING, unit=world.units["360703"].id) == ["FORBIDDEN"]
