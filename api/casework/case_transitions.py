"""Move cases, and link and unlink their observations. Each step is one conditional update or one transaction."""

from collections.abc import Sequence

import strawberry

from api.graphql.context import Context, check_batch_size
from schema.casework.cases import (
    MAX_OBSERVATIONS,
    Case,
    CaseEvent,
    CaseEventKind,
    CaseOutcome,
    CaseState,
    check_move,
    states_before,
)
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.replays import check_replay
from schema.core.texts import MAX_NOTE, check_length
from schema.fieldwork.observations import Observation
from storage.casework.cases import entry_without_state
from storage.mongodb.client import Document

MAX_HISTORY = 500
"""Number of steps in a case's history from which on no observation can be linked or unlinked.

A case is one document, and each step of linking or unlinking adds up to `MAX_LINKED` observation ids to it. Without a
limit, the document would become too large.
"""
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

    Raise `Refusal(LIMIT_EXCEEDED)` if the case would have more than 500 observations.
    """
    case, ids, entry, digest = await _prepare_linking(context, input, CaseEventKind.LINKED)
    linked = await context.store.cases.link(case.id, ids, entry, MAX_OBSERVATIONS)
    if linked is None:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"A case has at most {MAX_OBSERVATIONS} observations.")
    return _as_sent(context, linked, CaseEventKind.LINKED, input.id, digest)


async def unlink(context: Context, input: LinkObservationsInput) -> Case:
    """Unlink observations. An event that is already in the history changes nothing.

    Raise `Refusal(WRONG_STATE)` if the case would have no observation left.
    """
    case, ids, entry, digest = await _prepare_linking(context, input, CaseEventKind.UNLINKED)
    unlinked = await context.store.cases.unlink(case.id, ids, entry)
    if unlinked is None:
        raise Refusal(RefusalCode.WRONG_STATE, "A case has at least one observation.", field="observationIds")
    return _as_sent(context, unlinked, CaseEventKind.UNLINKED, input.id, digest)


async def _prepare_linking(
    context: Context, input: LinkObservationsInput, kind: CaseEventKind
) -> tuple[Case, list[str], Document, str]:
    """Return the case, the observations' ids, the history entry and the digest of the input.

    Raise `Refusal` if the input is invalid, if the viewer can't see the case or an observation, or if the case's
    history is full.
    """
    validate_id(input.id, "evt", field="id")
    check_length(input.note, MAX_NOTE, "note")
    check_batch_size(MAX_LINKED, input.observation_ids, "observationIds")
    case = await visible_case(context, input.case_id)
    if len(case.history) >= MAX_HISTORY and all(step.id != input.id for step in case.history):
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"A case has at most {MAX_HISTORY} steps. Open another case.")
    observations = await visible_observations(context, input.observation_ids)
    ids, digest = [str(observation.id) for observation in observations], digest_of(input)
    entry = noted(context, kind, id=input.id, note=input.note, about=ids, sent=digest)
    return case, ids, entry, digest


async def move(context: Context, input: MoveCaseInput) -> Case:
    """Move a case to another state. If the event is already in the history, return the case as it is now.

    Raise `Refusal(WRONG_STATE)` if the case's state does not allow the move.
    """
    validate_id(input.id, "evt", field="id")
    if input.to in BY_ASSIGNMENT:
        raise Refusal(
            RefusalCode.BAD_INPUT, "A case reaches this state by `assign` and `acceptAssignment`.", field="to"
        )
    check_move(input.to, reason=input.reason, outcome=input.outcome, reply=input.reply)
    case = await visible_case(context, input.case_id)
    closing, digest = input.to is CaseState.CLOSED, digest_of(input)
    fields: Document = {"closed_at": context.now if closing else None, "outcome": None}
    if closing and input.outcome:
        fields["outcome"] = input.outcome.value
    if input.reply:
        fields["reply"] = input.reply
    step = event(context, CaseEventKind.MOVED, input.to, id=input.id, note=input.reason, sent=digest)
    moved = await context.store.cases.move(case.id, sorted(states_before(input.to), key=str), step, fields)
    if moved is not None:
        return moved
    [known] = await context.store.cases.many([case.id])
    if all(step.id != input.id for step in known.history):
        raise Refusal(
            RefusalCode.WRONG_STATE, f"A case can't move from {known.state.value} to {input.to.value}.", field="to"
        )
    return _as_sent(context, known, CaseEventKind.MOVED, input.id, digest)


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
        id=strawberry.ID(id or context.new_id("evt")),
        kind=kind,
        at=context.now,
        state=state,
        note=note,
        by_id=context.actor.user_id,
        about_ids=tuple(about),
        sent_sha256=sent,
        by_capacity=context.actor.capacity,
    )


async def visible_case(context: Context, id: str) -> Case:
    """Return a case. Raise `Refusal(NOT_FOUND)` if the viewer can't see it.

    The case is not read by a loader, because a loader would cache the case as it was before the step.
    """
    case_id = validate_id(id, "cas", field="caseId")
    cases = await context.store.cases.many([case_id], await context.visible.cases())
    if not cases:
        raise Refusal(RefusalCode.NOT_FOUND, field="caseId")
    return cases[0]


async def visible_observations(context: Context, ids: Sequence[strawberry.ID]) -> list[Observation]:
    """Return the observations in the order of `ids`. Raise `Refusal(NOT_FOUND)` for the first that the viewer can't see."""
    check_batch_size(MAX_OBSERVATIONS, ids, "observationIds")
    observation_ids = [validate_id(id, "obs", field=f"observationIds.{index}") for index, id in enumerate(ids)]
    visible = await context.visible.observations()
    observations = {
        str(observation.id): observation
        for observation in await context.store.observations.many(observation_ids, visible)
    }
    for index, id in enumerate(observation_ids):
        if id not in observations:
            raise Refusal(RefusalCode.NOT_FOUND, field=f"observationIds.{index}")
    return [observations[id] for id in dict.fromkeys(observation_ids)]


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
