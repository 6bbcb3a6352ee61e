"""Test that years of working days are added and never changed, by an operation and by a file, and what is told."""

from datetime import datetime
from typing import Any

from api.imports.runner import Noun, csv_template
from api.server.health import PartDownError, working_calendar
from schema.casework.working_years import HolidayPeriod, WorkingYear, missing_years
from schema.core.times import beijing_day
from storage.casework.known_years import SOURCE, known_years
from tests.support.import_office import Office, counts
from tests.support.working_years import ADD, PAPER, input_2027, rows_2027, year_2027
from tests.support.world import World, new_id

CALENDAR = """
query WorkingCalendar {
  workingCalendar {
    missing
    years { id year paper note enteredBy { id } holidays { name firstDay lastDay } makeUpDays { name on } }
  }
}
"""
COUNT = """
query WorkingDays($from: Date!, $count: Int!) {
  workingDays(from: $from, count: $count) {
    startedOn count dueOn provisional reason why { kind firstDay lastDay counted name minutes assumed }
  }
}
"""


async def count(world: World, start: str, days: int) -> dict[str, Any]:
    answer = await world.ask("monitor", COUNT, **{"from": start, "count": days})
    counted: dict[str, Any] = answer["workingDays"]
    return counted


async def add(world: World, name: str, given: dict[str, Any]) -> dict[str, Any]:
    answer = await world.ask(name, ADD, input=given)
    added: dict[str, Any] = answer["addWorkingYear"]
    return added


async def stored(world: World) -> list[dict[str, Any]]:
    return await world.store.mongo.collection("working_years").find({}, sort=[("_id", 1)])


async def test_an_installation_knows_the_years_since_2004(world: World) -> None:
    calendar = (await world.ask("monitor", CALENDAR))["workingCalendar"]
    assert [year["year"] for year in calendar["years"]] == list(range(2004, 2027))
    assert {(year["note"], year["enteredBy"]) for year in calendar["years"]} == {(SOURCE, None)}
    assert calendar["missing"] == missing_years(range(2004, 2027), beijing_day(world.context(None).now))
    of_2006 = next(year for year in calendar["years"] if year["year"] == 2006)
    assert {"name": "元旦", "on": "2005-12-31"} in of_2006["makeUpDays"]
    found = await world.ask("monitor", "query($id: ID!) { node(id: $id) { id } }", id=of_2006["id"])
    assert found["node"] == {"id": of_2006["id"]}


async def test_an_officer_adds_a_year_and_provisional_counts_become_settled(world: World) -> None:
    assumed = await count(world, "2027-02-04", 5)
    assert (assumed["dueOn"], assumed["provisional"]) == ("2027-02-15", True)
    assert "2027 is not loaded" in assumed["reason"]
    given = input_2027(new_id("wyr"), note="据通知录入")
    added = (await add(world, "officer", given))["workingYear"]
    assert (added["year"], added["paper"], added["note"]) == (2027, PAPER, "据通知录入")
    assert added["enteredBy"] == {"id": world.people["officer"].id}
    assert [period["firstDay"] for period in added["holidays"]] == [each["firstDay"] for each in given["holidays"]]
    settled = await count(world, "2027-02-04", 5)
    assert (settled["dueOn"], settled["provisional"], settled["reason"]) == ("2027-02-18", False, None)
    assert [(step["kind"], step["firstDay"], step["lastDay"]) for step in settled["why"]] == [
        ("START", "2027-02-04", "2027-02-04"),
        ("HOLIDAY", "2027-02-05", "2027-02-12"),
        ("WEEKEND", "2027-02-13", "2027-02-13"),
        ("MADE_UP", "2027-02-14", "2027-02-14"),
        ("WORKING", "2027-02-15", "2027-02-18"),
    ]
    assert 2027 not in (await world.ask("officer", CALENDAR))["workingCalendar"]["missing"]


async def test_adding_a_year_again_changes_nothing(world: World) -> None:
    given = input_2027(new_id("wyr"))
    first = await add(world, "officer", given)
    before = await stored(world)
    assert await add(world, "officer", given) == first
    assert (await add(world, "officer", given | {"paper": "另一文件"}))["code"] == "CONFLICT"
    assert await stored(world) == before


async def test_only_an_administrator_corrects_a_loaded_year(world: World) -> None:
    await add(world, "officer", input_2027(new_id("wyr")))
    corrected = input_2027(new_id("wyr"), makeUpDays=[], note="更正")
    before = await stored(world)
    refused = await add(world, "city_officer", corrected)
    assert (refused["code"], refused["field"]) == ("FORBIDDEN", "year")
    for name in ("monitor", "inspector", "supervisor", "liaison"):
        assert (await add(world, name, corrected))["code"] == "FORBIDDEN"
    assert await stored(world) == before
    assert (await add(world, "admin", corrected))["workingYear"]["note"] == "更正"
    years = (await world.ask("monitor", CALENDAR))["workingCalendar"]["years"]
    assert [len(year["makeUpDays"]) for year in years if year["year"] == 2027] == [7, 0]
    assert (await count(world, "2027-02-04", 5))["dueOn"] == "2027-02-19"


