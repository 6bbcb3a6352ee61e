"""Write the scripts of the demo: five cases for every state, inspections, and observations without a case."""

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
from scripts.demo.case_steps import CaseScript, CaseScriptWriter, Step
from scripts.demo.observations import ObservationPlan, phrases
from scripts.demo.people import People
from scripts.demo.randomness import SeededRandom, WorkingDays
from scripts.demo.region import CITY, Region

S, END = CaseState, CaseOutcome
TO_INVESTIGATION = "open assign accept "
TO_VERIFICATION = TO_INVESTIGATION + "rectify verify "
SCRIPTS: dict[CaseState, tuple[tuple[str, CaseOutcome | None], ...]] = {
    S.RECEIVED: (("receive", None),) * 5,
    S.ACCEPTED: (("open", None), ("open link", None), ("open link unlink", None), ("open", None), ("open", None)),
    S.DECLINED: (("receive decline", None),) * 5,
    S.ASSIGNED: (
        ("open assign", None),
        ("open assign withdraw assign", None),
        (TO_VERIFICATION + "finish close reopen assign", END.PARTLY),
        ("open assign", None),
        ("open link assign", None),
    ),
    S.INVESTIGATING: (
        (TO_INVESTIGATION, None),
        (TO_INVESTIGATION + "hand_on", None),
        (TO_INVESTIGATION + "hand_on take_on", None),
        (TO_INVESTIGATION, None),
        (TO_INVESTIGATION + "link", None),
    ),
    S.RECTIFYING: ((TO_INVESTIGATION + "rectify", None), (TO_VERIFICATION + "rectify", None)) * 2
    + ((TO_INVESTIGATION + "rectify", None),),
    S.VERIFYING: ((TO_VERIFICATION, None), (TO_VERIFICATION + "rectify verify", None)) * 2 + ((TO_VERIFICATION, None),),
    S.CLOSED: (
        (TO_VERIFICATION + "finish close", END.SUBSTANTIATED),
        (TO_VERIFICATION + "finish close", END.PARTLY),
        (TO_INVESTIGATION + "finish close", END.UNFOUNDED),
        (TO_INVESTIGATION + "hand_on take_on finish close", END.TRANSFERRED),
        (TO_INVESTIGATION + "finish close", END.WITHDRAWN),
    ),
    S.REOPENED: (
        (TO_VERIFICATION + "finish close reopen", END.SUBSTANTIATED),
        (TO_INVESTIGATION + "finish close reopen", END.UNFOUNDED),
    )
    * 2
    + ((TO_VERIFICATION + "finish close reopen", END.PARTLY),),
}
"""For each state: five scripts that bring a case to this state, and the outcome with which each case is closed."""
INSPECTIONS = ("offer", "offer accept", "offer accept finish", "offer withdraw") * 3
SIZES = (1, 2, 3, 1, 2)
"""Numbers of observations of the cases, taken in turn. A case with a `link` step has at least two."""
OBSERVATION_COUNT = 120
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
"""Working days between the previous step and this step. The number is 1 for steps that aren't listed."""
CATEGORIES = [category for category in Category if category is not Category.GOOD_PRACTICE]
MAIN_COUNTY = "360703"
"""The county with a case in every state. Most of the suggested sign-ins belong to people who work there."""


