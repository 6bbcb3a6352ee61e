"""Move cases, and link and unlink their observations. Each step is one conditional update or one transaction."""

from collections.abc import Collection, Sequence

import strawberry

from api.casework.deadlines import deadlines_after
from api.casework.standing import (
    acting_on,
    evidence_in_scope,
    refuse_without_standing,
    require_linkable,
    visible_case,
)
from api.graphql.context import Context, check_batch_size
from schema.access.standing import Standing
from schema.casework import standing
from schema.casework.case_moves import OPEN, check_move, states_before
from schema.casework.cases import MAX_OBSERVATIONS, Case, CaseEvent, CaseEventKind, CaseOutcome, CaseState
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.replays import check_replay
from schema.core.texts import MAX_NOTE, check_length
from schema.core.times import to_minute
from storage.access.visibility import of_offices
from storage.casework.cases import OpenNoticeError, entry_without_state
from storage.casework.deadlines import unchanged
from storage.casework.standing import Acting
from storage.mongodb.client import Document
from storage.mongodb.codecs import to_document

MAX_HISTORY = 500
"""Number of steps in a case's history from which on no step is possible that leads away from the end of the case.

A case is one document, and each list reads its history whole. One step of linking or unlinking adds up to `MAX_LINKED`
observation ids to it. A case may be assigned until its history is twice as long, because otherwise it could not end.
"""
AWAY_FROM_END = frozenset({CaseState.RECTIFYING, CaseState.REOPENED})
MAX_LINKED = 100
"""Maximum number of observations in one step of linking or unlinking."""
BY_ASSIGNMENT = frozenset({CaseState.ASSIGNED, CaseState.INVESTIGATING})
"""States that `moveCase` can't set. A case becomes ASSIGNED when it is assigned, and INVESTIGATING when the
assignment is accepted."""


@strawberry.input(description="Observations to link to a case, or to unlink from it.")
class LinkObservationsInput:
    id: strawberry.ID = strawberry.field(
        description="Id of this step, created by the caller: evt_ and a UUIDv7. Send the same id with every retry."
    )
    case_id: strawberry.ID = strawberry.field(description="The case.")
    observation_ids: list[strawberry.ID] = strawberry.field(description="1 to 100 observations.")
    note: str | None = strawberry.field(description="Reason for linking or unlinking.", default=None)


@strawberry.input(description="A step in a case's life (办理).")
class MoveCaseInput:
    id: strawberry.ID = strawberry.field(
        description="Id of this step, created by the caller: evt_ and a UUIDv7. Send the same id with every retry."
    )
    case_id: strawberry.ID = strawberry.field(description="The case.")
    to: CaseState = strawberry.field(
        description="The new state. Not ASSIGNED or INVESTIGATING: `assign` and `acceptAssignment` set these."
    )
    reason: str | None = strawberry.field(
        description="Reason for the step. Needed for DECLINED and REOPENED.", default=None
    )
    outcome: CaseOutcome | None = strawberry.field(description="Outcome of the case. Needed for CLOSED.", default=None)
    reply: str | None = strawberry.field(
        description="Reply to the person who raised the matter. Needed for CLOSED and DECLINED.", default=None
    )


async def link(context: Context, input: LinkObservationsInput) -> Case:
    """Link observations. An event that is already in the history changes nothing.

    Raise `Refusal(WRONG_STATE)` if the case has ended, and `Refusal(LIMIT_EXCEEDED)` if it would have more than 500
    observations.
    """
    kind, digest = CaseEventKind.LINKED, digest_of(input)
    case = await _case_to_link(context, input)
    if _has_event(case, input.id):
        return _as_sent(context, case, kind, input.id, digest)
    ids, entry, acting = await _prepare_linking(context, input, case, kind, digest, standing.LINK)
    with refuse_without_standing("caseId"):
        linked = await context.store.cases.link(
            case.id, ids, entry, MAX_OBSERVATIONS, acting, of_offices(context.actor)
        )
    if linked is None:
        await _require_open(context, case.id)
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"A case has at most {MAX_OBSERVATIONS} observations.")
    return _as_sent(context, linked, kind, input.id, digest)


async def unlink(context: Context, input: LinkObservationsInput) -> Case:
    """Unlink observations. An event that is already in the history changes nothing.

    Raise `Refusal(WRONG_STATE)` if the case has ended or would have no observation left.
    """
    kind, digest = CaseEventKind.UNLINKED, digest_of(input)
    case = await _case_to_link(context, input)
    if _has_event(case, input.id):
        return _as_sent(context, case, kind, input.id, digest)
    ids, entry, acting = await _prepare_linking(context, input, case, kind, digest, standing.UNLINK)
    with refuse_without_standing("caseId"):
        unlinked = await context.store.cases.unlink(case.id, ids, entry, acting, of_offices(context.actor))
    if unlinked is None:
        await _require_open(context, case.id)
        raise Refusal(RefusalCode.WRONG_STATE, "A case has at least one observation.", field="observationIds")
    return _as_sent(context, unlinked, kind, input.id, digest)


async def _case_to_link(context: Context, input: LinkObservationsInput) -> Case:
    """Return the case. Raise `Refusal` if the input is invalid or if the viewer can't see the case."""
    validate_id(input.id, "evt", field="id")
    check_length(input.note, MAX_NOTE, "note")
    check_batch_size(MAX_LINKED, input.observation_ids, "observationIds")
    return await visible_case(context, input.case_id)


