"""Issue rectification notices, and take their steps: acknowledge, reply, return, verify and withdraw."""

from collections.abc import Sequence
from datetime import date

import strawberry

from api.casework.case_transitions import noted, require_room
from api.casework.standing import acting_on, visible_case
from api.graphql.context import Context
from api.graphql.creation import create_once
from api.graphql.nodes import first_or_none
from api.media.announcements import expect_media
from api.media.deduplication import mark_duplicates_uploaded
from api.media.uploads import sign_slots
from schema.casework import standing
from schema.casework.cases import Case, CaseEventKind
from schema.casework.notices import (
    BY_UNIT,
    MAX_EVIDENCE,
    MAX_HISTORY,
    MAX_NOTICES,
    MAX_REQUIREMENTS,
    MAX_TITLE,
    WRITTEN,
    Notice,
    NoticeEvent,
    NoticeState,
    check_step,
    is_answerable,
    notice_number,
    states_before,
)
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.replays import check_replay
from schema.core.texts import check_text
from schema.core.times import BEIJING
from schema.media.media import Media
from schema.media.media_drafts import MediaDraft, media_from_draft
from schema.media.uploads import UploadSlot
from schema.organisation.units import Unit
from storage.access.visibility import of_offices
from storage.casework.notices import ISSUABLE
from storage.mongodb.client import Document, Filter
from storage.mongodb.filters import all_of, within

CASE_EVENTS = {
    NoticeState.REPLIED: CaseEventKind.NOTICE_REPLIED,
    NoticeState.RETURNED: CaseEventKind.NOTICE_RETURNED,
    NoticeState.VERIFIED: CaseEventKind.NOTICE_VERIFIED,
    NoticeState.WITHDRAWN: CaseEventKind.NOTICE_WITHDRAWN,
}
"""For each step that the history of the case tells: the kind of its entry. An acknowledgement changes no case."""
ENDS = frozenset({NoticeState.VERIFIED, NoticeState.WITHDRAWN})
ATTEMPTS = 5


@strawberry.input(description="A new rectification notice (整改督办通知书).")
class IssueNoticeInput:
    id: strawberry.ID = strawberry.field(description="Id of the new notice, created by the caller: ntc_ and a UUIDv7.")
    case_id: strawberry.ID = strawberry.field(description="The case. It is being investigated, rectified or verified.")
    unit_id: strawberry.ID | None = strawberry.field(
        description="The unit that must put the fault right. Default: the unit that the case is about.", default=None
    )
    title: str = strawberry.field(description="Title, 1 to 200 characters (标题).")
    requirements: str = strawberry.field(
        description="What the unit must put right, 1 to 5,000 characters. The unit reads this: do not name the source "
        "(整改要求)."
    )
    due_on: date = strawberry.field(description="Last day for the unit's reply, Beijing date. Today or later.")


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


async def issue(context: Context, input: IssueNoticeInput) -> Notice:
    """Issue a notice. A repeated request returns the notice as it is now.

    Raise `Refusal(WRONG_STATE)` if the case's state allows no notice, and `Refusal(LIMIT_EXCEEDED)` if it has too many.
    """
    validate_id(input.id, "ntc", field="id")
    title = check_text(input.title, MAX_TITLE, "title")
    requirements = check_text(input.requirements, MAX_REQUIREMENTS, "requirements")
    digest = digest_of(input)

    async def create() -> Notice:
        if input.due_on < context.now.astimezone(BEIJING).date():
            raise Refusal(RefusalCode.BAD_INPUT, "The last day for the reply has passed.", field="dueOn")
        case = await visible_case(context, input.case_id)
        acting = acting_on(context, case.office_path, standing.NOTICE, "caseId")
        require_room(case)
        unit = await _unit_to_notify(context, input.unit_id or case.unit_id)
        office = first_or_none(await context.store.units.many([case.office_id]))
        office_code = office.code if office else case.number.rsplit("-", 2)[0]
        year = context.now.astimezone(BEIJING).year

        def build_notice(sequence: int) -> Notice:
            return Notice(
                id=input.id,
                number=notice_number(office_code, year, sequence),
                year=year,
                sequence=sequence,
                title=title,
                requirements=requirements,
                due_on=input.due_on,
                state=NoticeState.ISSUED,
                issued_at=context.now,
                history=[_event(context, context.new_id("evt"), NoticeState.ISSUED, None, digest)],
                case_id=case.id,
                office_id=case.office_id,
                office_path=case.office_path,
                unit_id=unit.id,
                unit_path=unit.path,
                opening_sha256=digest,
            )

        event = noted(context, CaseEventKind.NOTICE_ISSUED, note=title, about=[str(input.id)])
        issued = await context.store.notices.issue(
            case.office_id, year, build_notice, event, acting.office, MAX_NOTICES
        )
        if issued is None:
            raise await _no_notice(context, case)
        return issued

    async def find() -> Notice | None:
        return first_or_none(await context.store.notices.many([input.id]))

    def check(known: Notice) -> None:
        check_replay((known.opening_sha256, known.history[0].by_id), (digest, context.actor.user_id))

    # If two requests create the office's counter of a new year at the same moment, one of them fails and tries again.
    return await create_once(find, create, check, attempts=ATTEMPTS)


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
    if media and notice.state in states_before(to):
        others, _ = await expect_media(context, media)
        if others:
            raise Refusal(RefusalCode.CONFLICT, field="media")
    ids = tuple(str(medium.id) for medium in media)
    event = _event(context, input.id, to, input.text, digest, ids)
    moved = await context.store.notices.step(notice.id, event, fields, condition, case_event)
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


