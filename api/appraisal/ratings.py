"""Offer the operations on ratings (满意度测评)."""

from datetime import date
from typing import Annotated

import strawberry

from api.appraisal.loaders import LOADERS
from api.appraisal.rating_submission import SubmitRatingsInput, SubmitRatingsPayload, submit_ratings
from api.graphql.context import Context, Info, unreadable_drafts
from api.graphql.lists import paged
from api.graphql.nodes import RecordKind, first_or_none
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.appraisal import rating_drafts, ratings
from schema.appraisal.ratings import Rating, check_month
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.refusals import Refused
from schema.organisation.units import Unit
from storage.access import visibility
from storage.appraisal.ratings import keyset_of, of_month
from storage.mongodb.client import Filter
from storage.mongodb.filters import NOTHING, all_of, within


@strawberry.input(description="Filter of ratings. All given conditions must match.")
class RatingFilter:
    unit_id: strawberry.ID | None = strawberry.field(
        description="Only ratings of this unit and the units below.", default=None
    )
    month: date | None = strawberry.field(
        description="Only ratings of one month, given by its first day.", default=None
    )
    mine: bool = strawberry.field(description="Whether to find only the viewer's own ratings.", default=False)


SubmitRatingsResult = Annotated[
    SubmitRatingsPayload | Refused,
    strawberry.union("SubmitRatingsResult", description="One result per draft, or the refusal of the whole batch."),
]


async def _filter_of(info: Info, wanted: RatingFilter) -> Filter:
    parts: list[Filter] = []
    if wanted.unit_id is not None:
        unit = await info.context.load.one(Unit, validate_id(wanted.unit_id, "unt", field="filter.unitId"))
        parts.append(within("unit_path", [unit.path]) if unit else NOTHING)
    if wanted.month is not None:
        check_month(wanted.month, field="filter.month")
        parts.append(of_month(wanted.month))
    if wanted.mine:
        parts.append({"rater_id": info.context.actor.user_id})
    return all_of(*parts)


@strawberry.type
class RatingQueries:
    @query(
        description="Ratings, sorted by month, newest first (满意度测评). Monitors see their own ratings. Supervisors and"
        " officers see the ratings of the offices in their scope. A viewer without clearance sees the ratings of other"
        " people only after the ratings are published."
    )
    async def ratings(
        self, info: Info, filter: RatingFilter | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Rating]:
        wanted = filter or RatingFilter()
        visible = visibility.ratings(info.context.actor, info.context.now)
        visible_filter = all_of(visible, await _filter_of(info, wanted))
        return await paged(
            info.context,
            ("ratings", repr(wanted)),
            first,
            after,
            lambda page: info.context.store.ratings.page(visible_filter, page),
            keyset_of,
        )


@strawberry.type
class RatingMutations:
    @mutation(
        description="Submit ratings of units (提交满意度测评). Each rating is accepted or refused independently, and may be"
        " sent again. A later rating of the same monitoring point, unit and month supersedes the earlier one. Both"
        " ratings are kept."
    )
    async def submit_ratings(self, info: Info, input: SubmitRatingsInput) -> SubmitRatingsResult:
        return await submit_ratings(info.context, input.drafts, unreadable_drafts(info))


async def _find(context: Context, id: str) -> Rating | None:
    return first_or_none(await context.store.ratings.many([id], visibility.ratings(context.actor, context.now)))


REGISTRATION = Registration(
    queries=(RatingQueries,),
    mutations=(RatingMutations,),
    kinds=(RecordKind("rat", _find, "Query.ratings"),),
    loaders=LOADERS,
    permits=(*ratings.PERMITS, *rating_drafts.PERMITS),
)
