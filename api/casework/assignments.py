"""Offer the operations on assignments (交办)."""

from collections.abc import Sequence
from typing import Annotated

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
from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.graphql.nodes import Pull, RecordKind, find_by_loader
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.casework import assignments
from schema.casework.assignments import Assignment, AssignmentState
from schema.casework.cases import Case
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.refusals import Refused
from schema.sync.changes import ChangeKind
from storage.casework.assignments import keyset_of
from storage.mongodb.client import Document
from storage.mongodb.filters import all_of, one_of


@strawberry.type(description="The assignment as it is now, and its case.")
class AssignmentPayload:
    assignment: Assignment = strawberry.field(description="The assignment.")

    @strawberry.field(
        description="The assignment's case. Null for an inspection, or if the viewer may not see the case."
    )
    async def case(self, info: Info) -> Case | None:
        case_id = self.assignment.case_id
        return await info.context.load.one(Case, case_id) if case_id else None


@strawberry.input(description="Filter of assignments. All given conditions must match.")
class AssignmentFilter:
    states: list[AssignmentState] | None = strawberry.field(description="In any of these states.", default=None)
    mine: bool = strawberry.field(description="If true, only assignments of the viewer match.", default=False)


AssignmentResult = Annotated[
    AssignmentPayload | Refused,
    strawberry.union("AssignmentResult", description="The assignment as it is now, or the reason for the refusal."),
]


@strawberry.type
class AssignmentQueries:
    @query(description="Assignments that the viewer may see, sorted by time of offer, newest first.")
    async def assignments(
        self, info: Info, filter: AssignmentFilter | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Assignment]:
        wanted = filter or AssignmentFilter()
        states: Document = {"state": one_of(wanted.states)} if wanted.states is not None else {}
        mine: Document = {"assignee_id": info.context.actor.user_id} if wanted.mine else {}
        visible = await info.context.visible.assignments()
        return await paged(
            info.context,
            ("assignments", repr(wanted)),
            first,
            after,
            lambda page: info.context.store.assignments.page(all_of(visible, states, mine), page),
            keyset_of,
        )


@strawberry.type
class AssignmentMutations:
    @mutation(description="Assign a case, or a place to inspect, to a person (交办、派单).")
    async def assign(self, info: Info, input: AssignInput) -> AssignmentResult:
        return AssignmentPayload(assignment=await assign(info.context, input))

    @mutation(description="Accept an assignment. The caller is responsible from now on (签收).")
    async def accept_assignment(self, info: Info, input: StepAssignmentInput) -> AssignmentResult:
        return AssignmentPayload(assignment=await accept(info.context, input))

    @mutation(
        description="Hand an accepted assignment on to another person. The caller stays responsible until that person"
        " accepts (转办)."
    )
    async def hand_on_assignment(self, info: Info, input: HandOnAssignmentInput) -> AssignmentResult:
        return AssignmentPayload(assignment=await hand_on(info.context, input))

    @mutation(description="Finish an accepted assignment (完成).")
    async def finish_assignment(self, info: Info, input: FinishAssignmentInput) -> AssignmentResult:
        return AssignmentPayload(assignment=await finish(info.context, input))

    @mutation(
        description="Withdraw an assignment that was not accepted (撤回). For officers with its office in scope, and for"
        " the officer who holds the assignment that it hands on."
    )
    async def withdraw_assignment(self, info: Info, input: StepAssignmentInput) -> AssignmentResult:
        return AssignmentPayload(assignment=await withdraw(info.context, input))


async def _own_assignments(context: Context, ids: Sequence[str]) -> list[Assignment]:
    own: Document = {"assignee_id": context.actor.user_id}
    return await context.store.assignments.many(ids, all_of(own, await context.visible.assignments()))


REGISTRATION = Registration(
    queries=(AssignmentQueries,),
    mutations=(AssignmentMutations,),
    kinds=(
        RecordKind(
            "asg", find_by_loader(Assignment), "Query.assignments", Pull(ChangeKind.ASSIGNMENT, _own_assignments)
        ),
    ),
    permits=assignments.PERMITS,
)
