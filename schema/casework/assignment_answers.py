"""Define answers to assignments (签收、办结回复).

A phone may answer an assignment before the server has it. Such an answer is held until it can be applied.
"""

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import FOLLOWERS, SEEN, Row
from schema.accounts.device_clocks import DeviceClockInput
from schema.casework.assignments import Assignment, AssignmentState
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.texts import MAX_NOTE, check_length, check_text
from schema.core.times import to_millis

MAX_ANSWERS = 50
MAX_HELD = 200
"""Held answers of one person. The batch that reaches this limit is still accepted whole."""
HELD_FOR = timedelta(days=30)
LATE = "The assignment that this belongs to did not arrive within 30 days."
TOO_MANY = "Too many of your answers are held already. Keep this one, and send it again once some of them are settled."


@strawberry.enum(description="What the assignee says about an assignment (回复类型).")
class AnswerKind(enum.Enum):
    ACCEPT = strawberry.enum_value(
        "ACCEPT", description="The assignee accepts it and is responsible from now on (签收)."
    )
    FINISH = strawberry.enum_value("FINISH", description="The assignee has finished it and gives the result (办结).")


@strawberry.enum(description="Outcome of one item of a phone's queue (处理结果).")
class AnswerOutcome(enum.Enum):
    SETTLED = strawberry.enum_value("SETTLED", description="It has taken effect, now or earlier (已生效).")
    DUPLICATE = strawberry.enum_value("DUPLICATE", description="The same item was settled before (重复提交).")
    HELD = strawberry.enum_value(
        "HELD", description="The server keeps it until its record arrives. Do not send it again (暂存)."
    )
    REFUSED = strawberry.enum_value("REFUSED", description="It was not accepted (未受理).")


class AnswerState(enum.Enum):
    """State of a stored answer."""

    HELD = "HELD"
    SETTLED = "SETTLED"
    REFUSED = "REFUSED"


@strawberry.input(description="An answer to an assignment. Answers may be sent in any order.")
class AssignmentAnswer:
    id: strawberry.ID = strawberry.field(description="Created by the phone: ans_ and a UUIDv7.")
    assignment_id: strawberry.ID = strawberry.field(description="The assignment that it answers.")
    kind: AnswerKind = strawberry.field(description="Whether the assignee accepts or finishes it.")
    answered_at: datetime = strawberry.field(
        description="When the assignee answered, by the device's clock (回复时间)."
    )
    result: str | None = strawberry.field(
        description="Result, 1 to 2,000 characters. Required with FINISH, not allowed otherwise (办理结果).",
        default=None,
    )


@strawberry.input(description="Answers to assignments from a phone's outbox.")
class AnswerAssignmentsInput:
    answers: list[AssignmentAnswer] = strawberry.field(description="1 to 50 answers. Each is settled independently.")
    device_clock: DeviceClockInput | None = strawberry.field(
        description="Time on the device's clock (设备时钟).", default=None
    )


@strawberry.type(description="Outcome of one answer.")
class AnswerResult:
    id: strawberry.ID | None = strawberry.field(description="Id of the answer. Null if it could not be read.")
    outcome: AnswerOutcome = strawberry.field(description="Outcome.")
    assignment: Assignment | None = strawberry.field(
        description="The assignment now, if the answer was settled.", default=None
    )
    refusal: Refused | None = strawberry.field(description="Reason for the refusal.", default=None)


@strawberry.type(description="Outcome of each answer.")
class AnswerAssignmentsPayload:
    results: list[AnswerResult] = strawberry.field(description="One result per answer, in the order of the answers.")


@strawberry.type(
    description="An item that the server holds for its sender until the record it belongs to arrives (暂存操作)."
)
class HeldOperation:
    id: strawberry.ID = strawberry.field(description="The id that the phone gave the item.")
    operation: str = strawberry.field(description="The mutation that it was sent with.")
    held_since: datetime = strawberry.field(description="When the server began to hold it.")
    held_until: datetime = strawberry.field(description="When it is refused if the record has not arrived.")
    waits_for: strawberry.ID = strawberry.field(description="Id of the record that it waits for (所等待的记录).")
    refusal: Refused | None = strawberry.field(
        description="Reason for the refusal. Null while it is held.", default=None
    )


@dataclass(frozen=True)
class StoredAnswer:
    """An answer as it is stored. `refused_as` is the code of its refusal, if it was refused."""

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

    def with_outcome(self, refusal: Refusal | None) -> "StoredAnswer":
        """Return the answer as settled, or as refused for good."""
        if refusal is None:
            return replace(self, state=AnswerState.SETTLED)
        return replace(self, state=AnswerState.REFUSED, refused_as=refusal.code, reason=refusal.message)

    def refusal(self) -> Refusal | None:
        return Refusal(self.refused_as, self.reason) if self.refused_as else None

    def to_held_operation(self) -> HeldOperation:
        refusal = self.refusal()
        return HeldOperation(
            id=strawberry.ID(self.id),
            operation="answerAssignments",
            held_since=self.received_at,
            held_until=self.received_at + HELD_FOR,
            waits_for=strawberry.ID(self.assignment_id),
            refusal=Refused.of(refusal) if refusal else None,
        )


def to_stored_answer(answer: AssignmentAnswer, *, user_id: str, now: datetime, field: str) -> StoredAnswer:
    """Validate an answer and return its stored form. Raise `Refusal(BAD_ID | BAD_INPUT)` if it is invalid."""
    validate_id(answer.id, "ans", field=f"{field}.id")
    validate_id(answer.assignment_id, "asg", field=f"{field}.assignmentId")
    if (answer.kind is AnswerKind.FINISH) != (answer.result is not None):
        raise Refusal(
            RefusalCode.BAD_INPUT, "FINISH needs a result, and ACCEPT must not have one.", field=f"{field}.result"
        )
    if answer.result is not None:
        check_text(answer.result, MAX_NOTE, f"{field}.result")
        check_length(answer.result, MAX_NOTE, f"{field}.result")
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


def must_wait(answer: StoredAnswer, assignment: Assignment | None) -> bool:
    """Return whether the answer can't be applied yet. Someone else's assignment counts as missing."""
    if assignment is None or assignment.assignee_id != answer.user_id:
        return True
    return answer.kind is AnswerKind.FINISH and assignment.state is AssignmentState.OFFERED


def is_already_applied(answer: StoredAnswer, assignment: Assignment) -> bool:
    """Return whether the assignment is already in the answer's state. The first of several results stands."""
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
