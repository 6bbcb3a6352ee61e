"""Test the deadlines of cases: counted when a step starts, met when it is done, and counted again when a year is loaded."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from api.casework.deadlines import deadlines_after, recount_deadlines
from api.graphql.context import Context
from schema.casework.cases import Case, CaseState
from schema.casework.deadlines import Deadline, DeadlineState, meet, recount, start_deadline
from schema.casework.limits import DEFAULTS, Limit, LimitStep, OpeningHours, applicable_limit
from schema.casework.working_days import LimitUnit, WorkingCalendar
from schema.casework.working_time import count_days
from schema.core.times import BEIJING, beijing_day
from schema.fieldwork.observations import Category
from storage.casework.known_years import known_years
from tests.support.case_steps import move_case
from tests.support.limits import LIMIT_FIELDS, SET_LIMIT
from tests.support.working_years import ADD, input_2027, year_2027
from tests.support.world import World, new_id

DEADLINES = """
query Deadlines($id: ID!) {
  case(id: $id) {
    deadlines { step amount timeUnit startedAt dueAt provisional reason metAt state why { kind firstDay lastDay counted } }
    history { kind note by { id } }
  }
}
"""
LIMITS = f"query Limits($unitId: ID!) {{ limits(unitId: $unitId) {{ {LIMIT_FIELDS} }} }}"
ACCEPTANCE, HANDLING = DEFAULTS
YEARS = known_years()


def beijing(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


async def case_of(world: World, id: str) -> dict[str, Any]:
    case: dict[str, Any] = (await world.ask("officer", DEADLINES, id=id))["case"]
    return case


async def set_limit(world: World, name: str = "officer", **given: Any) -> dict[str, Any]:
    limit = {"id": new_id("lim"), "unitId": world.units["360703"].id, "step": "HANDLING", "amount": 10} | given
    answer = await world.ask(name, SET_LIMIT, input=limit)
    result: dict[str, Any] = answer["setLimit"]
    return result


def due(day: date, count: int) -> str:
    """Return the end of a limit in working days by the years that an installation knows."""
    due_on = count_days(WorkingCalendar(YEARS), day, count).due_on
    assert due_on is not None
    return datetime(due_on.year, due_on.month, due_on.day, 9, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def test_a_case_has_a_deadline_for_its_acceptance_and_one_for_the_whole(world: World) -> None:
    case = await world.open_case(accept=False)
    today = beijing_day(datetime.fromisoformat(case["openedAt"]))
    [acceptance] = (await case_of(world, case["id"]))["deadlines"]
    assert (acceptance["step"], acceptance["amount"], acceptance["state"]) == ("ACCEPTANCE", 5, "RUNNING")
    assert (acceptance["dueAt"], acceptance["startedAt"]) == (due(today, 5), case["openedAt"])
    assert (acceptance["why"][0]["kind"], acceptance["why"][-1]["counted"]) == ("START", 5)
    await move_case(world, case["id"], "ACCEPTED")
    accepted, handling = (await case_of(world, case["id"]))["deadlines"]
    assert (accepted["state"], accepted["dueAt"]) == ("MET", acceptance["dueAt"])
    assert (handling["step"], handling["amount"], handling["metAt"]) == ("HANDLING", 30, None)
    assert handling["dueAt"] == due(today, 30)


async def test_ending_a_case_meets_its_deadline_and_reopening_starts_another(world: World) -> None:
    declined = await world.open_case(accept=False)
    await move_case(world, declined["id"], "DECLINED", reason="不属本机关", reply="请向有关机关反映")
    [acceptance] = (await case_of(world, declined["id"]))["deadlines"]
    assert acceptance["state"] == "MET"
    opened = await world.open_case()
    await world.store.mongo.collection("cases").update_one({"_id": opened["id"]}, {"$set": {"state": "INVESTIGATING"}})
    await move_case(world, opened["id"], "CLOSED", outcome="UNFOUNDED", reply="经查不实")
    await move_case(world, opened["id"], "REOPENED", reason="又有反映")
    deadlines = (await case_of(world, opened["id"]))["deadlines"]
    assert [(each["step"], each["state"]) for each in deadlines] == [
        ("ACCEPTANCE", "MET"),
        ("HANDLING", "MET"),
        ("HANDLING", "RUNNING"),
    ]


async def test_a_limit_holds_for_new_deadlines_alone(world: World) -> None:
    old = await world.open_case()
    limit = (await set_limit(world, timeUnit="HOURS", amount=4, remindBefore=1, note="本机关承诺"))["limit"]
    assert (limit["setBy"]["id"], limit["unit"]["code"]) == (world.people["officer"].id, "360703")
    new = await world.open_case()
    assert [each["amount"] for each in (await case_of(world, old["id"]))["deadlines"]] == [5, 30]
    assert [(each["amount"], each["timeUnit"]) for each in (await case_of(world, new["id"]))["deadlines"]] == [
        (5, "WORKING_DAYS"),
        (4, "HOURS"),
    ]
    known = (await world.ask("supervisor", LIMITS, unitId=world.units["360703-XNB"].id))["limits"]
    assert [(each["amount"], each["unit"]) for each in known] == [(5, None), (30, None), (4, {"code": "360703"})]
    found = await world.ask("officer", "query($id: ID!) { node(id: $id) { id } }", id=limit["id"])
    assert found["node"] == {"id": limit["id"]}
    other = await world.ask("neighbour", "query($id: ID!) { node(id: $id) { id } }", id=limit["id"])
    assert other["node"] is None


async def test_a_wrong_limit_is_refused_and_nothing_is_stored(world: World) -> None:
    async def stored() -> list[dict[str, Any]]:
        return await world.store.mongo.collection("limits").find({}, sort=[("_id", 1)])

    given: dict[str, Any] = {"id": new_id("lim"), "amount": 20}
    first = await set_limit(world, **given)
    before = await stored()
    assert await set_limit(world, **given) == first
    assert (await set_limit(world, **given | {"amount": 21}))["code"] == "CONFLICT"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"amount": 0}, "amount"),
        ({"amount": 251}, "amount"),
        ({"longest": 10}, "longest"),
        ({"remindBefore": 11}, "remindBefore"),
        ({"openingHours": []}, "openingHours"),
        ({"openingHours": [{"opens": "09:00", "closes": "09:00"}]}, "openingHours"),
        ({"openingHours": [{"opens": "noon", "closes": "17:00"}]}, "openingHours"),
        (
            {"openingHours": [{"opens": "13:00", "closes": "17:00"}, {"opens": "09:00", "closes": "12:00"}]},
            "openingHours",
        ),
        ({"validFrom": "2026-01-01T00:00:00Z"}, "validFrom"),
        ({"note": "长" * 2001}, "note"),
    ]
    for changed, field in wrong:
        refused = await set_limit(world, **changed)
        assert (refused["code"], refused["field"]) == ("BAD_INPUT", field)
    assert (await set_limit(world, "neighbour"))["code"] == "NOT_FOUND"
    assert (await set_limit(world, "supervisor"))["code"] == "FORBIDDEN"
    assert await stored() == before


async def with_deadlines(world: World, *started: str) -> list[str]:
    """Open a case for each time, and give it the deadlines of a case that was accepted then."""
    ids = []
    for text in started:
        ids.append((await world.open_case())["id"])
        [case] = await world.store.cases.many([ids[-1]])
        counted = [start_deadline(limit, YEARS, beijing(text)) for limit in DEFAULTS]
        event = replace(case.history[-1], id=new_id("evt"))
        assert await world.store.case_deadlines.recount(case, counted, event)
    return ids


async def test_loading_a_year_counts_exactly_the_provisional_deadlines_again(world: World) -> None:
    settled, half, provisional = await with_deadlines(world, "2026-10-12T10:00", "2026-12-01T10:00", "2026-12-24T10:00")
    now = world.context(None).now
    before = {id: await case_of(world, id) for id in (settled, half, provisional)}
    assert [each["provisional"] for id in before for each in before[id]["deadlines"]] == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]
    assert await recount_deadlines(world.store, now) == 0
    assert (await world.ask("officer", ADD, input=input_2027(new_id("wyr"))))["addWorkingYear"]["workingYear"][
        "year"
    ] == 2027
    later = now + timedelta(days=1)
    assert await recount_deadlines(world.store, later) == 2
    assert await recount_deadlines(world.store, later) == 0
    after = {id: await case_of(world, id) for id in before}
    assert after[settled] == before[settled]
    for id, entry in (
        (half, "HANDLING 2027-01-13 -> 2027-01-13"),
        (provisional, "ACCEPTANCE 2026-12-31 -> 2026-12-30; HANDLING 2027-02-09 -> 2027-02-04"),
    ):
        assert [each["provisional"] for each in after[id]["deadlines"]] == [False, False]
        assert [each["reason"] for each in after[id]["deadlines"]] == [None, None]
        *earlier, added = after[id]["history"]
        assert earlier == before[id]["history"]
        assert (added["kind"], added["by"]) == ("DEADLINE_COUNTED", None)
        assert added["note"].startswith(entry)
    assert after[half]["deadlines"][0] == before[half]["deadlines"][0]


async def test_a_deadline_that_changed_meanwhile_is_left_out(world: World) -> None:
    [id] = await with_deadlines(world, "2026-12-24T10:00")
    [case] = await world.store.cases.many([id])
    met = meet(case.deadlines, LimitStep.HANDLING, case.opened_at)
    event = replace(case.history[-1], id=new_id("evt"))
    assert await world.store.case_deadlines.recount(case, met, event)
    assert not await world.store.case_deadlines.recount(case, case.deadlines, event)
    assert [each.met_at for each in (await world.store.cases.many([id]))[0].deadlines] == [None, case.opened_at]


async def test_a_move_keeps_what_a_job_has_counted_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job counts after the move has read the case, and before it writes."""
    [id] = await with_deadlines(world, "2026-12-24T10:00")
    await world.store.mongo.collection("cases").update_one({"_id": id}, {"$set": {"state": "INVESTIGATING"}})
    await world.ask("officer", ADD, input=input_2027(new_id("wyr")))
    recounted: list[int] = []

    async def late(context: Context, case: Case, to: CaseState) -> list[Deadline] | None:
        found = await deadlines_after(context, case, to)
        if not recounted:
            recounted.append(await recount_deadlines(world.store, world.context(None).now + timedelta(days=1)))
        return found

    monkeypatch.setattr("api.casework.case_transitions.deadlines_after", late)
    await move_case(world, id, "CLOSED", outcome="UNFOUNDED", reply="经查不实")
    case = await case_of(world, id)
    assert recounted == [1]
    assert [(each["provisional"], each["metAt"] is not None) for each in case["deadlines"]] == [
        (False, False),
        (False, True),
    ]
    assert [entry["kind"] for entry in case["history"]].count("DEADLINE_COUNTED") == 1