def _condition(context: Context, notice: Notice, to: NoticeState) -> Filter:
    """Return what the notice must match for the step. Raise `Refusal(OUT_OF_SCOPE)` if the step is not the viewer's."""
    actor, field = context.actor, "noticeId"
    if to in BY_UNIT:
        if not is_answerable(actor, notice.unit_path):
            raise Refusal(RefusalCode.OUT_OF_SCOPE, "Only the unit's liaison may answer this notice.", field=field)
        return within("unit_path", actor.scopes)
    acting_on(context, notice.office_path, standing.NOTICE, field)
    if to is not NoticeState.VERIFIED:
        return of_offices(actor)
    if not notice.may_be_verified_by(actor):
        detail = "Another person must verify: one who wrote neither the notice nor an answer, and is not of the unit."
        raise Refusal(RefusalCode.OUT_OF_SCOPE, detail, field=field)
    written = {"by_id": actor.user_id, "state": {"$in": sorted(str(state.value) for state in WRITTEN)}}
    return all_of(of_offices(actor), {"history": {"$not": {"$elemMatch": written}}})


async def _visible_notice(context: Context, id: str) -> Notice:
    """Return a notice. Raise `Refusal(NOT_FOUND)` if the viewer can't see it."""
    notice_id = validate_id(id, "ntc", field="noticeId")
    found = await context.store.notices.many([notice_id], await context.visible.notices())
    if not found:
        raise Refusal(RefusalCode.NOT_FOUND, field="noticeId")
    return found[0]


async def _unit_to_notify(context: Context, unit_id: str | None) -> Unit:
    """Return the unit. Raise `Refusal` if none is given, or if it is not in the viewer's scope."""
    if unit_id is None:
        raise Refusal(RefusalCode.BAD_INPUT, "The case is about no unit, so name the unit.", field="unitId")
    unit = await context.load.one(Unit, validate_id(unit_id, "unt", field="unitId"))
    if unit is None or not context.actor.covers(unit.path):
        raise Refusal(RefusalCode.NOT_FOUND, field="unitId")
    return unit


async def _require_room(context: Context, notice: Notice) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` if the history of the notice or of its case is too long for another return."""
    if len(notice.history) >= MAX_HISTORY:
        detail = f"A notice has at most {MAX_HISTORY} steps. Withdraw it and issue another."
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail, field="noticeId")
    [case] = await context.store.cases.many([notice.case_id])
    require_room(case)


async def _no_notice(context: Context, case: Case) -> Refusal:
    """Return why no notice of the case was issued."""
    [now] = await context.store.cases.many([case.id])
    if now.state not in ISSUABLE:
        return Refusal(RefusalCode.WRONG_STATE, f"A case that is {now.state.value} gets no notice.", field="caseId")
    return Refusal(RefusalCode.LIMIT_EXCEEDED, f"A case has at most {MAX_NOTICES} notices.", field="caseId")


def _as_sent(context: Context, notice: Notice, input: NoticeStepInput, to: NoticeState, digest: str) -> Notice | None:
    """Return the notice if its history has the step, otherwise None.

    Raise `Refusal(CONFLICT)` if the step in the history differs from what the caller sent.
    """
    known = next((event for event in notice.history if event.id == input.id), None)
    if known is None:
        return None
    check_replay((known.state, known.sent_sha256, known.by_id), (to, digest, context.actor.user_id))
    return notice


def _event(
    context: Context, id: str, state: NoticeState, text: str | None, digest: str, media_ids: tuple[str, ...] = ()
) -> NoticeEvent:
    return NoticeEvent(
        id=strawberry.ID(id),
        state=state,
        at=context.now,
        text=text,
        by_id=context.actor.user_id,
        by_capacity=context.actor.capacity,
        sent_sha256=digest,
        media_ids=media_ids,
    )
