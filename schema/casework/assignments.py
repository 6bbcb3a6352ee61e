"""Define assignments (交办、派单).

An officer assigns a case, or a place to inspect, to a person. That person is responsible once they accept it.
"""

import enum
from datetime import date, datetime

import strawberry

from schema.access.permissions import FOLLOWERS, OFFICERS, SEEN, Row, connection, only
from schema.access.viewers import Role
from schema.accounts.users import User
from schema.casework.assignment_notes import AssignmentNote, NoteEdit, merge_edits
from schema.casework.cases import Case
from schema.core.context import Info
from schema.core.nodes import Node
from schema.organisation.units import Unit


@strawberry.enum(description="What is assigned (交办类型).")
class AssignmentKind(enum.Enum):
    CASE = strawberry.enum_value("CASE", description="A case to follow up.")
    INSPECTION = strawberry.enum_value("INSPECTION", description="A place to inspect.")


@strawberry.enum(description="State of an assignment (交办状态).")
class AssignmentState(enum.Enum):
    OFFERED = strawberry.enum_value(
        "OFFERED", description="Offered but not yet accepted. The previous person is still responsible (待签收)."
    )
    ACCEPTED = strawberry.enum_value("ACCEPTED", description="The assignee is responsible (已签收).")
    HANDED_ON = strawberry.enum_value(
        "HANDED_ON", description="Someone else has accepted it from the assignee (已转办)."
    )
    FINISHED = strawberry.enum_value("FINISHED", description="Finished (已完成).")
    WITHDRAWN = strawberry.enum_value("WITHDRAWN", description="Withdrawn before it was accepted (已撤回).")


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
"""Roles that each kind may be assigned to."""


@strawberry.type(description="A case, or a place to inspect, that is assigned to a person (交办).")
class Assignment(Node, prefix="asg"):
    kind: AssignmentKind = strawberry.field(description="What is assigned.")
    state: AssignmentState = strawberry.field(description="State.")
    note: str | None = strawberry.field(description="What the assignee is asked to do (交办要求).", default=None)
    due_on: date | None = strawberry.field(description="Deadline, Beijing date (办理期限).", default=None)
    offered_at: datetime = strawberry.field(description="When it was offered.")
    accepted_at: datetime | None = strawberry.field(description="When the assignee accepted it.", default=None)
    ended_at: datetime | None = strawberry.field(
        description="When it was finished, handed on or withdrawn.", default=None
    )
    result: str | None = strawberry.field(description="Result.", default=None)
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

    @strawberry.field(description="Notes of the assignee. A field that was never edited is left out (交办备注).")
    def notes(self) -> list[AssignmentNote]:
        return merge_edits(self.note_edits)

    @strawberry.field(description="The assignee, if the viewer may know them (承办人).")
    async def assignee(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.assignee_id)

    @strawberry.field(description="Who offered it (交办人).")
    async def offered_by(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.offered_by_id)

    @strawberry.field(description="The assigned case, if the viewer may see it.")
    async def case(self, info: Info) -> Case | None:
        return await info.context.load.one(Case, self.case_id)

    @strawberry.field(description="The assigned place to inspect.")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)


def states_before(target: AssignmentState) -> frozenset[AssignmentState]:
    """Return the states from which an assignment may move to `target`."""
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