async def test_a_wrong_year_is_refused_and_nothing_is_stored(world: World) -> None:
    before = await stored(world)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"year": 1900}, "year"),
        ({"holidays": []}, "holidays"),
        ({"makeUpDays": [{"name": "春节", "on": "2027-02-15"}]}, "makeUpDays.0"),
        ({"paper": "文" * 101}, "paper"),
        ({"makeUpDays": [{"name": " ", "on": "2027-02-14"}]}, "name"),
        ({"effectiveFrom": "2026-01-01T00:00:00Z"}, "effectiveFrom"),
    ]
    for changed, field in wrong:
        refused = await add(world, "officer", input_2027(new_id("wyr"), **changed))
        assert (refused["code"], refused["field"]) == ("BAD_INPUT", field)
    assert (await add(world, "officer", input_2027(new_id("thr"))))["code"] == "BAD_ID"
    assert await stored(world) == before
    for start, days in (("2026-01-05", 0), ("2026-01-05", 401), ("0001-01-01", 1), ("9999-12-31", 1)):
        assert await world.errors("officer", COUNT, **{"from": start, "count": days}) == ["BAD_INPUT"]


async def test_a_record_that_counts_later_is_not_counted_yet(world: World) -> None:
    added = await add(world, "officer", input_2027(new_id("wyr"), effectiveFrom="2999-01-01T00:00:00Z"))
    assert added["workingYear"]["year"] == 2027
    assert (await count(world, "2027-02-04", 5))["provisional"] is True


async def test_a_file_adds_a_year_after_a_dry_run(office: Office) -> None:
    await office.store.working_years.begin()
    dry = await office.load(rows_2027(), Noun.WORKING_DAYS, dry_run=True)
    assert counts(dry) == (1, 0, 0)
    assert await office.store.working_years.of_years([2027]) == []
    assert counts(await office.load(rows_2027(), Noun.WORKING_DAYS)) == (1, 0, 0)
    [loaded] = await office.store.working_years.of_years([2027])
    assert (loaded.paper, loaded.holidays, loaded.make_up_days) == (
        PAPER,
        year_2027().holidays,
        year_2027().make_up_days,
    )
    assert counts(await office.load(rows_2027(), Noun.WORKING_DAYS)) == (0, 0, 1)
    fewer = [row for row in rows_2027() if row[3] != "2027-02-14"]
    changed = await office.load(fewer, Noun.WORKING_DAYS)
    assert counts(changed) == (0, 1, 0)
    assert any("days worked" in line for line in changed.lines())
    kept = await office.store.working_years.of_years([2027])
    assert sorted(len(year.make_up_days) for year in kept) == [6, 7]


async def test_the_faults_of_a_file_are_told_and_nothing_is_stored(office: Office) -> None:
    header, *rows = rows_2027()
    broken = [["2027", "放假", "元旦", "昨天", "", PAPER], ["27", "上班", "元旦", "2026-12-26", "", PAPER]]
    broken += [
        ["2027", "休息日", "春节", "2027-02-05", "", PAPER],
        ["2027", "上班", "春节", "2027-02-13", "2027-02-14", "另"],
    ]
    faults = await office.faults([header, *rows[1:], *broken], Noun.WORKING_DAYS)
    assert [fault.split(":")[0].split(",")[0] for fault in faults] == ["row 15", "row 16", "row 17", "row 18", "row 18"]
    [fault] = await office.faults([header, *rows[1:]], Noun.WORKING_DAYS)
    assert "2027-01-01 is off by law" in fault
    assert await office.store.working_years.of_years([2027]) == []


async def test_the_template_has_the_days_of_2026(office: Office) -> None:
    template = [
        line.split(",") for line in csv_template(Noun.WORKING_DAYS).removeprefix("\ufeff").split("\r\n") if line
    ]
    loaded = await office.load(template, Noun.WORKING_DAYS)
    assert counts(loaded) == (0, 1, 0)
    assert [each.column for each in loaded.plan.changed[0].differences] == ["paper", "address"]


async def test_operators_are_told_of_missing_years(world: World) -> None:
    loaded = world.store.working_years.loaded

    async def says(at: str) -> str:
        return await working_calendar(loaded, lambda: datetime.fromisoformat(f"{at}:00+08:00")).ask()

    assert await says("2026-09-30T23:59") == "The working days of 2026 are known."
    assert (await says("2026-10-01T00:00")).startswith("Load 2027 with `scripts/load working-days`.")
    try:
        told = await says("2027-01-01T00:00")
    except PartDownError as down:
        told = f"down: {down}"
    assert told.startswith("down: Load 2027")
    await add(world, "officer", input_2027(new_id("wyr")))
    assert await working_calendar(loaded, lambda: world.context(None).now).ask()
    assert not working_calendar(loaded, lambda: world.context(None).now).needed


def test_the_known_years_have_no_holes() -> None:
    def day_after(period: HolidayPeriod) -> int:
        return period.last_day.toordinal() + 1

    def touching(year: WorkingYear) -> list[str]:
        pairs = zip(year.holidays, year.holidays[1:], strict=False)
        return [
            one.name for one, next in pairs if one.name == next.name and day_after(one) == next.first_day.toordinal()
        ]

    assert [touching(year) for year in known_years()] == [[]] * 23