class CaseScripts:
    def __init__(
        self, random: SeededRandom, now: datetime, region: Region, people: People, observation_plan: ObservationPlan
    ) -> None:
        self._random, self._region, self._people, self._observation_plan = random, region, people, observation_plan
        self._days = WorkingDays(now)
        self._categories = cycle(CATEGORIES)

    def write(self) -> list[CaseScript]:
        """Write all scripts, earliest first. Afterwards `observation_plan` has all observations."""
        other_counties = cycle([code for code in self._region.counties if code != MAIN_COUNTY])
        case_scripts = []
        for way in range(5):
            for number, (state, scripts) in enumerate(SCRIPTS.items()):
                county = MAIN_COUNTY if way == 0 else next(other_counties)
                office = f"{CITY}-TSZX" if way == 2 else county
                random = self._random.stream(f"{state.value}/{way}")
                size = SIZES[(way + number) % len(SIZES)]
                case_scripts.append(self._case(random, county, office, scripts[way], size))
        case_scripts += [self._inspection(number, script) for number, script in enumerate(INSPECTIONS)]
        self._add_observations_without_case()
        return sorted(case_scripts, key=lambda script: script.steps[0].at)

    def _case(
        self, random: SeededRandom, county: str, office: str, script: tuple[str, CaseOutcome | None], size: int
    ) -> CaseScript:
        verbs, outcome = script[0].split(), script[1]
        has_link = "link" in verbs
        moments = self._moments(verbs, random)
        windows = self._region.windows(county)
        unit = random.pick(windows[:3] if county == MAIN_COUNTY else windows)
        days_ago = sorted(moments[0][0] + random.between(1, 6) for _ in range(max(size, 2) if has_link else size))
        category = next(self._categories)
        observations = [
            self._observation_plan.add(county, unit, category, self._days.moment(ago, random))
            for ago in reversed(days_ago)
        ]
        supervisors = self._people.of(Role.SUPERVISOR, CITY if office != county else county)
        first = 0 if county == MAIN_COUNTY else random.between(0, len(supervisors) - 2)
        writer = CaseScriptWriter(
            random,
            self._people,
            moments[0][1],
            unit,
            observations,
            officer=random.pick(self._people.of(Role.OFFICER, office)),
            supervisors=supervisors[first:],
            outcome=outcome,
        )
        steps = [writer.step(verb, at, keep_back=int(has_link)) for verb, (_, at) in zip(verbs, moments, strict=True)]
        return CaseScript(writer.id, office, is_case=True, steps=steps)

    def _moments(self, verbs: Sequence[str], random: SeededRandom) -> list[tuple[int, datetime]]:
        """Return (working days ago, instant) for each verb; the last step is in the past."""
        passed = list(accumulate(GAPS.get(verb, 1) for verb in verbs))
        latest = random.between(1, 15)
        return [(ago, self._days.moment(ago, random)) for ago in (latest + passed[-1] - days for days in passed)]

    def _inspection(self, number: int, script: str) -> CaseScript:
        random = self._random.stream(f"inspection/{number}")
        county = self._region.counties[number % 4]
        [officer, _] = self._people.of(Role.OFFICER, county)
        inspector = random.pick(self._people.of(Role.INSPECTOR, county))
        unit = random.pick(self._region.windows(county))
        verbs = script.split()
        moments = self._moments([*verbs, "", "", ""], random)
        id = random.id("asg", moments[0][1])
        sent = AssignInput(
            id=id,
            assignee_id=self._people.users[inspector].id,
            unit_id=unit.id,
            note=random.pick(phrases()["inspection_notes"]),
            due_on=moments[-1][1].astimezone(BEIJING).date(),
        )
        steps = [Step(officer, moments[0][1], assign, sent)]
        for verb, (ago, at) in zip(verbs[1:], moments[1:], strict=False):
            if verb == "accept":
                steps.append(Step(inspector, at, accept, StepAssignmentInput(id=id)))
                captured_at = self._days.moment(ago - 1, random)
                self._observation_plan.add(
                    county, unit, next(self._categories), captured_at, assignment=(id, inspector)
                )
            elif verb == "finish":
                result = random.pick(phrases()["inspection_results"])
                steps.append(Step(inspector, at, finish, FinishAssignmentInput(id=id, result=result)))
            else:
                steps.append(Step(officer, at, withdraw, StepAssignmentInput(id=id)))
        return CaseScript(id, county, is_case=False, steps=steps)

    def _add_observations_without_case(self) -> None:
        """Add observations without a case: praise, unhandled ones, and ones that name an unknown unit."""
        counties = cycle(self._region.counties)
        while (number := len(self._observation_plan.observations)) < OBSERVATION_COUNT:
            random, county = self._random.stream(f"more/{number}"), next(counties)
            unit = random.pick(self._region.windows(county))
            category = Category.GOOD_PRACTICE if number % 4 == 0 else next(self._categories)
            claimed = f"{county}-GA" if number % 6 == 1 else None
            self._observation_plan.add(
                county, unit, category, self._days.moment(random.between(1, 60), random), claimed=claimed
            )
