"""Submit a batch of rating drafts, and give each draft its own result.

Data that the drafts need is loaded once. First ratings of a monitoring point, unit and month are stored together. A
rating that supersedes an earlier one needs a transaction of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import strawberry

from api.fieldwork.submission import author_of, readable_indexes
from api.graphql.context import Context, check_batch_size
from api.graphql.id_conflicts import ConflictingItem, store_conflicts
from api.graphql.item_isolation import run_isolated
from schema.appraisal.rating_drafts import MAX_RATINGS, RatingDraft, RatingResult, check_draft, new_rating
from schema.appraisal.ratings import Rating, month_end
from schema.catalogue.entries import CatalogueEntry, grades_of
from schema.checks.thresholds import Threshold, limits_of
from schema.core.digests import digest_of
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.drafts import Author, Outcome, UnreadableDraft
from schema.fieldwork.placement import Directory
from storage.mongodb.errors import DuplicateError

ATTEMPTS = 5
"""Maximum number of attempts to store a rating. An attempt fails if another rating of the same monitoring point,
unit and month is stored meanwhile."""


@strawberry.input(description="Ratings from a phone's outbox.")
class SubmitRatingsInput:
    drafts: list[RatingDraft] = strawberry.field(
        description="1 to 50 drafts. Each draft is accepted or refused independently."
    )


@strawberry.type(description="Outcome of each rating.")
class SubmitRatingsPayload:
    results: list[RatingResult] = strawberry.field(description="One result per draft, in the order of the drafts.")


@dataclass
class _RatingItem:
    """A draft of the batch and its result. The result is None until the draft is accepted or refused."""

    index: int
    draft: RatingDraft
    digest: str
    result: RatingResult | None = None

    @property
    def field(self) -> str:
        return f"drafts.{self.index}"

    def refuse(self, refusal: Refusal) -> None:
        self.result = RatingResult.refused(self.draft.id, refusal)


@dataclass(frozen=True)
class _KnownRatings:
    """The units, monitoring points, thresholds and grades that the drafts of a batch refer to."""

    directory: Directory
    settings: Sequence[Threshold]
    grades: Sequence[CatalogueEntry]


async def submit_ratings(
    context: Context, drafts: Sequence[RatingDraft], unreadable: Sequence[UnreadableDraft] = ()
) -> SubmitRatingsPayload:
    """Accept or refuse each draft. Raise `Refusal` only if the whole batch is invalid or the database fails."""
    check_batch_size(MAX_RATINGS, [*drafts, *unreadable], "drafts")
    author = author_of(context.actor)
    results = {
        draft.index: RatingResult.refused(draft.id, Refusal(RefusalCode.BAD_INPUT, draft.message, field=draft.field))
        for draft in unreadable
    }
    settling = [
        _RatingItem(index, draft, digest_of(draft))
        for index, draft in zip(readable_indexes(len(drafts), unreadable), drafts, strict=True)
    ]
    for item in settling:
        try:
            check_draft(item.draft, field=item.field)
        except Refusal as refusal:
            item.refuse(refusal)
    await _settle(context, author, [item for item in settling if item.result is None])
    results |= {item.index: item.result for item in settling if item.result}
    for result in results.values():
        if result.refusal:
            context.count_refusal(Refusal(result.refusal.code))
    return SubmitRatingsPayload(results=[results[index] for index in sorted(results)])


async def _settle(context: Context, author: Author, settling: Sequence[_RatingItem]) -> None:
    """Set the result of every draft.

    Drafts with an id that is already stored come first, then all first ratings together. The other ratings follow one
    by one, in the order of the drafts.
    """
    if settling:
        await _settle_known(context, author, settling)
    open_items = [item for item in settling if item.result is None]
    if not open_items:
        return
    known = await _load_known(context, author, [item.draft for item in open_items])
    rated = [(item, rating) for item in open_items if (rating := await _build_rating(context, author, known, item))]
    first_ratings = _first_ratings(rated)
    left_out = (await context.store.ratings.add([rating for _, rating in first_ratings])).duplicate_ids
    for item, rating in first_ratings:
        if rating.id not in left_out:
            item.result = RatingResult.of(rating, Outcome.ACCEPTED)
    for item, rating in rated:
        if item.result is None:
            try:
                await run_isolated(partial(_supersede, context, author, item, rating))
            except Refusal as refusal:
                if refusal.code is not RefusalCode.INTERNAL:
                    raise
                item.refuse(refusal)


async def _build_rating(context: Context, author: Author, known: _KnownRatings, item: _RatingItem) -> Rating | None:
    draft, path = item.draft, author.office_path

    async def build() -> Rating:
        return new_rating(
            draft,
            item.digest,
            author,
            known.directory.find_unit(draft.unit, context.actor.scopes),
            known.directory.find_own_point(draft.monitoring_point, author.user_id),
            # The time limit that is set at the end of the month applies. Late ratings appear together when the month
            # closes. A person who could move the limit while ratings arrive could see each rating on its own.
            limits=limits_of(known.settings, path, month_end(draft.month)),
            grades=grades_of(known.grades, path, draft.month),
            now=context.now,
            field=item.field,
        )

    try:
        return await run_isolated(build)
    except Refusal as refusal:
        item.refuse(refusal)
        return None


def _first_ratings(rated: Sequence[tuple[_RatingItem, Rating]]) -> list[tuple[_RatingItem, Rating]]:
    """Return the first rating of each id and of each monitoring point, unit and month.

    These ratings can be stored together. The others are stored after them, one by one.
    """
    ids: set[str] = set()
    keys: set[tuple[object, ...]] = set()
    first = []
    for item, rating in rated:
        key = (rating.monitoring_point_id, rating.unit_id, rating.month)
        if rating.id not in ids and key not in keys:
            first.append((item, rating))
        ids.add(rating.id)
        keys.add(key)
    return first


async def _supersede(context: Context, author: Author, item: _RatingItem, rating: Rating) -> None:
    """Store a rating that takes the place of an earlier rating.

    Raise `Refusal(UNAVAILABLE | BUSY)` if the database fails. Then the whole batch fails, and the phone sends all of it
    again.
    """
    for _ in range(ATTEMPTS):
        await _settle_known(context, author, [item])
        if item.result is not None:
            return
        try:
            stored = await context.store.ratings.supersede(rating)
        except DuplicateError:
            continue
        item.result = RatingResult.of(stored, Outcome.ACCEPTED)
        return
    item.refuse(Refusal(RefusalCode.BUSY))


async def _load_known(context: Context, author: Author, drafts: Sequence[RatingDraft]) -> _KnownRatings:
    store = context.store
    units = await store.units.named(sorted({draft.unit for draft in drafts}))
    points = await store.monitoring_points.named(sorted({draft.monitoring_point for draft in drafts}))
    settings = await store.thresholds.above(author.office_path)
    graded = any(draft.grade is not None for draft in drafts)
    grades = await store.catalogue.grades_above(author.office_path) if graded else []
    return _KnownRatings(Directory(units, points), settings, grades)


async def _settle_known(context: Context, author: Author, settling: Sequence[_RatingItem]) -> None:
    """Set the result of each draft whose id is already stored.

    The result is a duplicate if the rater and the content are the same, otherwise a conflict.
    """
    ratings = {rating.id: rating for rating in await context.store.ratings.many([item.draft.id for item in settling])}
    conflicts = []
    for item in settling:
        known = ratings.get(item.draft.id)
        if known and known.rater_id == author.user_id and known.sent_sha256 == item.digest:
            item.result = RatingResult.of(known, Outcome.DUPLICATE)
        elif known:
            conflicts.append(item)
    newcomers = [ConflictingItem(item.draft.id, item.draft, f"{item.field}.id") for item in conflicts]
    for item, refusal in zip(conflicts, await store_conflicts(context, newcomers), strict=True):
        item.refuse(refusal)
