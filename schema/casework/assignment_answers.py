"""Answers to assignments (签收、办结回复): what a phone says of them, maybe before it has seen them, kept until it can be done.

What an answer does to its assignment and case is left to `storage/casework/assignments.py`; holding it to
`api/casework/assignment_answers.py`.
"""

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import FOLLOWERS, SEEN, Row
from schema.accounts.device_clocks import DeviceClockInput
from schema.casework.assignments import MAX_NOTE, Assignment, AssignmentState
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.times import to_millis

MAX_ANSWERS = 50
MAX_HELD = 200
"""Of one person at once; the batch that comes to it is still taken whole."""
HELD_FOR = timedelta(days=30)
LATE = "What this belongs to did not come within 30 days."
TOO_MANY = "So much of yours is held already. Keep this, and send it again once some of it is settled."


@strawberry.enum(description="What is said of an assignment (回复类型).")
class AnswerKind(enum.Enum):
    ACCEPT = strawberry.enum_value("ACCEPT", description="Accepted: from now on the assignee answers for it (签收).")
    FINISH = strawberry.enum_value("FINISH", description="Done, with its result (办结).")


@strawberry.enum(description="How an item of a phone's queue settled (处理结果).")
class AnswerOutcome(enum.Enum):
    SETTLED = strawberry.enum_value("SETTLED", description="It holds: from now on, or already (已生效).")
    DUPLICATE = strawberry.enum_value("DUPLICATE", description="It was settled before by this very item (重复提交).")
    HELD = strawberry.enum_value(
        "HELD", description="Kept safe until what it belongs to is there; nothing is to be sent again (暂存)."
    )
    REFUSED = strawberry.enum_value("REFUSED", description="Not done (未受理).")


class AnswerState(enum.Enum):
    """Of a stored answer."""

    HELD = "HELD"
    SETTLED = "SETTLED"
    REFUSED = "REFUSED"


@strawberry.input(description="What a phone says of an assignment, in the order that it came to mind or any other.")
class AssignmentAnswer:
    id: strawberry.ID = strawberry.field(description="Made by the phone: ans_ and a UUIDv7.")
    assignment_id: strawberry.ID = strawberry.field(description="Of which assignment.")
    kind: AnswerKind = strawberry.field(description="What is said.")
    answered_at: datetime = strawberry.field(description="When, by the device's clock (回复时间).")
    result: str | None = strawberry.field(
        description="What came of it, 1 to 2,000 characters; with FINISH, and only there (办理结果).", default=None
    )


@strawberry.input(description="Answers to assignments, as a phone's outbox holds them.")
class AnswerAssignmentsInput:
    answers: list[AssignmentAnswer] = strawberry.field(description="1 to 50; each settles on its own.")
    device_clock: DeviceClockInput | None = strawberry.field(
        description="What the device's clock shows (设备时钟).", default=None
    )


@strawberry.type(description="How one answer settled.")
class AnswerResult:
    id: strawberry.ID | None = strawberry.field(description="The answer; null where it could not be read.")
    outcome: AnswerOutcome = strawberry.field(description="How.")
    assignment: Assignment | None = strawberry.field(description="As it is now, where it settled.", default=None)
    refusal: Refused | None = strawberry.field(description="Why it was refused.", default=None)


@strawberry.type(description="How each answer settled.")
class AnswerAssignmentsPayload:
    results: list[AnswerResult] = strawberry.field(description="In the order of the answers.")


@strawberry.type(description="What the server keeps for its sender until what it belongs to is there (暂存操作).")
class HeldOperation:
    id: strawberry.ID = strawberry.field(description="The item, as the phone named it.")
    operation: str = strawberry.field(description="The mutation that brought it.")
    held_since: datetime = strawberry.field(description="Since when.")
    held_until: datetime = strawberry.field(description="When it is refused, if nothing came by then.")
    waits_for: strawberry.ID = strawberry.field(description="Id of the record that it belongs to (所等待的记录).")
    refusal: Refused | None = strawberry.field(
        description="Why it was refused after all; null while it is held.", default=None
    )


@dataclass(frozen=True)
class StoredAnswer:
    """An answer as it is kept; `refused_as` is the code of what became a refusal."""

    id: str
    user_id: str
    assignment_id: str
    kind: AnswerKind
    answered_at: datetime
    result: str | None
    sha256: str
    received_at: datetime
    state: AnswerState = AnswerState.HELD
    refused_as: RefusalCode | None = None
    reason: str | None = None

    def settled(self, refusal: Refusal | None) -> "StoredAnswer":
        """As it is once it was done, or refused for good."""
        if refusal is None:
            return replace(self, state=AnswerState.SETTLED)
        return replace(self, state=AnswerState.REFUSED, refused_as=refusal.code, reason=refusal.message)

    def refusal(self) -> Refusal | None:
        return Refusal(self.refused_as, self.reason) if self.refused_as else None

    def shown(self) -> HeldOperation:
        refusal = self.refusal()
        return HeldOperation(
            id=strawberry.ID(self.id),
            operation="answerAssignments",
            held_since=self.received_at,
            held_until=self.received_at + HELD_FOR,
            waits_for=strawberry.ID(self.assignment_id),
            refusal=Refused.of(refusal) if refusal else None,
        )


def stored(answer: AssignmentAnswer, *, user_id: str, now: datetime, field: str) -> StoredAnswer:
    """The answer as it is kept; raises `Refusal(BAD_ID | BAD_INPUT)`."""
    validate_id(answer.id, "ans", field=f"{field}.id")
    validate_id(answer.assignment_id, "asg", field=f"{field}.assignmentId")
    if (answer.kind is AnswerKind.FINISH) != (answer.result is not None):
        raise Refusal(RefusalCode.BAD_INPUT, "A result goes with FINISH, and only there.", field=f"{field}.result")
    if answer.result is not None and not 1 <= len(answer.result.strip()) <= len(answer.result) <= MAX_NOTE:
        raise Refusal(RefusalCode.BAD_INPUT, f"A result has 1 to {MAX_NOTE} characters.", field=f"{field}.result")
    return StoredAnswer(
        id=answer.id,
        user_id=user_id,
        assignment_id=answer.assignment_id,
        kind=answer.kind,
        answered_at=to_millis(answer.answered_at),
        result=answer.result,
        sha256=digest_of(answer),
        received_at=now,
    )


def waits(answer: StoredAnswer, assignment: Assignment | None) -> bool:
    """Whether there is nothing yet that it could be done to; an assignment of another's is none."""
    if assignment is None or assignment.assignee_id != answer.user_id:
        return True
    return answer.kind is AnswerKind.FINISH and assignment.state is AssignmentState.OFFERED


def holds(answer: StoredAnswer, assignment: Assignment) -> bool:
    """Whether what it says is so already; of several results the first stands."""
    if answer.kind is AnswerKind.ACCEPT:
        return assignment.accepted_at is not None
    return assignment.state is AssignmentState.FINISHED


PERMITS: tuple[Row, ...] = (
    ("Query", FOLLOWERS, "heldOperations"),
    ("Mutation", FOLLOWERS, "answerAssignments"),
    ("AnswerAssignmentsPayload", SEEN, "results"),
    ("AnswerResult", SEEN, "id outcome assignment refusal"),
    ("HeldOperation", SEEN, "id operation heldSince heldUntil waitsFor refusal"),
)
