"""Assignments (交办、派单): a case, or a place to inspect, given to a person, who answers for it once it is accepted.

How a case moves with its assignments is left to `storage/casework/assignments.py`, which changes both in one transaction.
"""

import enum
from datetime import date, datetime

import strawberry

from schema.access.permissions import FOLLOWERS, OFFICERS, SEEN, Row, connection, only
from schema.access.viewers import Role
from schema.accounts.users import User
from schema.casework.assignment_notes import AssignmentNote, NoteEdit, merged
from schema.casework.cases import Case
from schema.core.context import Info
from schema.core.nodes import Node
from schema.organisation.units import Unit

MAX_NOTE = 2_000


@strawberry.enum(description="What is given (交办类型).")
class AssignmentKind(enum.Enum):
    CASE = strawberry.enum_value("CASE", description="A case to follow up.")
    INSPECTION = strawberry.enum_value("INSPECTION", description="A place to inspect.")


@strawberry.enum(description="How far an assignment has come (交办状态).")
class AssignmentState(enum.Enum):
    OFFERED = strawberry.enum_value(
        "OFFERED", description="Given, not yet accepted: who gave it still answers (待签收)."
    )
    ACCEPTED = strawberry.enum_value("ACCEPTED", description="The assignee answers for it (已签收).")
    HANDED_ON = strawberry.enum_value("HANDED_ON", description="Another has accepted it from the assignee (已转办).")
    FINISHED = strawberry.enum_value("FINISHED", description="Done (已完成).")
    WITHDRAWN = strawberry.enum_value("WITHDRAWN", description="Taken back before it was accepted (已撤回).")


MOVES: dict[AssignmentState, frozenset[AssignmentState]] = {
    AssignmentState.OFFERED: frozenset({AssignmentState.ACCEPTED, AssignmentState.WITHDRAWN}),
    AssignmentState.ACCEPTED: frozenset({AssignmentState.HANDED_ON, AssignmentState.FINISHED}),
    AssignmentState.HANDED_ON: frozenset(),
    AssignmentState.FINISHED: frozenset(),
    AssignmentState.WITHDRAWN: frozenset(),
}

LIVE = frozenset({AssignmentState.OFFERED, AssignmentState.ACCEPTED})

ASSIGNEES: dict[AssignmentKind, frozenset[Role]] = {
    AssignmentKind.CASE: frozenset({Role.SUPERVISOR, Role.OFFICER, Role.INSPECTOR}),
    AssignmentKind.INSPECTION: frozenset({Role.SUPERVISOR, Role.INSPECTOR}),
}
"""To whom each kind may be given."""


@strawberry.type(description="A case, or a place to inspect, given to a person with a deadline (交办).")
class Assignment(Node):
    kind: AssignmentKind = strawberry.field(description="What is given.")
    state: AssignmentState = strawberry.field(description="How far it has come.")
    note: str | None = strawberry.field(description="What is asked (交办要求).", default=None)
    due_on: date | None = strawberry.field(description="Deadline, Beijing date (办理期限).", default=None)
    offered_at: datetime = strawberry.field(description="When it was given.")
    accepted_at: datetime | None = strawberry.field(
        description="When the assignee accepted the hand-over.", default=None
    )
    ended_at: datetime | None = strawberry.field(
        description="When it was finished, handed on or withdrawn.", default=None
    )
    result: str | None = strawberry.field(description="What came of it.", default=None)
    assignee_id: strawberry.Private[str]
    offered_by_id: strawberry.Private[str]
    office_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    case_id: strawberry.Private[str | None] = None
    unit_id: strawberry.Private[str | None] = None
    unit_path: strawberry.Private[str | None] = None
    handed_on_from_id: strawberry.Private[str | None] = None
    opening_sha256: strawberry.Private[str]
    note_edits: strawberry.Private[tuple[NoteEdit, ...]] = ()

    @strawberry.field(
        description="What its assignee notes of it; fields that were never edited are left out (交办备注)."
    )
    def notes(self) -> list[AssignmentNote]:
        return merged(self.note_edits)

    @strawberry.field(description="To whom it is given, where the viewer may know (承办人).")
    async def assignee(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.assignee_id)

    @strawberry.field(description="Who gave it (交办人).")
    async def offered_by(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.offered_by_id)

    @strawberry.field(description="The case, when it is one, where the viewer may see it.")
    async def case(self, info: Info) -> Case | None:
        return await info.context.load.one(Case, self.case_id)

    @strawberry.field(description="The place to inspect, when it is one.")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)


def states_before(target: AssignmentState) -> frozenset[AssignmentState]:
    """From which states an assignment may come to `target`."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)


PERMITS: tuple[Row, ...] = (
    ("Query", FOLLOWERS, "assignments"),
    ("Mutation", OFFICERS, "assign withdrawAssignment"),
    ("Mutation", FOLLOWERS, "acceptAssignment finishAssignment"),
    ("Mutation", only(Role.SUPERVISOR, Role.OFFICER), "handOnAssignment"),
    ("AssignmentPayload", SEEN, "assignment case"),
    ("Assignment", SEEN, "id kind state note dueOn offeredAt acceptedAt endedAt result assignee offeredBy case unit"),
    ("Assignment", SEEN, "notes"),
    *connection("Assignment"),
)
