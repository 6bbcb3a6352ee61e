"""Offer the queries and mutations of redactions (脱敏发布)."""

from typing import Annotated

import strawberry

from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.graphql.nodes import RecordKind, first_or_none
from api.media.loaders import find_media
from api.publication.loaders import LOADERS
from api.publication.redaction_review import (
    ApproveRedactionInput,
    CorrectRedactionInput,
    RejectRedactionInput,
    RequestRedactionInput,
    approve,
    correct,
    reject,
    request,
)
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.refusals import Refused
from schema.publication import redactions
from schema.publication.redactions import Redaction, RedactionState
from storage.access import visibility
from storage.mongodb.client import Document
from storage.mongodb.filters import all_of, one_of, within
from storage.publication.redactions import keyset_of


@strawberry.type(description="The redaction as it is now.")
class RedactionPayload:
    redaction: Redaction = strawberry.field(description="The redaction.")


RedactionResult = Annotated[
    RedactionPayload | Refused,
    strawberry.union("RedactionResult", description="The redaction as it is now, or the reason for the refusal."),
]


@strawberry.type
class RedactionQueries:
    @query(description="One redaction. Null if it does not exist or you may not see it.")
    async def redaction(self, info: Info, id: strawberry.ID) -> Redaction | None:
        return await _find(info.context, validate_id(id, "red", field="id"))

    @query(description="Redactions of the offices in your scope, sorted by time of request, newest first.")
    async def redactions(
        self,
        info: Info,
        states: list[RedactionState] | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[Redaction]:
        in_states: Document = {"state": one_of(states)} if states is not None else {}
        in_scope = within("office_path", info.context.actor.scopes)
        return await paged(
            info.context,
            ("redactions", repr(states)),
            first,
            after,
            lambda page: info.context.store.redactions.page(all_of(in_scope, in_states), page),
            keyset_of,
        )


@strawberry.type
class RedactionMutations:
    @mutation(description="Request a redacted copy of a photo. The worker then looks for faces (申请脱敏).")
    async def request_redaction(self, info: Info, input: RequestRedactionInput) -> RedactionResult:
        return RedactionPayload(redaction=await request(info.context, input))

    @mutation(
        description="Set the boxes to cover. The worker then makes a new copy, which needs its own approval (修正遮盖框)."
    )
    async def correct_redaction(self, info: Info, input: CorrectRedactionInput) -> RedactionResult:
        return RedactionPayload(redaction=await correct(info.context, input))

    @mutation(
        description="Approve a copy that you have opened. You must not have requested or corrected it yourself (复核)."
    )
    async def approve_redaction(self, info: Info, input: ApproveRedactionInput) -> RedactionResult:
        return RedactionPayload(redaction=await approve(info.context, input))

    @mutation(description="Reject a copy, cancel a request, or withdraw an approval (不予发布、撤回).")
    async def reject_redaction(self, info: Info, input: RejectRedactionInput) -> RedactionResult:
        return RedactionPayload(redaction=await reject(info.context, input))


async def _find(context: Context, id: str) -> Redaction | None:
    redaction = first_or_none(await context.store.redactions.many([id], visibility.redactions(context.actor)))
    return redaction if redaction and await find_media(context, redaction.media_id) else None


REGISTRATION = Registration(
    queries=(RedactionQueries,),
    mutations=(RedactionMutations,),
    kinds=(RecordKind("red", _find, "Query.redaction"),),
    loaders=LOADERS,
    permits=redactions.PERMITS,
)
