"""Take the steps of rectification notices: acknowledge, reply, return, verify and withdraw."""

from collections.abc import Sequence

import strawberry

from api.casework.case_transitions import noted, require_room
from api.casework.notice_issue import notice_event
from api.casework.standing import acting_on
from api.graphql.context import Context
from api.media.deduplication import mark_duplicates_uploaded
from api.media.uploads import sign_slots
from schema.casework import standing
from schema.casework.cases import CaseEventKind
from schema.casework.notices import (
    BY_UNIT,
    MAX_EVIDENCE,
    MAX_HISTORY,
    WRITTEN,
    Notice,
    NoticeState,
    check_step,
    is_answerable,
)
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.replays import check_replay
from schema.media.media import Media
from schema.media.media_drafts import MediaDraft, is_same_medium, media_from_draft
from schema.media.uploads import UploadSlot
from storage.access.visibility import of_offices
from storage.mongodb.client import Document, Filter
from storage.mongodb.errors import DuplicateError
from storage.mongodb.filters import all_of, one_of, within

CASE_EVENTS = {
    NoticeState.REPLIED: CaseEventKind.NOTICE_REPLIED,
    NoticeState.RETURNED: CaseEventKind.NOTICE_RETURNED,
    NoticeState.VERIFIED: CaseEventKind.NOTICE_VERIFIED,
    NoticeState.WITHDRAWN: CaseEventKind.NOTICE_WITHDRAWN,
}
"""For each step that the history of the case tells: the kind of its entry. An acknowledgement changes no case."""
ENDS = frozenset({NoticeState.VERIFIED, NoticeState.WITHDRAWN})


@strawberry.input(description="A step of a rectification notice (督办).")
class NoticeStepInput:
    id: strawberry.ID = strawberry.field(
        description="Id of this step, created by the caller: evt_ and a UUIDv7. Send the same id with every retry."
    )
    notice_id: strawberry.ID = strawberry.field(description="The notice.")
    text: str | None = strawberry.field(
        description="The reply, up to 5,000 characters, or the reason, up to 2,000. Needed for a reply, a return and a "
        "withdrawal. The unit and the office both read it.",
        default=None,
    )
    media: list[MediaDraft] = strawberry.field(
        description="Evidence of a reply, up to 20 media. Upload them to the slots of the answer (整改材料).",
        default_factory=list,
    )


async def take_step(context: Context, input: NoticeStepInput, to: NoticeState) -> tuple[Notice, list[UploadSlot]]:
    """Move a notice to the state `to`, and return it with slots for the evidence that has not arrived.

    If its history already has the step, nothing changes.

    Raise `Refusal(WRONG_STATE)` if the notice's state does not allow the step, and `Refusal(OUT_OF_SCOPE)` if the step
    is not for the viewer: the unit answers, and the office decides, by a person who wrote neither notice nor answer.
    """
    validate_id(input.id, "evt", field="id")
    check_step(to, input.text)
    notice = await _visible_notice(context, input.notice_id)
    media = _parse_evidence(context, input, to)
    digest = digest_of(input)
    moved = _as_sent(context, notice, input, to, digest) or await _move(context, notice, input, to, digest, media)
    known = await context.store.media.many([medium.id for medium in media]) if media else []
    slots = await sign_slots(context, await mark_duplicates_uploaded(context, known)) if known else {}
    return moved, [slots[id] for id in (str(medium.id) for medium in media) if id in slots]


async def _move(
    context: Context, notice: Notice, input: NoticeStepInput, to: NoticeState, digest: str, media: Sequence[Media]
) -> Notice:
    condition = _condition(context, notice, to)
    if to is NoticeState.RETURNED:
        await _require_room(context, notice)
    fields: Document = {"ended_at": context.now} if to in ENDS else {}
    case_event = None
    if kind := CASE_EVENTS.get(to):
        note = None if to in BY_UNIT else input.text
        case_event = noted(context, kind, note=note, about=[str(notice.id)])
    new = await _new_evidence(context, media)
    ids = tuple(str(medium.id) for medium in media)
    event = notice_event(context, input.id, to, input.text, digest, ids)
    sweep_at = context.now + context.settings.sweep_after
    try:
        moved = await context.store.notices.step(notice.id, event, fields, condition, case_event, new, sweep_at)
    except DuplicateError:  # another request has stored one of the media since
        raise Refusal(RefusalCode.BUSY) from None
    if moved is not None:
        return moved
    [now] = await context.store.notices.many([notice.id])
    if replayed := _as_sent(context, now, input, to, digest):
        return replayed
    raise Refusal(
        RefusalCode.WRONG_STATE, f"A notice can't move from {now.state.value} to {to.value}.", field="noticeId"
    )


