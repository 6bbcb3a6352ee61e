"""Offer the operations on cases (案件)."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from api.casework.case_opening import OpenCaseInput, open_case
from api.casework.case_transitions import LinkObservationsInput, MoveCaseInput, link, move, unlink
from api.casework.loaders import LOADERS
from api.graphql.context import Context, Info
from api.graphql.lists import both, paged
from api.graphql.nodes import Pull, RecordKind, find_by_loader
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.casework import cases
from schema.casework.cases import Case, CaseState
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.refusals import Refused
from schema.organisation.units import Unit
from schema.sync.changes import ChangeKind
from storage.casework.cases import keyset_of
from storage.mongodb.client import Document
from storage.mongodb.filters import NOTHING, all_of, one_of, within


@strawberry.type(description="The case as it is now.")
class CasePayload:
    case: Case = strawberry.field(description="The case.")


@strawberry.input(description="Filter of cases. All given conditions must match.")
class CaseFilter:
    states: list[CaseState] | None = strawberry.field(description="In any of these states.", default=None)
    unit_id: strawberry.ID | None = strawberry.field(description="About this unit or a unit below it.", default=None)
    monitoring_point_id: strawberry.ID | None = strawberry.field(
        description="About this monitoring point.", default=None
    )
    office_id: strawberry.ID | None = strawberry.field(description="Handled by this office.", default=None)


CaseResult = Annotated[
    CasePayload | Refused,
    strawberry.union("CaseResult", description="The case as it is now, or the reason for the refusal."),
]


@strawberry.type
class CaseQueries:
    @query(description="One case. Null if it does not exist or the viewer may not see it.")
    async def case(self, info: Info, id: strawberry.ID) -> Case | None:
        return await info.context.load.one(Case, validate_id(id, "cas", field="id"))

    @query(description="Cases that the viewer may see, sorted by time of opening, newest first.")
    async def cases(
        self, info: Info, filter: CaseFilter | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Case]:
        wanted = filter or CaseFilter()
        visible, asked = await both(info.context.visible.cases(), _filter_of(info, wanted))
        visible_filter = all_of(visible, asked)
        return await paged(
            info.context,
            ("cases", repr(wanted)),
            first,
            after,
            lambda page: info.context.store.cases.page(visible_filter, page),
            keyset_of,
        )


@strawberry.type
class CaseMutations:
    @mutation(
        description="Open a case from observations or a complaint. The case gets the next case number of the viewer's"
        " office (立案)."
    )
    async def open_case(self, info: Info, input: OpenCaseInput) -> CaseResult:
        return CasePayload(case=await open_case(info.context, input))

    @mutation(
        description="Link observations to a case (并案). Observations that are already linked stay linked. The case must"
        " not be closed or declined."
    )
    async def link_observations(self, info: Info, input: LinkObservationsInput) -> CaseResult:
        return CasePayload(case=await link(info.context, input))

    @mutation(
        description="Unlink observations from a case. The case must not be closed or declined, and must keep at least"
        " one observation."
    )
    async def unlink_observations(self, info: Info, input: LinkObservationsInput) -> CaseResult:
        return CasePayload(case=await unlink(info.context, input))

    @mutation(description="Move a case to its next state: accept, decline, rectify, verify, close, reopen (办理).")
    async def move_case(self, info: Info, input: MoveCaseInput) -> CaseResult:
        return CasePayload(case=await move(info.context, input))


async def _filter_of(info: Info, wanted: CaseFilter) -> Document:
    parts: list[Document] = []
    if wanted.states is not None:
        parts.append({"state": one_of(wanted.states)})
    if wanted.unit_id is not None:
        unit = await info.context.load.one(Unit, validate_id(wanted.unit_id, "unt", field="filter.unitId"))
        parts.append(dict(within("unit_path", [unit.path]) if unit else NOTHING))
    for name, prefix, id in (
        ("monitoring_point_id", "pnt", wanted.monitoring_point_id),
        ("office_id", "unt", wanted.office_id),
    ):
        if id is not None:
            parts.append({name: validate_id(id, prefix, field="filter")})
    return dict(all_of(*parts))


async def _assigned_cases(context: Context, ids: Sequence[str]) -> list[Case]:
    granted = set(await context.visible.granted_cases())
    visible = await context.visible.cases()
    return await context.store.cases.many([id for id in ids if id in granted], visible)


REGISTRATION = Registration(
    queries=(CaseQueries,),
    mutations=(CaseMutations,),
    kinds=(RecordKind("cas", find_by_loader(Case), "Query.case", Pull(ChangeKind.CASE, _assigned_cases)),),
    loaders=LOADERS,
    permits=cases.PERMITS,
)
