"""Assign, accept, hand on, finish and withdraw assignments.

Rule 2 (首问负责制): one person is always responsible, until another person has *accepted*. Each step changes the
assignment and its case in one transaction. A repeated step returns the same result.
"""

from collections.abc import Awaitable, Callable
from datetime import date

import strawberry

from api.casework.case_transitions import noted, require_room
from api.casework.held_answers import apply_held
from api.casework.standing import acting_on, refuse_without_standing, visible_case
from api.graphql.context import Context
from api.graphql.creation import create_once
from api.graphql.nodes import first_or_none
from api.graphql.scoped_units import unit_in_scope
from schema.access.viewers import capacity_of
from schema.accounts.users import User
from schema.casework import standing
from schema.casework.assignments import ASSIGNEES, Assignment, AssignmentKind, AssignmentState
from schema.casework.case_moves import ASSIGNABLE
from schema.casework.cases import CaseEventKind
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.replays import check_replay
from schema.core.texts import MAX_NOTE, check_length, check_text
from storage.casework.standing import Acting
from storage.mongodb.client import Filter


@strawberry.input(description="A new assignment: either a case to follow up, or a place to inspect.")
class AssignInput:
    id: strawberry.ID = strawberry.field(
        description="Id of the new assignment, created by the caller: asg_ and a UUIDv7."
    )
    assignee_id: strawberry.ID = strawberry.field(description="The person who gets the assignment.")
    case_id: strawberry.ID | None = strawberry.field(
        description="The case to follow up. Give either a case or a unit.", default=None
    )
    unit_id: strawberry.ID | None = strawberry.field(
        description="The place to inspect. Give either a case or a unit.", default=None
    )
    note: str | None = strawberry.field(
        description="What the assignee is asked to do, up to 2,000 characters.", default=None
    )
    due_on: date | None = strawberry.field(description="Deadline, Beijing date.", default=None)


@strawberry.input(description="An assignment to accept or withdraw.")
class StepAssignmentInput:
    id: strawberry.ID = strawberry.field(description="The assignment.")


@strawberry.input(description="An accepted assignment to hand on.")
class HandOnAssignmentInput:
    id: strawberry.ID = strawberry.field(description="Id of the new offer, created by the caller: asg_ and a UUIDv7.")
    assignment_id: strawberry.ID = strawberry.field(description="The assignment to hand on.")
    assignee_id: strawberry.ID = strawberry.field(description="The person who gets the assignment.")
    note: str | None = strawberry.field(
        description="Reason for handing the assignment on, up to 2,000 characters.", default=None
    )
    due_on: date | None = strawberry.field(
        description="Deadline, Beijing date. Default: the deadline of the assignment that is handed on.", default=None
    )


@strawberry.input(description="An assignment to finish.")
class FinishAssignmentInput:
    id: strawberry.ID = strawberry.field(description="The assignment.")
    result: str = strawberry.field(description="Result of the work, 1 to 2,000 characters.")


async def assign(context: Context, input: AssignInput) -> Assignment:
    validate_id(input.id, "asg", field="id")
    check_length(input.note, MAX_NOTE, "note")
    digest = digest_of(input)

    async def create() -> Assignment:
        office_id, office_path = context.actor.office_id, context.actor.office_path
        if office_id is None or office_path is None:
            raise Refusal(RefusalCode.FORBIDDEN, "Your account belongs to no office, so you can't assign anything.")
        kind = _kind(input)
        unit_id = unit_path = case_id = None
        acting = Acting({})
        if input.case_id is not None:
            case = await visible_case(context, input.case_id)
            acting = acting_on(context, case.office_path, standing.ASSIGN, "caseId")
            if case.state not in ASSIGNABLE:
                raise Refusal(RefusalCode.WRONG_STATE, f"A case that is {case.state.value} can't be assigned.")
            require_room(case, times=2)
            case_id = str(case.id)
        elif input.unit_id is not None:
            unit = await unit_in_scope(context, input.unit_id)
            unit_id, unit_path = str(unit.id), unit.path
        assignee = await _assignee(context, input.assignee_id, kind)
        offer = Assignment(
            id=input.id,
            kind=kind,
            state=AssignmentState.OFFERED,
            note=input.note,
            due_on=input.due_on,
            offered_at=context.now,
            assignee_id=assignee.id,
            offered_by_id=context.actor.user_id,
            office_id=office_id,
            office_path=office_path,
            case_id=case_id,
            unit_id=unit_id,
            unit_path=unit_path,
            opening_sha256=digest,
            assignee_capacity=capacity_of(assignee.roles, assignee.office_path),
            offered_by_capacity=context.actor.capacity,
        )
        return await _offer(context, offer, acting)

    return await _offer_once(context, input.id, digest, create)


async def hand_on(context: Context, input: HandOnAssignmentInput) -> Assignment:
    """Offer an accepted assignment to another person. The viewer stays responsible until that person accepts."""
    validate_id(input.id, "asg", field="id")
    check_length(input.note, MAX_NOTE, "note")
    digest = digest_of(input)

    async def create() -> Assignment:
        held = await _own_assignment(context, input.assignment_id, "assignmentId")
        if held.state is not AssignmentState.ACCEPTED:
            raise Refusal(RefusalCode.WRONG_STATE, f"An assignment that is {held.state.value} can't be handed on.")
        if held.case_id is not None:
            require_room(await visible_case(context, held.case_id))
        assignee = await _assignee(context, input.assignee_id, held.kind)
        offer = Assignment(
            id=input.id,
            kind=held.kind,
            state=AssignmentState.OFFERED,
            note=input.note,
            due_on=input.due_on or held.due_on,
            offered_at=context.now,
            assignee_id=assignee.id,
            offered_by_id=context.actor.user_id,
            office_id=held.office_id,
            office_path=held.office_path,
            case_id=held.case_id,
            unit_id=held.unit_id,
            unit_path=held.unit_path,
            handed_on_from_id=held.id,
            opening_sha256=digest,
            assignee_capacity=capacity_of(assignee.roles, assignee.office_path),
            offered_by_capacity=context.actor.capacity,
        )
        return await _offer(context, offer, Acting({}, context.actor.user_id))

    return await _offer_once(context, input.id, digest, create)


