"""Ratings: handed in by monitors, read by them, and by supervisors and officers who don't learn who rated (满意度测评).

A batch settles in `rating_submission.py`; a list's visibility is `storage/access/visibility.py`.
"""

from datetime import date
from typing import Annotated

import strawberry

from api.appraisal.loaders import LOADERS
from api.appraisal.rating_submission import SubmitRatingsInput, SubmitRatingsPayload, submit_ratings
from api.graphql.context import Context, Info, unreadable_drafts
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


@strawberry.input(description="Which ratings; all that is given must hold.")
class RatingFilter:
    unit_id: strawberry.ID | None = strawberry.field(description="Of units in the subtree of this one.", default=None)
    month: date | None = strawberry.field(description="Of this month, named by its first day.", default=None)
    mine: bool = strawberry.field(description="Only one's own.", default=False)


SubmitRatingsResult = Annotated[
    SubmitRatingsPayload | Refused,
    strawberry.union("SubmitRatingsResult", description="Results, one for each draft; or the whole was refused."),
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
        description="Ratings by month, the latest first: one's own; for supervisors and officers those of offices in scope,"
        " without the clearance once their month is published (满意度测评)."
    )
    async def ratings(
        self, info: Info, filter: RatingFilter | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Rating]:
        wanted = filter or RatingFilter()
        seal = info.context.seal("ratings", repr(wanted))
        page = seal.page(first, after)
        visible = visibility.ratings(info.context.actor, info.context.now)
        found = await info.context.store.ratings.page(all_of(visible, await _filter_of(info, wanted)), page)
        return seal.connection(found, page, keyset_of)


@strawberry.type
class RatingMutations:
    @mutation(
        description="Hand in ratings of units (提交满意度测评). Each settles on its own, and may be sent again; a later one of"
        " the same point, unit and month supersedes the former, and both are kept."
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
