"""Offer the operations on observations (巡查记录)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import strawberry

from api.fieldwork.loaders import LOADERS
from api.fieldwork.revisions import ReviseObservationInput, ReviseObservationPayload, revise
from api.fieldwork.submission import SubmitObservationsInput, SubmitObservationsPayload, submit
from api.graphql.context import Context, Info, unreadable_drafts
from api.graphql.lists import both, paged
from api.graphql.nodes import Pull, RecordKind, find_by_loader
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.refusals import Refused
from schema.fieldwork import drafts, observations, submissions
from schema.fieldwork.observations import Category, Method, Observation, Placement, Severity
from schema.geography.positions import NearInput, validate_near
from schema.organisation.units import Unit
from schema.sync.changes import ChangeKind
from storage.fieldwork.observations import SHOWN, keyset_of
from storage.fieldwork.places import near, within_unit
from storage.mongodb.client import Document
from storage.mongodb.filters import NOTHING, all_of


@strawberry.input(description="Filter of observations. All given conditions must match.")
class ObservationFilter:
    unit_id: strawberry.ID | None = strawberry.field(description="About this unit or a unit below it.", default=None)
    monitoring_point_id: strawberry.ID | None = strawberry.field(
        description="About this monitoring point.", default=None
    )
    categories: list[Category] | None = strawberry.field(description="In any of these categories.", default=None)
    methods: list[Method] | None = strawberry.field(description="Made by any of these methods.", default=None)
    severities: list[Severity] | None = strawberry.field(description="Of any of these severities.", default=None)
    captured_from: datetime | None = strawberry.field(
        description="Captured at or after this time. Compared with `content.capturedAt`, the time by the device's"
        " clock, even if that clock was wrong (设备时钟).",
        default=None,
    )
    captured_before: datetime | None = strawberry.field(
        description="Captured before this time. Compared with `content.capturedAt`.", default=None
    )
    shown_from: datetime | None = strawberry.field(
        description="Shown time (`when`) at or after this time. Use it to list the observations of a day (显示时间).",
        default=None,
    )
    shown_before: datetime | None = strawberry.field(description="Shown time (`when`) before this time.", default=None)
    near: NearInput | None = strawberry.field(description="Position within this circle.", default=None)
    placement: Placement | None = strawberry.field(description="With this placement.", default=None)
    mine: bool = strawberry.field(description="If true, only the viewer's own observations match.", default=False)


async def _filter_of(info: Info, wanted: ObservationFilter) -> Document:
    parts: list[Document] = []
    if wanted.unit_id is not None:
        unit = await info.context.load.one(Unit, validate_id(wanted.unit_id, "unt", field="filter.unitId"))
        parts.append(dict(within_unit(unit.path) if unit else NOTHING))
    if wanted.monitoring_point_id is not None:
        parts.append(
            {"monitoring_point_id": validate_id(wanted.monitoring_point_id, "pnt", field="filter.monitoringPointId")}
        )
    for name, values in (("category", wanted.categories), ("method", wanted.methods), ("severity", wanted.severities)):
        if values is not None:
            parts.append({f"content.{name}": {"$in": [value.value for value in values]}})
    times = (
        ("content.captured_at", "$gte", wanted.captured_from),
        ("content.captured_at", "$lt", wanted.captured_before),
        (SHOWN, "$gte", wanted.shown_from),
        (SHOWN, "$lt", wanted.shown_before),
    )
    parts += [{name: {comparison: at}} for name, comparison, at in times if at is not None]
    if wanted.near is not None:
        circle = validate_near(wanted.near)
        parts.append(dict(near(circle.latitude, circle.longitude, circle.radius_metres)))
    if wanted.placement is not None:
        parts.append({"placement": wanted.placement.value})
    if wanted.mine:
        parts.append({"author_id": info.context.actor.user_id})
    return dict(all_of(*parts))


@strawberry.type
class ObservationQueries:
    @query(description="One observation. Null if it does not exist or the viewer may not see it.")
    async def observation(self, info: Info, id: strawberry.ID) -> Observation | None:
        return await info.context.load.one(Observation, validate_id(id, "obs", field="id"))

    @query(description="Observations that the viewer may see, sorted by time of receipt, newest first.")
    async def observations(
        self,
        info: Info,
        filter: ObservationFilter | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[Observation]:
        wanted = filter or ObservationFilter()
        visible, asked = await both(info.context.visible.observations(), _filter_of(info, wanted))
        visible_filter = all_of(visible, asked)
        return await paged(
            info.context,
            ("observations", repr(wanted)),
            first,
            after,
            lambda page: info.context.store.observations.page(visible_filter, page),
            keyset_of,
        )


SubmitObservationsResult = Annotated[
    SubmitObservationsPayload | Refused,
    strawberry.union(
        "SubmitObservationsResult", description="One result per draft, or the refusal of the whole batch."
    ),
]
ReviseObservationResult = Annotated[
    ReviseObservationPayload | Refused,
    strawberry.union(
        "ReviseObservationResult", description="The corrected observation, or the reason for the refusal."
    ),
]


@strawberry.type
class ObservationMutations:
    @mutation(
        description="Submit drafts from a phone's outbox (提交巡查记录). Each draft is accepted or refused independently"
        " and may be sent again."
    )
    async def submit_observations(self, info: Info, input: SubmitObservationsInput) -> SubmitObservationsResult:
        return await submit(info.context, input.drafts, input.device_clock, unreadable_drafts(info))

    @mutation(
        description="Correct one of the viewer's own observations by a new revision. Earlier revisions stay"
        " readable (更正). Refused while a case that rests on the observation is closed or declined."
    )
    async def revise_observation(self, info: Info, input: ReviseObservationInput) -> ReviseObservationResult:
        return await revise(info.context, input)


async def _own_observations(context: Context, ids: Sequence[str]) -> list[Observation]:
    own: Document = {"author_id": context.actor.user_id}
    return await context.store.observations.many(ids, all_of(own, await context.visible.observations()))


REGISTRATION = Registration(
    queries=(ObservationQueries,),
    mutations=(ObservationMutations,),
    kinds=(
        RecordKind(
            "obs", find_by_loader(Observation), "Query.observation", Pull(ChangeKind.OBSERVATION, _own_observations)
        ),
    ),
    loaders=LOADERS,
    permits=(*observations.PERMITS, *drafts.PERMITS, *submissions.PERMITS),
)
