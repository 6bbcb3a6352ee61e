"""Offer the operations on flags (疑点标记). The author of a flagged observation never sees its flags."""

from typing import Annotated

import strawberry

from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.graphql.loaders import Loader, group_by_key
from api.graphql.nodes import RecordKind, first_or_none
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.checks import flags
from schema.checks.flag_messages import FlagCode
from schema.checks.flags import MAX_REVIEWS, Flag, FlagReview, FlagState, FlagVerdict
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.replays import check_replay
from schema.core.texts import MAX_NOTE, check_text
from storage.access import visibility
from storage.checks.flags import keyset_of
from storage.mongodb.client import Document
from storage.mongodb.filters import all_of


@strawberry.input(description="Filter of flags. All given conditions must match.")
class FlagFilter:
    states: list[FlagState] | None = strawberry.field(description="Only flags in one of these states.", default=None)
    codes: list[FlagCode] | None = strawberry.field(description="Only flags with one of these codes.", default=None)
    verdicts: list[FlagVerdict] | None = strawberry.field(
        description="Only flags with one of these verdicts.", default=None
    )
    observation_id: strawberry.ID | None = strawberry.field(description="Only flags of this observation.", default=None)


@strawberry.input(description="A review of a flag (核查结论).")
class ReviewFlagInput:
    id: strawberry.ID = strawberry.field(
        description="Created by the caller: evt_ and a UUIDv7. Send the same id with every retry."
    )
    flag_id: strawberry.ID = strawberry.field(description="The flag to review.")
    verdict: FlagVerdict = strawberry.field(description="The verdict.")
    note: str = strawberry.field(description="Reason, 1 to 2,000 characters.")
    instead_of: strawberry.ID | None = strawberry.field(
        description="Id of the current review, which the new review replaces. Leave the id out if the flag is OPEN.",
        default=None,
    )


@strawberry.type(description="The flag after a review.")
class FlagPayload:
    flag: Flag = strawberry.field(description="The flag.")


FlagResult = Annotated[
    FlagPayload | Refused,
    strawberry.union("FlagResult", description="The flag after the review, or the reason for the refusal."),
]


def _filter_of(wanted: FlagFilter) -> Document:
    parts: list[Document] = []
    for name, values in (("state", wanted.states), ("code", wanted.codes), ("verdict", wanted.verdicts)):
        if values is not None:
            parts.append({name: {"$in": [value.value for value in values]}})
    if wanted.observation_id is not None:
        parts.append({"observation_id": validate_id(wanted.observation_id, "obs", field="filter.observationId")})
    return dict(all_of(*parts))


@strawberry.type
class FlagQueries:
    @query(description="Flags of observations that belong to offices in the viewer's scope, newest first (疑点标记).")
    async def flags(
        self, info: Info, filter: FlagFilter | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Flag]:
        wanted = filter or FlagFilter()
        visible = visibility.flags(info.context.actor)
        return await paged(
            info.context,
            ("flags", repr(wanted)),
            first,
            after,
            lambda page: info.context.store.flags.page(all_of(visible, _filter_of(wanted)), page),
            keyset_of,
        )


@strawberry.type
class FlagMutations:
    @mutation(description="Review a flag (核查疑点). The author of the observation can't review it.")
    async def review_flag(self, info: Info, input: ReviewFlagInput) -> FlagResult:
        return FlagPayload(flag=await review(info.context, input))


async def review(context: Context, input: ReviewFlagInput) -> Flag:
    """Review a flag. A repeated request returns the flag as it is now.

    Raise `Refusal(WRONG_STATE)` if `input.instead_of` is not the current review, such as after a review by another
    person.
    """
    validate_id(input.id, "evt", field="id")
    id, note = validate_id(input.flag_id, "flg", field="flagId"), check_text(input.note, MAX_NOTE, "note")
    flag = await _visible_flag(context, id)
    if known := _known(flag, input):
        return known
    if len(flag.reviews) >= MAX_REVIEWS:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"A flag has at most {MAX_REVIEWS} reviews.", field="flagId")
    new_review = FlagReview(
        id=input.id,
        verdict=input.verdict,
        note=note,
        at=context.now,
        by_id=context.actor.user_id,
        sent_sha256=digest_of(input),
        by_capacity=context.actor.capacity,
    )
    reviewed = await context.store.flags.review(id, new_review, input.instead_of)
    if reviewed is None and (known := _known(await _visible_flag(context, id), input)):
        return known
    if reviewed is None:
        raise Refusal(
            RefusalCode.WRONG_STATE,
            "Another review is current. Read it, and pass its id as `insteadOf` to replace it.",
            field="insteadOf",
        )
    return reviewed


def _known(flag: Flag, input: ReviewFlagInput) -> Flag | None:
    """Return the flag if it already has this review. Raise `Refusal(CONFLICT)` if the review has other content."""
    same = next((review for review in flag.reviews if review.id == input.id), None)
    if same is None:
        return None
    check_replay(same.sent_sha256, digest_of(input))
    return flag


async def _visible_flag(context: Context, id: str) -> Flag:
    flags = await context.store.flags.many([id], visibility.flags(context.actor))
    if not flags:
        raise Refusal(RefusalCode.NOT_FOUND, field="flagId")
    return flags[0]


async def _find(context: Context, id: str) -> Flag | None:
    return first_or_none(await context.store.flags.many([id], visibility.flags(context.actor)))


async def _flags_of_observations(context: Context, ids: list[str]) -> list[list[Flag]]:
    flags = await context.store.flags.of_observations(ids, visibility.flags_of_observations(context.actor))
    return group_by_key(ids, ((flag.observation_id, flag) for flag in flags))


REGISTRATION = Registration(
    queries=(FlagQueries,),
    mutations=(FlagMutations,),
    kinds=(RecordKind("flg", _find, "Query.flags"),),
    loaders=(Loader(Flag, ("observation",), _flags_of_observations),),
    permits=flags.PERMITS,
)
