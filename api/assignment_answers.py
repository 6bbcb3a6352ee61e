"""Answers to assignments: kept first, then done as soon as what they belong to is there, by whoever comes to it.

That is the request itself, the one that gives or accepts the assignment, or the worker's sweep, which also finds what a
killed process left. Whether an assignment exists is told to nobody: one that is another's waits like one that is not there.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated

import strawberry
import structlog

from api.clocks import read_clock
from api.context import Context, Info, at_most, unreadable
from api.isolation import isolated
from api.submission import MOST_SET_ASIDE, NOT_KEPT, positions
from schema.assignment_answers import (
    HELD_FOR,
    LATE,
    MAX_ANSWERS,
    MOST_HELD,
    TOO_MANY,
    AnswerAssignmentsInput,
    AnswerAssignmentsPayload,
    AnswerKind,
    AnswerOutcome,
    AnswerResult,
    AnswerState,
    AssignmentAnswer,
    HeldOperation,
    StoredAnswer,
    holds,
    stored,
    waits,
)
from schema.assignments import Assignment, AssignmentState
from schema.cases import CaseEvent, CaseEventKind
from schema.digests import canonical
from schema.drafts import UnreadableDraft
from schema.follow_ups import CaseState
from schema.guards import mutation, query
from schema.ids import compose
from schema.refusals import NextStep, Refusal, RefusalCode, Refused
from storage.codecs import to_document
from storage.mongo import Document
from storage.store import Store

MOST_AT_ONCE = 500
log = structlog.get_logger(__name__)


async def answer_assignments(
    context: Context, input: AnswerAssignmentsInput, unreadable: Sequence[UnreadableDraft] = ()
) -> AnswerAssignmentsPayload:
    """Settle every answer; raises `Refusal` only for what concerns the batch as a whole."""
    at_most(MAX_ANSWERS, [*input.answers, *unreadable], "answers")
    await read_clock(context, input.device_clock, context.actor.user_id, context.actor.device_id)
    results = {
        each.index: _refused(context, each.id, Refusal(RefusalCode.BAD_INPUT, each.message, field=each.field))
        for each in unreadable
    }
    numbered = zip(positions(len(input.answers), unreadable), input.answers, strict=True)
    # An acceptance that stands behind its own conclusion in the batch goes first.
    for index, answer in sorted(numbered, key=lambda pair: pair[1].kind is AnswerKind.FINISH):
        try:
            results[index] = await isolated(partial(_settle, context, answer, f"answers.{index}"))
        except Refusal as refusal:
            results[index] = _refused(context, answer.id, refusal)
    return AnswerAssignmentsPayload(results=[results[index] for index in sorted(results)])


def _refused(context: Context, id: str | None, refusal: Refusal) -> AnswerResult:
    context.note(refusal)
    return AnswerResult(
        id=strawberry.ID(id) if id else None, outcome=AnswerOutcome.REFUSED, refusal=Refused.of(refusal)
    )


async def _settle(context: Context, sent: AssignmentAnswer, field: str) -> AnswerResult:
    store, user_id = context.store, context.actor.user_id
    answer = stored(sent, user_id=user_id, now=context.now, field=field)
    known = await store.assignment_answers.many([answer.id])
    if not known:
        if await store.assignment_answers.count_held(user_id) >= MOST_HELD:
            raise Refusal(RefusalCode.LIMIT_EXCEEDED, TOO_MANY, next_step=NextStep.RETRY_LATER)
        await store.assignment_answers.add([answer])
        # Another request may have been faster: whatever stands under the id now is what counts.
        known = await store.assignment_answers.many([answer.id])
    [kept] = known
    if (kept.user_id, kept.sha256) != (answer.user_id, answer.sha256):
        await _set_aside(context, answer, sent, field)
    outcome = AnswerOutcome.DUPLICATE if kept.state is AnswerState.SETTLED else AnswerOutcome.SETTLED
    if kept.state is AnswerState.HELD:
        kept = await apply(store, kept, context.now)
        if kept.state is AnswerState.SETTLED:
            await apply_held(store, [kept.assignment_id], context.now)  # its conclusion may have come first
    if refusal := kept.refusal():
        raise refusal
    if kept.state is AnswerState.HELD:
        return AnswerResult(id=sent.id, outcome=AnswerOutcome.HELD)
    [assignment] = await store.assignments.many([kept.assignment_id])
    return AnswerResult(id=sent.id, outcome=outcome, assignment=assignment)


async def _set_aside(context: Context, answer: StoredAnswer, sent: AssignmentAnswer, field: str) -> None:
    """Raises `Refusal(CONFLICT)`, with what came kept, or `LIMIT_EXCEEDED` where no more is kept today."""
    newcomer = (answer.id, answer.sha256, canonical(sent))
    if not await context.store.observations.set_aside([newcomer], answer.user_id, context.now, MOST_SET_ASIDE):
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, NOT_KEPT, field=f"{field}.id", next_step=NextStep.RETRY_LATER)
    raise Refusal(RefusalCode.CONFLICT, field=f"{field}.id")


async def apply(store: Store, answer: StoredAnswer, now: datetime) -> StoredAnswer:
    """Do what a held answer says, if that can be done yet; returns the answer as it is afterwards.

    Killed in between, it is still held, and finds then that what it says holds.
    """
    found = await store.assignments.many([answer.assignment_id], {"assignee_id": answer.user_id})
    assignment = found[0] if found else None
    if assignment is None or waits(answer, assignment):
        if now - answer.received_at > HELD_FOR:
            await store.assignment_answers.settle(answer, now, Refusal(RefusalCode.NOT_FOUND, LATE))
    elif holds(answer, assignment) or await _do(store, answer, assignment, now):
        await store.assignment_answers.settle(answer, now)
    else:
        [left] = await store.assignments.many([assignment.id])
        if not waits(answer, left):
            refusal = None if holds(answer, left) else _why_not(left)
            await store.assignment_answers.settle(answer, now, refusal)
    [kept] = await store.assignment_answers.many([answer.id])
    return kept


async def _do(store: Store, answer: StoredAnswer, assignment: Assignment, now: datetime) -> bool:
    """One transaction with the case; False where the assignment's state, or its case's, does not allow it."""
    if answer.kind is AnswerKind.ACCEPT:
        event = _event(CaseEventKind.HAND_OVER_ACCEPTED, answer, now)
        done = await store.assignments.accept(assignment.id, now, event)
    else:
        event = _event(CaseEventKind.FINISHED, answer, now)
        done = await store.assignments.end(assignment.id, AssignmentState.FINISHED, now, event, result=answer.result)
    return done is not None


def _why_not(assignment: Assignment) -> Refusal:
    if assignment.state is AssignmentState.OFFERED:
        return Refusal(RefusalCode.WRONG_STATE, "Its case is over, or who handed it on has it no more.")
    return Refusal(RefusalCode.WRONG_STATE, f"The assignment is {assignment.state.value}.")


def _event(kind: CaseEventKind, answer: StoredAnswer, now: datetime) -> Document:
    """An event whose state is the case's own, known only when it is written."""
    made = CaseEvent(
        id=compose("evt", now, secrets.token_bytes(10)),
        kind=kind,
        at=now,
        state=CaseState.RECEIVED,
        note=answer.result,
        by_id=answer.user_id,
        about_ids=(answer.assignment_id,),
    )
    document = to_document(made)
    del document["state"]
    return document


