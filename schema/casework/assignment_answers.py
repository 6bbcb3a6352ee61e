"""Define answers to assignments (签收、办结回复): the assignee accepts or finishes an assignment.

The server stores an answer even if its assignment has not arrived yet. Such an answer waits (state HELD) until the
server can apply it.
"""

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import FOLLOWERS, SEEN, Row
from schema.access.viewers import Capacity
from schema.accounts.device_clocks import DeviceClockInput
from schema.casework.assignments import Assignment, AssignmentState
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.texts import MAX_NOTE, check_length, check_text
from schema.core.times import to_millis

MAX_ANSWERS = 50
MAX_HELD = 200
"""Limit of one person's answers that wait. It is checked before a batch is stored, so one batch may exceed it."""
HELD_FOR = timedelta(days=30)
LATE = "The assignment that this belongs to did not arrive within 30 days."
TOO_MANY = "Too many of your answers are held already. Keep this one, and send it again once some of them are settled."


@strawberry.enum(description="What the assignee says about an assignment (回复类型).")
class AnswerKind(enum.Enum):
    ACCEPT = strawberry.enum_value(
        "ACCEPT", description="The assignee accepts the assignment and is responsible from now on (签收)."
    )
    FINISH = strawberry.enum_value(
        "FINISH", description="The assignee has finished the assignment and gives the result (办结)."
    )


@strawberry.enum(
    description="What the server did with one item of a phone's outbox: an answer or a note edit (处理结果)."
)
class AnswerOutcome(enum.Enum):
    SETTLED = strawberry.enum_value(
        "SETTLED",
        description="The server applied the item, or the assignment already was in the requested state (已生效).",
    )
    DUPLICATE = strawberry.enum_value(
        "DUPLICATE", description="The server received and applied the same item before (重复提交)."
    )
    HELD = strawberry.enum_value(
        "HELD",
        description="The item waits on the server, because its assignment is missing or not accepted yet. Do not send "
        "the item again (暂存).",
    )
    REFUSED = strawberry.enum_value(
        "REFUSED", description="The server did not accept the item. `refusal` gives the reason (未受理)."
    )


class AnswerState(enum.Enum):
    """State of a stored answer."""

    HELD = "HELD"
    SETTLED = "SETTLED"
    REFUSED = "REFUSED"


@strawberry.input(description="An answer to an assignment. Answers may be sent in any order.")
class AssignmentAnswer:
    id: strawberry.ID = strawberry.field(description="Id that the phone creates: `ans_` and a UUIDv7.")
    assignment_id: strawberry.ID = strawberry.field(description="The assignment that the assignee accepts or finishes.")
    kind: AnswerKind = strawberry.field(description="Whether the assignee accepts or finishes the assignment.")
    answered_at: datetime = strawberry.field(
        description="When the assignee answered, by the device's clock (回复时间)."
    )
    result: str | None = strawberry.field(
        description="Result of the work, 1 to 2,000 characters. Required with FINISH, not allowed with ACCEPT "
        "(办理结果).",
        default=None,
    )


@strawberry.input(description="Answers to assignments from a phone's outbox.")
class AnswerAssignmentsInput:
    answers: list[AssignmentAnswer] = strawberry.field(
        description="1 to 50 answers. The server processes each answer independently of the others."
    )
    device_clock: DeviceClockInput | None = strawberry.field(
        description="What the device's clock shows while the phone sends this request (设备时钟).", default=None
    )


@strawberry.type(description="Outcome of one answer.")
class AnswerResult:
    id: strawberry.ID | None = strawberry.field(
        description="Id of the answer. Null if the server could not read the id."
    )
    outcome: AnswerOutcome = strawberry.field(description="What the server did with the answer.")
    assignment: Assignment | None = strawberry.field(
        description="The assignment as it is now. Null if the answer waits or is refused.", default=None
    )
    refusal: Refused | None = strawberry.field(
        description="Why the server refused the answer. Null unless `outcome` is REFUSED.", default=None
    )


@strawberry.type(description="The outcomes of a batch of answers.")
class AnswerAssignmentsPayload:
    results: list[AnswerResult] = strawberry.field(description="One result per answer, in the order of the answers.")


@strawberry.type(
    description="An item of a phone's outbox that refers to a record the server does not have yet. The server keeps "
    "the item until that record arrives (暂存操作)."
)
class HeldOperation:
    id: strawberry.ID = strawberry.field(description="Id of the item, created by the phone.")
    operation: str = strawberry.field(
        description="Name of the mutation that sent the item, such as `answerAssignments`."
    )
    held_since: datetime = strawberry.field(description="When the server received the item.")
    held_until: datetime = strawberry.field(
        description="End of the wait. If the record has not arrived by then, the server refuses the item."
    )
    waits_for: strawberry.ID = strawberry.field(description="Id of the record that the item waits for (所等待的记录).")
    refusal: Refused | None = strawberry.field(
        description="Why the server refused the item after the wait. Null while the item waits.", default=None
    )


@dataclass(frozen=True)
class StoredAnswer:
    """An answer as it is stored. If it was refused, `refused_as` is the refusal's code and `reason` its message."""

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
    capacity: Capacity | None = None
    """In which capacity the sender answered. None for answers that are older than this field."""

    def with_outcome(self, refusal: Refusal | None) -> "StoredAnswer":
        """Return a copy in state SETTLED if `refusal` is None, otherwise in state REFUSED with that refusal."""
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


def to_stored_answer(
    answer: AssignmentAnswer, *, user_id: str, capacity: Capacity, now: datetime, field: str
) -> StoredAnswer:
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
        capacity=capacity,
    )


def must_wait(answer: StoredAnswer, assignment: Assignment | None) -> bool:
    """Return whether the answer can't be applied yet.

    An answer waits while its assignment is missing. A FINISH also waits until the assignment is accepted.
    Someone else's assignment counts as missing.
    """
    if assignment is None or assignment.assignee_id != answer.user_id:
        return True
    return answer.kind is AnswerKind.FINISH and assignment.state is AssignmentState.OFFERED


def is_already_applied(answer: StoredAnswer, assignment: Assignment) -> bool:
    """Return whether the assignment is already accepted (for an ACCEPT) or finished (for a FINISH).

    A finished assignment keeps its first result. A later FINISH with another result counts as applied.
    """
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