async def accept(context: Context, input: StepAssignmentInput) -> Assignment:
    offer = await _own_assignment(context, input.id, "id")
    event = noted(context, CaseEventKind.HAND_OVER_ACCEPTED, about=[str(offer.id)])
    accepted = await context.store.assignments.accept(offer.id, context.now, event)
    if accepted is None:
        return await _require_state(context, offer.id, AssignmentState.ACCEPTED)
    return await _after_held_answers(context, accepted)


async def finish(context: Context, input: FinishAssignmentInput) -> Assignment:
    check_text(input.result, MAX_NOTE, "result")
    assignment = await _own_assignment(context, input.id, "id")
    event = noted(context, CaseEventKind.FINISHED, note=input.result, about=[str(assignment.id)])
    ended = await context.store.assignments.finish(assignment.id, context.now, event, result=input.result)
    return ended or await _require_state(context, assignment.id, AssignmentState.FINISHED)


async def withdraw(context: Context, input: StepAssignmentInput) -> Assignment:
    """Withdraw an assignment that nobody has accepted.

    Officers whose scope has the office that gave the assignment may do so. A person who has offered to hand an
    assignment on may withdraw that offer, as long as the person holds the assignment.
    """
    offer = await _visible_assignment(context, input.id, await context.visible.assignments(), "id")
    acting = acting_on(context, offer.office_path, standing.WITHDRAW, "id")
    event = noted(context, CaseEventKind.WITHDRAWN, about=[str(offer.id)])
    with refuse_without_standing("id"):
        ended = await context.store.assignments.withdraw(offer.id, context.now, event, acting)
    return ended or await _require_state(context, offer.id, AssignmentState.WITHDRAWN)


async def _offer_once(
    context: Context, id: str, digest: str, create: Callable[[], Awaitable[Assignment]]
) -> Assignment:
    async def find() -> Assignment | None:
        return first_or_none(await context.store.assignments.many([id]))

    def check(known: Assignment) -> None:
        check_replay((known.opening_sha256, known.offered_by_id), (digest, context.actor.user_id))

    return await create_once(find, create, check)


async def _offer(context: Context, offer: Assignment, acting: Acting) -> Assignment:
    kind = CaseEventKind.HANDED_ON if offer.handed_on_from_id else CaseEventKind.ASSIGNED
    event = noted(context, kind, note=offer.note, about=[str(offer.id)])
    with refuse_without_standing("assignmentId"):
        offered = await context.store.assignments.offer(offer, event, acting)
    if offered is None:
        raise Refusal(RefusalCode.WRONG_STATE, "The case can't be assigned any more.")
    return await _after_held_answers(context, offered)


async def _after_held_answers(context: Context, assignment: Assignment) -> Assignment:
    """Apply the assignee's answers that wait on the server. Return the assignment as it is afterwards."""
    await apply_held(context.store, [assignment.id], context.now)
    [now] = await context.store.assignments.many([assignment.id])
    return now


def _kind(input: AssignInput) -> AssignmentKind:
    if (input.case_id is None) == (input.unit_id is None):
        raise Refusal(RefusalCode.BAD_INPUT, "Give either a case or a unit.", field="caseId")
    return AssignmentKind.CASE if input.case_id is not None else AssignmentKind.INSPECTION


async def _assignee(context: Context, id: str, kind: AssignmentKind) -> User:
    """Return the assignee.

    Raise `Refusal` if the person is unknown or outside the viewer's scope, or may not get assignments of this kind.
    """
    person = await context.load.one(User, validate_id(id, "usr", field="assigneeId"))
    if person is None or not person.active:
        raise Refusal(RefusalCode.NOT_FOUND, field="assigneeId")
    if ASSIGNEES[kind].isdisjoint(person.roles):
        raise Refusal(RefusalCode.BAD_INPUT, "This kind is not assigned to that role.", field="assigneeId")
    if not person.office_path or not context.actor.covers(person.office_path):
        raise Refusal(RefusalCode.OUT_OF_SCOPE, field="assigneeId")
    return person


async def _own_assignment(context: Context, id: str, field: str) -> Assignment:
    """Return the assignment. Raise `Refusal(NOT_FOUND)` if the viewer is not its assignee."""
    return await _visible_assignment(context, id, {"assignee_id": context.actor.user_id}, field)


async def _visible_assignment(context: Context, id: str, visible: Filter, field: str) -> Assignment:
    assignments = await context.store.assignments.many([validate_id(id, "asg", field=field)], visible)
    if not assignments:
        raise Refusal(RefusalCode.NOT_FOUND, field=field)
    return assignments[0]


async def _require_state(context: Context, id: str, state: AssignmentState) -> Assignment:
    """Return the assignment if it is already in `state`. Otherwise raise `Refusal(WRONG_STATE)`.

    Call this after an update to `state` changed nothing.
    """
    [assignment] = await context.store.assignments.many([id])
    if assignment.state is AssignmentState.OFFERED and state is AssignmentState.ACCEPTED:
        raise Refusal(
            RefusalCode.WRONG_STATE,
            "The case is closed, or the person who handed it on no longer holds it.",
            field="id",
        )
    if assignment.state is not state:
        raise Refusal(RefusalCode.WRONG_STATE, f"The assignment is {assignment.state.value}.", field="id")
    return assignment
