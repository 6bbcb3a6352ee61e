"""Write the demo's stories: five cases in every state, places to inspect, and observations without a case."""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, cycle

from api.casework.assignment_transitions import (
    AssignInput,
    FinishAssignmentInput,
    StepAssignmentInput,
    accept,
    assign,
    finish,
    withdraw,
)
from schema.access.viewers import Role
from schema.casework.cases import CaseOutcome, CaseState
from schema.core.times import BEIJING
from schema.fieldwork.observations import Category
from scripts.demo.case_steps import CaseStory, Step, Story
from scripts.demo.observations import Witnesses, phrases
from scripts.demo.people import People
from scripts.demo.randomness import Chance, WorkingDays
from scripts.demo.region import CITY, Region

S, END = CaseState, CaseOutcome
GIVEN = "open assign accept "
RIGHTED = GIVEN + "rectify verify "
SCRIPTS: dict[CaseState, tuple[tuple[str, CaseOutcome | None], ...]] = {
    S.RECEIVED: (("receive", None),) * 5,
    S.ACCEPTED: (("open", None), ("open link", None), ("open link unlink", None), ("open", None), ("open", None)),
    S.DECLINED: (("receive decline", None),) * 5,
    S.ASSIGNED: (
        ("open assign", None),
        ("open assign withdraw assign", None),
        (GIVEN + "finish close reopen assign", END.PARTLY),
        ("open assign", None),
        ("open link assign", None),
    ),
    S.INVESTIGATING: (
        (GIVEN, None),
        (GIVEN + "hand_on", None),
        (GIVEN + "hand_on take_on", None),
        (GIVEN, None),
        (GIVEN + "link", None),
    ),
    S.RECTIFYING: ((GIVEN + "rectify", None), (RIGHTED + "rectify", None)) * 2 + ((GIVEN + "rectify", None),),
    S.VERIFYING: ((RIGHTED, None), (RIGHTED + "rectify verify", None)) * 2 + ((RIGHTED, None),),
    S.CLOSED: (
        (RIGHTED + "finish close", END.SUBSTANTIATED),
        (RIGHTED + "finish close", END.PARTLY),
        (GIVEN + "finish close", END.UNFOUNDED),
        (GIVEN + "hand_on take_on finish close", END.TRANSFERRED),
        (GIVEN + "finish close", END.WITHDRAWN),
    ),
    S.REOPENED: ((RIGHTED + "finish close reopen", END.SUBSTANTIATED), (GIVEN + "finish close reopen", END.UNFOUNDED))
    * 2
    + ((GIVEN + "finish close reopen", END.PARTLY),),
}
"""Five ways for a case to reach each state, with the outcome of its closing."""
INSPECTIONS = ("offer", "offer accept", "offer accept finish", "offer withdraw") * 3
SIZES = (1, 2, 3, 1, 2)
"""Sightings of each case, in turn; a case with a link step needs two."""
SEEN = 120


GAPS = {
    "offer": 0,
    "open": 0,
    "receive": 0,
    "decline": 2,
    "hand_on": 3,
    "rectify": 4,
    "verify": 6,
    "finish": 3,
    "reopen": 8,
}
"""Working days before a step; one for steps that aren't listed."""
CATEGORIES = [category for category in Category if category is not Category.GOOD_PRACTICE]
STAGE = "360703"
"""The county with a case in every state; the people shown to sign in as work there."""


