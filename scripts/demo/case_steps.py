"""Turn the verbs of a demo script into steps. A step is an operation with its input."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import strawberry

from api.casework.assignment_transitions import (
    AssignInput,
    FinishAssignmentInput,
    HandOnAssignmentInput,
    StepAssignmentInput,
    accept,
    assign,
    finish,
    hand_on,
    withdraw,
)
from api.casework.case_opening import OpenCaseInput, open_case
from api.casework.case_transitions import LinkObservationsInput, MoveCaseInput, link, move, unlink
from api.graphql.context import Context
from schema.casework.cases import CaseOutcome, CaseState
from schema.core.times import BEIJING
from schema.organisation.units import Unit
from scripts.demo.observations import PlannedObservation, phrases
from scripts.demo.people import People
from scripts.demo.randomness import SeededRandom


@dataclass(frozen=True)
class Step:
    """A step of a script. `entries` is the number of entries that the step adds to the history of its case."""

    actor: str
    at: datetime
    operation: Callable[[Context, Any], Awaitable[Any]]
    input: Any
    entries: int = 1


@dataclass
class CaseScript:
    """The steps of a case or of an inspection assignment. The first step creates the record with the id `id`."""

    id: strawberry.ID
    office: str
    is_case: bool
    steps: list[Step] = field(default_factory=list)


class CaseScriptWriter:
    """Writes the steps of a case in order. Earlier steps decide who acts in the next step."""

    def __init__(
        self,
        random: SeededRandom,
        people: People,
        opening: datetime,
        unit: Unit,
        observations: Sequence[PlannedObservation],
        *,
        officer: str,
        supervisors: Sequence[str],
        outcome: CaseOutcome | None,
    ) -> None:
        self._random, self._people, self._unit, self._outcome = random, people, unit, outcome
        self._officer, self._supervisors = officer, supervisors
        self._observation_ids = [observation.draft.id for observation in observations]
        self._summary = observations[0].draft.text
        self._title = unit.name + phrases()["sightings"][observations[0].draft.category.value]["title"]
        self._holder, self._assignment = officer, strawberry.ID("")
        self._offered: tuple[strawberry.ID, str] | None = None
        self.id = random.id("cas", opening)

    def step(self, verb: str, at: datetime, *, keep_back: int = 0) -> Step:
        """Return the step for a verb.

        `keep_back` is the number of observations that are linked only in a later step.
        """
        if verb in {"open", "receive"}:
            return self._open(at, accepted=verb == "open", keep_back=keep_back)
        writers = {
            "link": self._link,
            "unlink": self._unlink,
            "assign": self._assign,
            "withdraw": self._withdraw,
            "accept": self._accept,
            "take_on": self._accept,
            "hand_on": self._hand_on,
            "finish": self._finish,
        }
        return writers[verb](at) if verb in writers else self._move(verb, at)

    def _open(self, at: datetime, *, accepted: bool, keep_back: int) -> Step:
        sent = OpenCaseInput(
            id=self.id,
            title=self._title,
            summary=self._summary,
            observation_ids=self._observation_ids[: len(self._observation_ids) - keep_back],
            accept=accepted,
        )
        return Step(self._officer, at, open_case, sent, entries=2 if accepted else 1)

    def _assign(self, at: datetime) -> Step:
        self._assignment = self._random.id("asg", at)
        self._offered = self._assignment, self._supervisors[0]
        sent = AssignInput(
            id=self._assignment,
            assignee_id=self._people.users[self._supervisors[0]].id,
            case_id=self.id,
            note=self._random.pick(phrases()["assign_notes"]),
            due_on=at.astimezone(BEIJING).date() + timedelta(days=14),
        )
        return Step(self._officer, at, assign, sent)

    def _link(self, at: datetime) -> Step:
        return Step(self._officer, at, link, self._link_input("link_notes", at))

    def _unlink(self, at: datetime) -> Step:
        return Step(self._officer, at, unlink, self._link_input("unlink_notes", at))

    def _link_input(self, notes: str, at: datetime) -> LinkObservationsInput:
        """Return the input that links or unlinks the last observation."""
        id, note = self._random.id("evt", at), self._random.pick(phrases()[notes])
        return LinkObservationsInput(id=id, case_id=self.id, observation_ids=self._observation_ids[-1:], note=note)

    def _withdraw(self, at: datetime) -> Step:
        return Step(self._officer, at, withdraw, StepAssignmentInput(id=self._assignment))

    def _finish(self, at: datetime) -> Step:
        result = phrases()["results"][list(CaseOutcome).index(self._outcome or CaseOutcome.SUBSTANTIATED)]
        return Step(self._holder, at, finish, FinishAssignmentInput(id=self._assignment, result=result))

    def _accept(self, at: datetime) -> Step:
        if self._offered is None:
            raise ValueError("Nothing was offered.")
        (self._assignment, self._holder), self._offered = self._offered, None
        return Step(self._holder, at, accept, StepAssignmentInput(id=self._assignment))

    def _hand_on(self, at: datetime) -> Step:
        self._offered = self._random.id("asg", at), self._supervisors[1]
        sent = HandOnAssignmentInput(
            id=self._offered[0],
            assignment_id=self._assignment,
            assignee_id=self._people.users[self._supervisors[1]].id,
            note=self._random.pick(phrases()["hand_on_notes"]),
        )
        return Step(self._holder, at, hand_on, sent)

    def _move(self, verb: str, at: datetime) -> Step:
        to = {
            "decline": CaseState.DECLINED,
            "rectify": CaseState.RECTIFYING,
            "verify": CaseState.VERIFYING,
            "close": CaseState.CLOSED,
            "reopen": CaseState.REOPENED,
        }[verb]
        reason = reply = outcome = None
        if verb == "decline":
            reason, reply = self._random.pick(phrases()["declines"])
        elif verb == "reopen":
            reason = self._random.pick(phrases()["reopens"])
        elif verb == "close" and self._outcome:
            outcome, reply = self._outcome, phrases()["replies"][self._outcome.value]
        id = self._random.id("evt", at)
        sent = MoveCaseInput(id=id, case_id=self.id, to=to, reason=reason, outcome=outcome, reply=reply)
        return Step(self._officer, at, move, sent)