async def _prepare_linking(
    context: Context,
    input: LinkObservationsInput,
    case: Case,
    kind: CaseEventKind,
    digest: str,
    admitted: Collection[Standing],
) -> tuple[list[str], Document, Acting]:
    """Return the observations' ids, the history entry and the condition under which the viewer may act.

    Raise `Refusal` if the viewer may not act on the case, if an observation is not in the viewer's scope, or if the
    case's history is full.
    """
    acting = acting_on(context, case.office_path, admitted, "caseId")
    require_room(case)
    observations = await evidence_in_scope(context, input.observation_ids)
    if kind is CaseEventKind.LINKED:
        require_linkable(observations)
    ids = [str(observation.id) for observation in observations]
    return ids, noted(context, kind, id=input.id, note=input.note, about=ids, sent=digest), acting


def require_room(case: Case, times: int = 1) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` if the case's history has `times * MAX_HISTORY` steps or more."""
    if len(case.history) >= times * MAX_HISTORY:
        detail = f"A case has at most {times * MAX_HISTORY} steps. Open another case."
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail, field="caseId")


async def _require_open(context: Context, id: str) -> None:
    """Raise `Refusal(WRONG_STATE)` if the case has ended. What an ended case rests on stays as it is."""
    [now] = await context.store.cases.many([id])
    if now.state not in OPEN:
        raise Refusal(
            RefusalCode.WRONG_STATE, f"The evidence of a {now.state.value} case stays as it is.", field="caseId"
        )


def _has_event(case: Case, event_id: str) -> bool:
    return any(step.id == event_id for step in case.history)


async def move(context: Context, input: MoveCaseInput) -> Case:
    """Move a case to another state. If the event is already in the history, return the case as it is now.

    Raise `Refusal(WRONG_STATE)` if the case's state does not allow the move or the outcome, or if a notice of the case is
    open.
    """
    validate_id(input.id, "evt", field="id")
    if input.to in BY_ASSIGNMENT:
        raise Refusal(
            RefusalCode.BAD_INPUT, "A case reaches this state by `assign` and `acceptAssignment`.", field="to"
        )
    check_move(input.to, reason=input.reason, outcome=input.outcome, reply=input.reply)
    case = await visible_case(context, input.case_id)
    digest = digest_of(input)
    if _has_event(case, input.id):
        return _as_sent(context, case, CaseEventKind.MOVED, input.id, digest)
    # No state can be set to RECEIVED. The update refuses that move.
    admitted = standing.MOVE.get(input.to, {Standing.IN_SCOPE})
    acting = acting_on(context, case.office_path, admitted, "caseId")
    if input.to in AWAY_FROM_END:
        # A matter that is proved must be rectified once, so that its case can end.
        require_room(case, times=2 if case.state is CaseState.INVESTIGATING else 1)
    fields = await _fields_after(context, case, input)
    step = event(context, CaseEventKind.MOVED, input.to, id=input.id, note=input.reason, sent=digest)
    with refuse_without_standing("caseId"):
        try:
            before = states_before(input.to, input.outcome)
            moved = await context.store.cases.move(case.id, before, step, fields, acting, unchanged(case.deadlines))
        except OpenNoticeError:
            detail = "A rectification notice of the case is open. Verify or withdraw it first."
            raise Refusal(RefusalCode.WRONG_STATE, detail, field="to") from None
    if moved is not None:
        return moved
    [known] = await context.store.cases.many([case.id])
    if not _has_event(known, input.id):
        if known.deadlines != case.deadlines:  # they were counted again meanwhile
            return await move(context, input)
        if known.state in states_before(input.to) - before:
            detail = "A matter that is proved must be rectified and verified before its case is closed."
            raise Refusal(RefusalCode.WRONG_STATE, detail, field="outcome")
        raise Refusal(
            RefusalCode.WRONG_STATE, f"A case can't move from {known.state.value} to {input.to.value}.", field="to"
        )
    return _as_sent(context, known, CaseEventKind.MOVED, input.id, digest)


async def _fields_after(context: Context, case: Case, input: MoveCaseInput) -> Document:
    """Return what the move sets besides the state."""
    closing = input.to is CaseState.CLOSED
    fields: Document = {"closed_at": context.now if closing else None, "outcome": None}
    if closing and input.outcome:
        fields["outcome"] = input.outcome.value
    if input.reply:
        fields["reply"] = input.reply
    if (deadlines := await deadlines_after(context, case, input.to)) is not None:
        fields["deadlines"] = [to_document(each) for each in deadlines]
    return fields


def _as_sent(context: Context, case: Case, kind: CaseEventKind, event_id: str, digest: str) -> Case:
    """Return the case. Raise `Refusal(CONFLICT)` if its event `event_id` differs from what the caller sent."""
    [step] = [step for step in case.history if step.id == event_id]
    check_replay((step.kind, step.sent_sha256, step.by_id), (kind, digest, context.actor.user_id))
    return case


def event(
    context: Context,
    kind: CaseEventKind,
    state: CaseState,
    *,
    id: str | None = None,
    note: str | None = None,
    about: Sequence[str] = (),
    sent: str | None = None,
) -> CaseEvent:
    return CaseEvent(
        id=strawberry.ID(id or context.new_id("evt", to_minute(context.now))),
        kind=kind,
        at=context.now,
        state=state,
        note=note,
        by_id=context.actor.user_id,
        about_ids=tuple(about),
        sent_sha256=sent,
        by_capacity=context.actor.capacity,
    )


def noted(
    context: Context,
    kind: CaseEventKind,
    *,
    id: str | None = None,
    note: str | None = None,
    about: Sequence[str] = (),
    sent: str | None = None,
) -> Document:
    """Return an event that does not change the case's state, as a document.

    The document has no `state`. The update that stores the event fills in the case's state at that moment.
    """
    return entry_without_state(event(context, kind, CaseState.RECEIVED, id=id, note=note, about=about, sent=sent))