async def apply_held(store: Store, assignment_ids: Sequence[str], now: datetime) -> None:
    """Do what was said of these before they were there; what fails now is left to the sweep."""
    try:
        await _apply_all(store, await store.assignment_answers.held_for(assignment_ids), now)
    except Refusal as refusal:
        log.warning("work failed", work="answers", reason=str(refusal.code.value))


async def sweep_answers(store: Store, now: datetime) -> None:
    """Everything that is held: done where it can be, refused where it was held too long."""
    after = ""
    while held := await store.assignment_answers.held_after(after, MOST_AT_ONCE):
        await _apply_all(store, held, now)
        after = held[-1].id


async def _apply_all(store: Store, held: Sequence[StoredAnswer], now: datetime) -> None:
    for answer in sorted(held, key=lambda each: (each.kind is AnswerKind.FINISH, each.answered_at, each.id)):
        try:
            await isolated(partial(apply, store, answer, now))
        except Refusal as refusal:
            if refusal.code is not RefusalCode.INTERNAL:  # logged already, and the others' turn comes
                raise


AnswerAssignmentsResult = Annotated[
    AnswerAssignmentsPayload | Refused,
    strawberry.union("AnswerAssignmentsResult", description="How each answer settled; or the whole was refused."),
]


@strawberry.type
class AssignmentAnswerQueries:
    @query(
        description="What of one's own the server keeps until what it belongs to is there, the longest held first, and what"
        " was refused of it within 30 days; at most 500 (暂存操作)."
    )
    async def held_operations(self, info: Info) -> list[HeldOperation]:
        context = info.context
        since = context.now - HELD_FOR
        found = await context.store.assignment_answers.of_person(context.actor.user_id, since, MOST_AT_ONCE)
        return [each.shown() for each in found]


@strawberry.type
class AssignmentAnswerMutations:
    @mutation(
        description="Accept or finish assignments from a phone's outbox; what comes before its assignment is held (批量签收、"
        "办结)."
    )
    async def answer_assignments(self, info: Info, input: AnswerAssignmentsInput) -> AnswerAssignmentsResult:
        return await answer_assignments(info.context, input, unreadable(info))