def test_the_state_of_a_deadline() -> None:
    deadline = start_deadline(ACCEPTANCE, YEARS, beijing("2026-06-01T10:00"))
    assert deadline.due_at == beijing("2026-06-08T17:00")
    at_end, after = beijing("2026-06-08T17:00"), beijing("2026-06-08T17:01")
    assert [deadline.state_at(at) for at in (at_end, after)] == [DeadlineState.RUNNING, DeadlineState.OVERDUE]
    for met_at, state in ((at_end, DeadlineState.MET), (after, DeadlineState.MET_LATE)):
        assert meet([deadline], LimitStep.ACCEPTANCE, met_at)[0].state_at(after) is state
    assert meet([deadline], LimitStep.HANDLING, at_end) == [deadline]
    provisional = start_deadline(ACCEPTANCE, YEARS, beijing("2026-12-30T10:00"))
    assert provisional.state_at(beijing("2028-01-01T10:00")) is DeadlineState.RUNNING


def test_a_deadline_explains_itself_by_the_years_of_its_count() -> None:
    assumed = start_deadline(ACCEPTANCE, YEARS, beijing("2026-11-03T10:00"))
    later = replace(year_2027(), effective_from=beijing("2026-11-04T10:00"))
    longer = start_deadline(HANDLING, YEARS, beijing("2026-12-01T10:00"))
    assert recount([assumed], [*YEARS, later], beijing("2026-12-01T10:00")) == [assumed]
    [counted] = recount([longer], [*YEARS, later], beijing("2026-12-02T10:00"))
    assert (longer.provisional, counted.provisional) == (True, False)
    steps = counted.count([*YEARS, later], counted.counted_at).steps
    assert not any(step.assumed for step in steps)
    early = replace(later, effective_from=beijing("2027-06-01T10:00"))
    assert longer.count([*YEARS, early], longer.counted_at).provisional


