"""Define assignments (交办、派单).

An officer assigns a case, or a place to inspect, to a person. The person is responsible as soon as they accept the
assignment.
"""

import enum
from datetime import date, datetime

import strawberry

from schema.access.permissions import FOLLOWERS, OFFICERS, SEEN, Row, connection, only
from schema.access.viewers import UNKNOWN_COVERT, UNKNOWN_OPEN, Capacity, Owner, Role
from schema.accounts.users import User, load_named, show_time
from schema.casework.assignment_notes import AssignmentNote, NoteEdit, NoteField, merge_edits
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
        "OFFERED",
        description="The assignee has not accepted yet. Until then, the person responsible does not change (待签收).",
    )
    ACCEPTED = strawberry.enum_value("ACCEPTED", description="The assignee has accepted and is responsible (已签收).")
    HANDED_ON = strawberry.enum_value(
        "HANDED_ON",
        description="The assignee offered the work to another person, and that person has accepted (已转办).",
    )
    FINISHED = strawberry.enum_value("FINISHED", description="The assignee has finished the work (已完成).")
    WITHDRAWN = strawberry.enum_value(
        "WITHDRAWN", description="An officer withdrew the assignment before the assignee accepted (已撤回)."
    )


MOVES: dict[AssignmentState, frozenset[AssignmentState]] = {
    AssignmentState.OFFERED: frozenset({AssignmentState.ACCEPTED, AssignmentState.WITHDRAWN}),
    AssignmentState.ACCEPTED: frozenset({AssignmentState.HANDED_ON, AssignmentState.FINISHED}),
    AssignmentState.HANDED_ON: frozenset(),
    AssignmentState.FINISHED: frozenset(),
    AssignmentState.WITHDRAWN: frozenset(),
}

LIVE = frozenset({AssignmentState.OFFERED, AssignmentState.ACCEPTED})

OPENS_CASE = LIVE | {AssignmentState.FINISHED}
"""States in which an assignment lets its assignee read the case and its evidence, in every scope.

Rule 2 (首问负责制): a person who has handed the case on is no longer responsible for it. A person whose offer was
withdrawn never was. A person who finished an assignment is still responsible for its result.
"""

ASSIGNEES: dict[AssignmentKind, frozenset[Role]] = {
    AssignmentKind.CASE: frozenset({Role.SUPERVISOR, Role.OFFICER, Role.INSPECTOR}),
    AssignmentKind.INSPECTION: frozenset({Role.SUPERVISOR, Role.INSPECTOR}),
}
"""For each kind of assignment: an assignee must have one of these roles."""


@strawberry.type(description="A case, or a place to inspect, that is assigned to a person (交办).")
class Assignment(Node, prefix="asg"):
    kind: AssignmentKind = strawberry.field(description="Whether a case or an inspection is assigned.")
    state: AssignmentState = strawberry.field(description="State of the assignment.")
    note: str | None = strawberry.field(description="What the assignee is asked to do (交办要求).", default=None)
    due_on: date | None = strawberry.field(description="Deadline, as a date in Beijing time (办理期限).", default=None)
    offered_at: datetime = strawberry.field(description="When the assignment was offered to the assignee.")
    accepted_at: strawberry.Private[datetime | None] = None
    ended_at: strawberry.Private[datetime | None] = None
    result: str | None = strawberry.field(
        description="Result that the assignee gave when finishing the assignment.", default=None
    )
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
    assignee_capacity: strawberry.Private[Capacity | None] = None
    offered_by_capacity: strawberry.Private[Capacity | None] = None
    """Both are None for assignments that are older than these fields."""

    @strawberry.field(name="acceptedAt", description="When the assignee accepted the assignment.")
    def shown_accepted_at(self, info: Info) -> datetime | None:
        return self._shown_time(info, self.accepted_at)

    @strawberry.field(name="endedAt", description="When the assignment was finished, handed on or withdrawn.")
    def shown_ended_at(self, info: Info) -> datetime | None:
        return self._shown_time(info, self.ended_at)

    def _shown_time(self, info: Info, at: datetime | None) -> datetime | None:
        """Cut the time to the minute if the viewer must not know the assignee, who may have answered several at once."""
        return show_time(info, at, self.assignee_id, self.assignee_capacity or UNKNOWN_COVERT) if at else None

    @strawberry.field(
        description="Notes of the assignee, one entry for each field that was ever edited (交办备注). CONTACT is left out"
        " except for the assignee and viewers with clearance."
    )
    def notes(self, info: Info) -> list[AssignmentNote]:
        """Return the notes. A contact on site (现场联系人) can tell where a covert person is known."""
        viewer, capacity = info.context.viewer, self.assignee_capacity
        office_path = capacity.office_path if capacity and capacity.office_path else self.office_path
        knows = viewer is not None and viewer.knows(Owner(self.assignee_id, office_path))
        return [note for note in merge_edits(self.note_edits) if knows or note.field is not NoteField.CONTACT]

    @strawberry.field(
        description="The person to whom the work is assigned. Null if the viewer must not know this person (承办人)."
    )
    async def assignee(self, info: Info) -> User | None:
        return await load_named(info, self.assignee_id, self.assignee_capacity or UNKNOWN_COVERT)

    @strawberry.field(description="The person who offered the assignment (交办人).")
    async def offered_by(self, info: Info) -> User | None:
        return await load_named(info, self.offered_by_id, self.offered_by_capacity or UNKNOWN_OPEN)

    @strawberry.field(description="The assigned case. Null for an inspection, or if the viewer must not see the case.")
    async def case(self, info: Info) -> Case | None:
        return await info.context.load.one(Case, self.case_id)

    @strawberry.field(description="The place to inspect. Null if a case is assigned.")
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