def _parse_evidence(context: Context, input: NoticeStepInput, to: NoticeState) -> list[Media]:
    """Return the media of the step. Raise `Refusal` if the step takes none, or if one of them is invalid."""
    if input.media and to is not NoticeState.REPLIED:
        raise Refusal(RefusalCode.BAD_INPUT, "Only a reply has evidence.", field="media")
    if len(input.media) > MAX_EVIDENCE or len({draft.id for draft in input.media}) < len(input.media):
        raise Refusal(RefusalCode.BAD_INPUT, f"A reply has at most {MAX_EVIDENCE} different media.", field="media")
    return [
        media_from_draft(
            draft,
            observation_id=None,
            notice_id=input.notice_id,
            uploader_id=context.actor.user_id,
            now=context.now,
            max_bytes=context.settings.max_media_bytes,
            field=f"media.{number}",
        )
        for number, draft in enumerate(input.media)
    ]


async def _new_evidence(context: Context, media: Sequence[Media]) -> list[Media]:
    """Return the media that are not stored yet. Raise `Refusal(CONFLICT)` if an id belongs to another medium.

    A medium of an earlier reply to the same notice may be named again.
    """
    found = await context.store.media.many([medium.id for medium in media]) if media else []
    known = {str(medium.id): medium for medium in found}
    if any(medium.id in known and not is_same_medium(known[medium.id], medium) for medium in media):
        raise Refusal(RefusalCode.CONFLICT, field="media")
    return [medium for medium in media if medium.id not in known]


def _condition(context: Context, notice: Notice, to: NoticeState) -> Filter:
    """Return what the notice must match for the step. Raise `Refusal(OUT_OF_SCOPE)` if the step is not the viewer's."""
    actor, field = context.actor, "noticeId"
    if to in BY_UNIT:
        if not is_answerable(actor, notice.unit_path):
            raise Refusal(RefusalCode.OUT_OF_SCOPE, "Only the unit's liaison may answer this notice.", field=field)
        return within("unit_path", actor.scopes)
    acting_on(context, notice.office_path, standing.NOTICE, field)
    if notice.is_to_unit_of(actor):
        raise Refusal(RefusalCode.OUT_OF_SCOPE, "People of the unit decide nothing about its notices.", field=field)
    if to is not NoticeState.VERIFIED:
        return of_offices(actor)
    if notice.is_written_by(actor):
        detail = "Another person must verify: one who wrote neither the notice nor an answer to it."
        raise Refusal(RefusalCode.OUT_OF_SCOPE, detail, field=field)
    written = {"by_id": actor.user_id, "state": one_of(WRITTEN)}
    return all_of(of_offices(actor), {"history": {"$not": {"$elemMatch": written}}})


async def _visible_notice(context: Context, id: str) -> Notice:
    """Return a notice. Raise `Refusal(NOT_FOUND)` if the viewer can't see it."""
    notice_id = validate_id(id, "ntc", field="noticeId")
    found = await context.store.notices.many([notice_id], await context.visible.notices())
    if not found:
        raise Refusal(RefusalCode.NOT_FOUND, field="noticeId")
    return found[0]


async def _require_room(context: Context, notice: Notice) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` if the history of the notice or of its case is too long for another return."""
    if len(notice.history) >= MAX_HISTORY:
        detail = f"A notice has at most {MAX_HISTORY} steps. Withdraw it and issue another."
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail, field="noticeId")
    [case] = await context.store.cases.many([notice.case_id])
    require_room(case)


def _as_sent(context: Context, notice: Notice, input: NoticeStepInput, to: NoticeState, digest: str) -> Notice | None:
    """Return the notice if its history has the step, otherwise None.

    Raise `Refusal(CONFLICT)` if the step in the history differs from what the caller sent.
    """
    known = next((event for event in notice.history if event.id == input.id), None)
    if known is None:
        return None
    check_replay((known.state, known.sent_sha256, known.by_id), (to, digest, context.actor.user_id))
    return notice