LIMIT = Limit(
    id=new_id("lim"),
    step=LimitStep.HANDLING,
    category=None,
    amount=10,
    time_unit=LimitUnit.WORKING_DAYS,
    longest=None,
    remind_before=1,
    opening_hours=[OpeningHours(opens="09:00", closes="17:00")],
    valid_from=beijing("2026-01-01T00:00"),
    set_at=beijing("2026-01-01T00:00"),
    path="a/b/",
)


@pytest.mark.parametrize(
    ("path", "at", "category", "amount"),
    [
        ("a/b/c/", "2026-06-01T00:00", Category.SLOW, 10),
        ("a/b/c/", "2026-06-01T00:00", Category.ABSENCE, 3),
        ("a/b/", "2025-12-31T23:59", Category.SLOW, 30),
        ("a/x/", "2026-06-01T00:00", Category.SLOW, 30),
        ("a/b/c/", "2026-08-01T00:00", Category.SLOW, 12),
    ],
)
def test_the_limit_of_the_nearest_unit_applies_from_its_time_on(
    path: str, at: str, category: Category, amount: int
) -> None:
    limits = [
        *DEFAULTS,
        LIMIT,
        replace(LIMIT, category=Category.ABSENCE, amount=3),
        replace(LIMIT, valid_from=beijing("2026-07-01T00:00"), amount=12),
    ]
    found = applicable_limit(limits, LimitStep.HANDLING, category, path, beijing(at))
    assert found is not None
    assert found.amount == amount
    assert applicable_limit([LIMIT], LimitStep.ACCEPTANCE, category, path, beijing(at)) is None
    assert isinstance(start_deadline(found, YEARS, beijing(at)), Deadline)
