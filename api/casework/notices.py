"""Offer the operations on rectification notices (整改督办通知书)."""

from typing import Annotated

import strawberry

from api.casework.notice_issue import IssueNoticeInput, issue
from api.casework.notice_steps import NoticeStepInput, take_step
from api.graphql.context import Info
from api.graphql.lists import paged
from api.graphql.nodes import RecordKind, find_by_loader
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.casework import notices
from schema.casework.notices import Notice, NoticeState
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.refusals import Refused
from schema.media.uploads import UploadSlot
from storage.casework.notices import keyset_of
from storage.mongodb.client import Document
from storage.mongodb.filters import all_of, one_of


@strawberry.type(description="The notice as it is now.")
class NoticePayload:
    notice: Notice = strawberry.field(description="The notice.")
    uploads: list[UploadSlot] = strawberry.field(
        description="For a reply: upload slots for its media that have not arrived.", default_factory=list
    )


@strawberry.input(description="Filter of rectification notices.")
class NoticeFilter:
    states: list[NoticeState] | None = strawberry.field(description="In any of these states.", default=None)


NoticeResult = Annotated[
    NoticePayload | Refused,
    strawberry.union("NoticeResult", description="The notice as it is now, or the reason for the refusal."),
]


@strawberry.type
class NoticeQueries:
    @query(
        description="Notices that the viewer may see, sorted by time of issue, newest first. A liaison sees those to "
        "units in scope."
    )
    async def notices(
        self, info: Info, filter: NoticeFilter | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Notice]:
        wanted = filter or NoticeFilter()
        states: Document = {"state": one_of(wanted.states)} if wanted.states is not None else {}
        visible = all_of(await info.context.visible.notices(), states)
        return await paged(
            info.context,
            ("notices", repr(wanted)),
            first,
            after,
            lambda page: info.context.store.notices.page(visible, page),
            keyset_of,
        )


@strawberry.type
class NoticeMutations:
    @mutation(
        description="Issue a rectification notice to a unit. The case is in RECTIFYING then, and can't be closed until "
        "the notice is verified or withdrawn (下达督办)."
    )
    async def issue_notice(self, info: Info, input: IssueNoticeInput) -> NoticeResult:
        return NoticePayload(notice=await issue(info.context, input))

    @mutation(description="Acknowledge a notice, for the unit's liaison (签收).")
    async def acknowledge_notice(self, info: Info, input: NoticeStepInput) -> NoticeResult:
        return await _take_step(info, input, NoticeState.ACKNOWLEDGED)

    @mutation(
        description="Reply to a notice, for the unit's liaison. When all open notices of the case have a reply, the case "
        "is in VERIFYING (回复整改)."
    )
    async def reply_to_notice(self, info: Info, input: NoticeStepInput) -> NoticeResult:
        return await _take_step(info, input, NoticeState.REPLIED)

    @mutation(
        description="Return a reply with a reason. The unit must reply again, and the case is in RECTIFYING (退回)."
    )
    async def return_notice(self, info: Info, input: NoticeStepInput) -> NoticeResult:
        return await _take_step(info, input, NoticeState.RETURNED)

    @mutation(
        description="Verify that the fault is put right. The caller wrote neither the notice nor an answer to it, and is "
        "not of the unit (核查销号)."
    )
    async def verify_notice(self, info: Info, input: NoticeStepInput) -> NoticeResult:
        return await _take_step(info, input, NoticeState.VERIFIED)

    @mutation(description="Withdraw a notice with a reason. The unit still sees it (撤回督办).")
    async def withdraw_notice(self, info: Info, input: NoticeStepInput) -> NoticeResult:
        return await _take_step(info, input, NoticeState.WITHDRAWN)


async def _take_step(info: Info, input: NoticeStepInput, to: NoticeState) -> NoticePayload:
    notice, uploads = await take_step(info.context, input, to)
    return NoticePayload(notice=notice, uploads=uploads)


REGISTRATION = Registration(
    queries=(NoticeQueries,),
    mutations=(NoticeMutations,),
    kinds=(RecordKind("ntc", find_by_loader(Notice), "Query.notices"),),
    permits=notices.PERMITS,
)