class Stories:
    def __init__(self, chance: Chance, now: datetime, region: Region, people: People, witnesses: Witnesses) -> None:
        self._chance, self._region, self._people, self._witnesses = chance, region, people, witnesses
        self._days = WorkingDays(now)
        self._categories = cycle(CATEGORIES)

    def write(self) -> list[Story]:
        """Write all stories, earliest first. Afterwards `witnesses` has all sightings."""
        elsewhere = cycle([code for code in self._region.counties if code != STAGE])
        stories = []
        for way in range(5):
            for number, (state, scripts) in enumerate(SCRIPTS.items()):
                county = STAGE if way == 0 else next(elsewhere)
                office = f"{CITY}-TSZX" if way == 2 else county
                chance = self._chance.stream(f"{state.value}/{way}")
                size = SIZES[(way + number) % len(SIZES)]
                stories.append(self._case(chance, county, office, scripts[way], size))
        stories += [self._inspection(number, script) for number, script in enumerate(INSPECTIONS)]
        self._see_more()
        return sorted(stories, key=lambda story: story.steps[0].at)

    def _case(
        self, chance: Chance, county: str, office: str, script: tuple[str, CaseOutcome | None], size: int
    ) -> Story:
        verbs, outcome = script[0].split(), script[1]
        linked = "link" in verbs
        moments = self._moments(verbs, chance)
        counters = self._region.counters(county)
        unit = chance.pick(counters[:3] if county == STAGE else counters)
        seen = sorted(moments[0][0] + chance.between(1, 6) for _ in range(max(size, 2) if linked else size))
        category = next(self._categories)
        sightings = [
            self._witnesses.see(county, unit, category, self._days.moment(ago, chance)) for ago in reversed(seen)
        ]
        supervisors = self._people.of(Role.SUPERVISOR, CITY if office != county else county)
        first = 0 if county == STAGE else chance.between(0, len(supervisors) - 2)
        case = CaseStory(
            chance,
            self._people,
            moments[0][1],
            unit,
            sightings,
            officer=chance.pick(self._people.of(Role.OFFICER, office)),
            supervisors=supervisors[first:],
            outcome=outcome,
        )
        steps = [case.step(verb, at, keep_back=int(linked)) for verb, (_, at) in zip(verbs, moments, strict=True)]
        return Story(case.id, office, is_case=True, steps=steps)

    def _moments(self, verbs: Sequence[str], chance: Chance) -> list[tuple[int, datetime]]:
        """Return (working days ago, instant) for each verb; the last step is in the past."""
        passed = list(accumulate(GAPS.get(verb, 1) for verb in verbs))
        latest = chance.between(1, 15)
        return [(ago, self._days.moment(ago, chance)) for ago in (latest + passed[-1] - days for days in passed)]

    def _inspection(self, number: int, script: str) -> Story:
        chance = self._chance.stream(f"inspection/{number}")
        county = self._region.counties[number % 4]
        [officer, _] = self._people.of(Role.OFFICER, county)
        inspector = chance.pick(self._people.of(Role.INSPECTOR, county))
        unit = chance.pick(self._region.counters(county))
        verbs = script.split()
        moments = self._moments([*verbs, "", "", ""], chance)
        id = chance.id("asg", moments[0][1])
        sent = AssignInput(
            id=id,
            assignee_id=self._people.users[inspector].id,
            unit_id=unit.id,
            note=chance.pick(phrases()["inspection_notes"]),
            due_on=moments[-1][1].astimezone(BEIJING).date(),
        )
        steps = [Step(officer, moments[0][1], assign, sent)]
        for verb, (ago, at) in zip(verbs[1:], moments[1:], strict=False):
            if verb == "accept":
                steps.append(Step(inspector, at, accept, StepAssignmentInput(id=id)))
                seen_at = self._days.moment(ago - 1, chance)
                self._witnesses.see(county, unit, next(self._categories), seen_at, assignment=(id, inspector))
            elif verb == "finish":
                result = chance.pick(phrases()["inspection_results"])
                steps.append(Step(inspector, at, finish, FinishAssignmentInput(id=id, result=result)))
            else:
                steps.append(Step(officer, at, withdraw, StepAssignmentInput(id=id)))
        return Story(id, county, is_case=False, steps=steps)

    def _see_more(self) -> None:
        """Add sightings without a case: praise, unhandled ones, and ones that name an unknown unit."""
        counties = cycle(self._region.counties)
        while (number := len(self._witnesses.made)) < SEEN:
            chance, county = self._chance.stream(f"more/{number}"), next(counties)
            unit = chance.pick(self._region.counters(county))
            category = Category.GOOD_PRACTICE if number % 4 == 0 else next(self._categories)
            claimed = f"{county}-GA" if number % 6 == 1 else None
            self._witnesses.see(
                county, unit, category, self._days.moment(chance.between(1, 60), chance), claimed=claimed
            )
