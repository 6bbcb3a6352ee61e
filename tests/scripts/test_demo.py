"""Test the demo: it is complete, follows every rule, and names no real person."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schema.access.viewers import Clearance, Role
from schema.accounts.users import User
from schema.appraisal.ratings import Rating
from schema.casework.assignments import Assignment, AssignmentKind, AssignmentState
from schema.casework.case_moves import MOVES, check_move
from schema.casework.cases import Case, CaseEventKind, CaseOutcome, CaseState, case_number
from schema.catalogue.entries import CatalogueEntry
from schema.fieldwork.observations import METHODS_OF, Category, Method, Observation, Placement
from schema.media.media import Media, MediaState
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit, UnitLevel
from storage.embedded.engines import Addresses
from tests.support.import_office import check_tree
from tests.support.loaded_demo import LoadedDemo, whole

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
async def demo(engines: Addresses) -> AsyncIterator[LoadedDemo]:
    async with whole(engines) as found:
        yield found


async def test_the_demo_has_all_its_units_users_and_points(demo: LoadedDemo) -> None:
    units: list[Unit] = await demo.all("units")
    check_tree({unit.code: unit for unit in units})
    levels = Counter(unit.level for unit in units)
    assert (levels[UnitLevel.PROVINCE], levels[UnitLevel.CITY], levels[UnitLevel.TOWNSHIP]) == (1, 1, 310)
    assert levels[UnitLevel.COUNTY] == 18 + 1  # the development zone is of that rank
    assert all(levels[level] > 50 for level in (UnitLevel.DEPARTMENT, UnitLevel.SECTION, UnitLevel.WINDOW))
    users: list[User] = await demo.all("users")
    roles = Counter(role for user in users for role in user.roles)
    assert (roles[Role.SUPERVISOR], roles[Role.INSPECTOR], roles[Role.MONITOR]) == (307, 40, 306)
    assert set(roles) == set(Role)
    assert all(user.office_id for user in users), "without an office, an administrator can register no webhook"
    officers = {
        (user.office_path, Clearance.IDENTITY in user.clearances) for user in users if Role.OFFICER in user.roles
    }
    assert len(officers) == 2 * (19 + 1 + 1)
    points: list[MonitoringPoint] = await demo.all("monitoring_points")
    assert len(points) == 306
    assert len({point.monitor_ids for point in points}) == 306
    assert len({point.enterprise for point in points}) == 306
    assert {"钨", "稀土", "氟盐化工", "脐橙", "家具", "烟叶", "莲子", "黄鸡", "香菇", "盐"} == {
        p.industry for p in points
    }
    assert len({point.path for point in points}) == 19


async def test_divisions_match_the_source(demo: LoadedDemo) -> None:
    if not SHARED.exists():
        pytest.skip("../shared/data is not here")
    told = json.loads((SHARED / "geo" / "ganzhou-divisions.json").read_text(encoding="utf-8"))["divisions"]
    units = {unit.code: unit for unit in await demo.all("units")}
    for division in told:
        unit = units[division["code"]]
        assert (unit.name, str(unit.level.value).lower()) == (division["name"], division["level"])
        formerly = [(each["name"], each["code"], each["to"]) for each in division.get("formerly", [])]
        assert [(former.name, former.code, former.until) for former in unit.former_names] == formerly


async def test_the_demo_names_nobody(demo: LoadedDemo) -> None:
    for user in await demo.all("users"):
        assert re.fullmatch(
            r"(巡查员|监测员|监督员)\d{3}|.+(效能办|投诉中心)0[12]|.+联络员|系统管理员", user.display_name
        )
    for point in await demo.all("monitoring_points"):
        assert point.enterprise.endswith("（虚构）")
    for observation in await demo.all("observations"):
        given = observation.content.complainant
        assert given is None or given.name in {None, "来访人甲", "来访人乙", "来访人丙", "某企业经办人"}
        assert given is None or given.contact is None or given.contact.startswith("000-0000-")


async def test_the_demo_has_observations_of_every_kind(demo: LoadedDemo) -> None:
    observations: list[Observation] = await demo.all("observations")
    users = {user.id: user for user in await demo.all("users")}
    assert len(observations) == 120
    assert {each.content.method for each in observations} == set(Method)
    assert {each.content.category for each in observations} == set(Category)
    assert len({each.content.text for each in observations}) == 120
    assert 3 <= sum(each.placement is Placement.UNPLACED for each in observations) <= 10
    assert sum(each.revision > 1 for each in observations) >= 5
    assert any(each.content.complainant for each in observations)
    assert any(each.content.assignment_id for each in observations)
    for each in observations:
        author = users[each.author_id]
        assert any(each.content.method in METHODS_OF[role] for role in author.roles)
        assert each.content.captured_at <= each.received_at <= demo.now
        assert each.content.captured_offset_minutes == 480
        assert (each.office_id, each.office_path) == (author.office_id, author.office_path)


async def test_every_photo_is_ready_and_positioned_at_its_unit(demo: LoadedDemo) -> None:
    media: list[Media] = await demo.all("media")
    observations = {each.id: each for each in await demo.all("observations")}
    units = {unit.id: unit for unit in await demo.all("units")}
    assert len(media) == 160
    for each in media:
        assert each.state is MediaState.READY
        assert len(each.thumbnails) == 2
        assert each.facts
        assert each.facts.damage is None
        assert each.facts.position
        assert each.facts.taken_at() == each.captured_at
        unit = units.get(observations[each.observation_id].unit_id)
        if unit and unit.position:
            assert abs((each.facts.position.latitude or 0) - (unit.position.latitude or 0)) < 0.001
            assert abs((each.facts.position.longitude or 0) - (unit.position.longitude or 0)) < 0.001
    for each in media[::8]:
        assert await demo.store.objects.size_of(each.key) == each.byte_size
        for thumbnail in each.thumbnails:
            assert await demo.store.objects.size_of(thumbnail.key)


async def test_cases_reached_their_states_by_the_rules(demo: LoadedDemo) -> None:
    cases: list[Case] = await demo.all("cases")
    given: list[Assignment] = await demo.all("assignments")
    observations: list[Observation] = await demo.all("observations")
    assert Counter(case.state for case in cases) == dict.fromkeys(CaseState, 5)
    assert {case.outcome for case in cases} == {None, *CaseOutcome}
    assert {each.state for each in given} == set(AssignmentState)
    assert {each.kind for each in given} == set(AssignmentKind)
    for case in cases:
        replay(case, {each.id: each for each in given if each.case_id == case.id})
        resting_on = [each for each in observations if case.id in each.case_ids]
        assert resting_on
        assert all(each.received_at < case.opened_at for each in resting_on)


def replay(case: Case, given: dict[str, Assignment]) -> None:
    """Replay the history of a case by the tables of allowed moves. The history must lead to the stored case."""
    state, responsible, before = CaseState.RECEIVED, case.first_responder_id, case.opened_at
    assert case.history[0].kind is CaseEventKind.OPENED
    for event in case.history:
        assert before <= event.at
        before = event.at
        match event.kind:
            case CaseEventKind.MOVED:
                assert event.state in MOVES[state]
                state = event.state
                reply = case.reply if state in {CaseState.CLOSED, CaseState.DECLINED} else None
                check_move(state, reason=event.note, outcome=case.outcome or CaseOutcome.PARTLY, reply=reply)
            case CaseEventKind.ASSIGNED:
                state = CaseState.ASSIGNED if state in {CaseState.ACCEPTED, CaseState.REOPENED} else state
            case CaseEventKind.HAND_OVER_ACCEPTED:
                [taken] = [given[id] for id in event.about_ids]
                assert (taken.assignee_id, taken.accepted_at) == (event.by_id, event.at)
                state = CaseState.INVESTIGATING if state is CaseState.ASSIGNED else state
                responsible = event.by_id
        assert event.state is state
    assert (case.state, case.responsible_id) == (state, responsible)
    assert (case.closed_at is None, case.outcome is None) == (state is not CaseState.CLOSED,) * 2
    told = Counter(event.kind for event in case.history)
    states = Counter(each.state for each in given.values())
    assert told[CaseEventKind.ASSIGNED] + told[CaseEventKind.HANDED_ON] == len(given)
    assert told[CaseEventKind.FINISHED] == states[AssignmentState.FINISHED]
    assert told[CaseEventKind.WITHDRAWN] == states[AssignmentState.WITHDRAWN]


async def test_ratings_are_of_past_months_and_yield_scores(demo: LoadedDemo) -> None:
    ratings: list[Rating] = await demo.all("ratings")
    points = {point.id: point for point in await demo.all("monitoring_points")}
    assert len({each.month for each in ratings}) == 2
    for each in ratings:
        assert not each.is_late
        assert each.published_at <= demo.now
        assert each.rater_id in points[each.monitoring_point_id].monitor_ids
        assert (each.grade is None) or each.score in {90, 75, 60, 45, 30}
    counting = {(each.monitoring_point_id, each.unit_id, each.month): each for each in ratings if each.is_latest}
    assert len(counting) == sum(each.is_latest for each in ratings) < len(ratings)
    months = sorted({each.month for each in ratings})
    units = sorted({each.unit_id for each in ratings})
    scores = await demo.store.ratings.of_months(units, months, demo.now)
    assert len(scores) == len(units) * len(months) == 8
    assert all(found.raters >= 3 and 30 <= found.mean <= 100 for found in scores.values())


async def test_the_catalogue_has_the_figures_of_the_source(demo: LoadedDemo) -> None:
    entries: list[CatalogueEntry] = await demo.all("catalogue")
    limits = {(each.service.statutory_days, each.service.promised_days) for each in entries if each.service is not None}
    assert limits == {(30, 7), (20, 5)}
    assert [each.fee.standard for each in entries if each.fee] == ["0.8元/吨"]
    assert [each.score for each in entries if each.score] == [90, 75, 60, 45, 30]
    if not SHARED.exists():
        pytest.skip("../shared/data is not here")
    told = {each["id"]: each for each in json.loads((SHARED / "seed-facts.json").read_text(encoding="utf-8"))["facts"]}
    figures = [told[name]["figures"] for name in ("days.longnan.30", "days.longnan.20")]
    assert {(each["before_workdays"], each["after_workdays"]) for each in figures} == limits
    assert told["nankang.water"]["figures"] == {"yuan_per_tonne": 0.8}


async def test_case_numbers_follow_the_calendar_without_gaps(demo: LoadedDemo) -> None:
    cases: list[Case] = await demo.all("cases")
    units = {unit.id: unit for unit in await demo.all("units")}
    series: dict[tuple[str, int], list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.opened_at):
        series.setdefault((case.office_id, case.year), []).append(case)
    assert max(map(len, series.values())) >= 5
    for (office, year), own in series.items():
        assert [case.sequence for case in own] == list(range(1, len(own) + 1))
        code = units[office].code
        assert [case.number for case in own] == [case_number(code, year, case.sequence) for case in own]
    counters = {each["_id"]: each["last"] for each in await demo.documents("counters")}
    assert counters == {f"cases:{office}:{year}": len(own) for (office, year), own in series.items()}
