"""Test placement: an author learns of a monitoring point only if the role of the report may find the point."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from api.fieldwork.jobs import PLACED_WITHIN
from api.fieldwork.placement import place_known
from api.graphql.context import clock
from api.imports.runner import Noun, import_file
from api.jobs.job import EVERY_MINUTE
from schema.access.viewers import Role
from schema.organisation.units import path_below
from tests.support.observation_queries import ONE, REVISE
from tests.support.rating_drafts import a_colleague, another_point
from tests.support.world import World, draft, new_id

THEIRS = "GZ-002"


async def another_enterprise(world: World) -> None:
    """Add the point of another monitor in the same county."""
    await a_colleague(world)
    await another_point(world, THEIRS, "monitor2")


def report(point: str, **fields: Any) -> dict[str, Any]:
    return draft(method="MONITOR_REPORT", monitoringPoint=point, **fields)


async def placed(world: World, id: str, name: str = "monitor") -> tuple[str, str | None]:
    stored = (await world.ask(name, ONE, id=id))["observation"]
    return stored["placement"], stored["monitoringPoint"] and stored["monitoringPoint"]["code"]


async def test_a_monitor_cannot_tell_the_point_of_another_from_an_unknown_code(world: World) -> None:
    await another_enterprise(world)
    answers = {}
    for code in ("GZ-001", THEIRS, "GZ-999"):
        [result] = await world.submit("monitor", report(code))
        answers[code] = (result["observation"]["placement"], result["observation"]["monitoringPoint"])
    assert answers["GZ-001"] == ("PLACED", {"code": "GZ-001"})
    assert answers[THEIRS] == answers["GZ-999"] == ("UNPLACED", None)


async def test_a_correction_places_no_report_at_the_point_of_another(world: World) -> None:
    await another_enterprise(world)
    id = await world.observe("monitor", method="MONITOR_REPORT", monitoringPoint="GZ-001")
    for code, expected in ((THEIRS, ("UNPLACED", None)), ("GZ-001", ("PLACED", "GZ-001"))):
        given = {"id": new_id("rev"), "reason": "更正", "content": report(code, id=id)}
        assert "observation" in (await world.ask("monitor", REVISE, input=given))["reviseObservation"]
        assert await placed(world, id) == expected


async def test_the_worker_and_an_import_place_a_report_only_at_an_own_point(world: World, tmp_path: Path) -> None:
    """The code is unknown when the report arrives. Later it is the code of another's point, and then of an own point."""
    await a_colleague(world)
    id = await world.observe("monitor", method="MONITOR_REPORT", monitoringPoint=THEIRS)
    await another_point(world, THEIRS, "monitor2")
    before = await world.snapshot()
    assert await place_known(world.store) == 0
    assert await world.snapshot() == before
    file = tmp_path / "points.csv"
    for monitors, expected in (("monitor2", ("UNPLACED", None)), ("monitor2; monitor", ("PLACED", THEIRS))):
        file.write_text(
            f"编号,企业名称,产业,所属地区代码,监测员\n{THEIRS},甲子厂,家具,360703,{monitors}\n", encoding="utf-8"
        )
        await import_file(world.store, Noun.POINTS, file, now=clock())
        assert await placed(world, id) == expected


async def test_a_monitor_with_another_role_finds_points_by_the_role_of_the_report(world: World) -> None:
    await another_enterprise(world)
    both = replace(world.people["monitor"], roles=[Role.MONITOR, Role.INSPECTOR])
    world.people["monitor"] = both
    await world.store.users.put_all([both])
    reported = await world.observe("monitor", method="MONITOR_REPORT", monitoringPoint=THEIRS)
    inspected = await world.observe("monitor", method="PATROL", monitoringPoint=THEIRS)
    await place_known(world.store)
    assert await placed(world, reported) == ("UNPLACED", None)
    assert await placed(world, inspected) == ("PLACED", THEIRS)


async def test_an_old_unplaced_observation_is_looked_at_seldom_and_at_every_load(world: World, tmp_path: Path) -> None:
    """The unit becomes known without a load. Then people are loaded, which may change the scope of the author."""
    id = await world.observe(unit="360703-GA")
    ago = clock() - PLACED_WITHIN[EVERY_MINUTE] - timedelta(seconds=1)
    await world.store.mongo.collection("observations").update_one({"_id": id}, {"$set": {"received_at": ago}})
    unit_id = new_id("unt")
    path = path_below(world.units["360703"].path, unit_id)
    await world.store.units.put_all([replace(world.units["360703-JT"], id=unit_id, code="360703-GA", path=path)])
    assert await place_known(world.store, clock() - PLACED_WITHIN[EVERY_MINUTE]) == 0
    file = tmp_path / "users.csv"
    file.write_text("用户名,姓名,角色,管辖范围\nbare,甲,监督员,360703\n", "utf-8")
    assert (await import_file(world.store, Noun.USERS, file, now=clock())).placed == 1


def test_the_jobs_look_at_an_unplaced_observation_less_than_a_hundred_times() -> None:
    looks = sum(age / timedelta(seconds=seconds) for seconds, age in PLACED_WITHIN.items())
    assert looks < 100
