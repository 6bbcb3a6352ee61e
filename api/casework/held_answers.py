"""Apply the answers that wait on the server (HELD), as soon as the state of their assignment allows it.

Three callers try to apply an answer: the request that sends the answer, the request that offers or accepts its
assignment, and the worker's sweep. The sweep also applies the answers that a killed process left.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import structlog

from api.graphql.item_isolation import run_isolated
from schema.casework.assignment_answers import HELD_FOR, LATE, AnswerKind, StoredAnswer, is_already_applied, must_wait
from schema.casework.assignments import Assignment, AssignmentState
from schema.casework.cases import CaseEvent, CaseEventKind, CaseState
from schema.core.ids import compose
from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import to_minute
from storage.casework.cases import entry_without_state
from storage.mongodb.client import Document
from storage.store import Store

MAX_AT_ONCE = 500
log = structlog.get_logger(__name__)


async def assignments_of(store: Store, ids: Sequence[str]) -> dict[str, Assignment]:
    """Return the assignments that exist, by id. The assignee is not checked here: `must_wait` does that."""
    return {str(assignment.id): assignment for assignment in await store.assignments.many(ids)} if ids else {}


async def apply_answer(
    store: Store, answer: StoredAnswer, assignment: Assignment | None, now: datetime
) -> tuple[StoredAnswer, Assignment | None]:
    """Apply a HELD answer if possible. Return the answer and the assignment as they are afterwards.

    The caller must read `assignment` after it stored the answer. If the process is killed between the change of the
    assignment and the change of the answer, the answer is still HELD. The next call then finds it already applied.
    """
    if assignment is None or must_wait(answer, assignment):
        if now - answer.received_at <= HELD_FOR:
            return answer, assignment
        return await _settle(store, answer, now, Refusal(RefusalCode.NOT_FOUND, LATE)), assignment
    if is_already_applied(answer, assignment):
        return await _settle(store, answer, now), assignment
    if changed := await _change_assignment(store, answer, assignment, now):
        return await _settle(store, answer, now), changed
    [unchanged] = await store.assignments.many([assignment.id])
    if must_wait(answer, unchanged):
        return answer, unchanged
    return await _settle(
        store, answer, now, None if is_already_applied(answer, unchanged) else _state_refusal(unchanged)
    ), unchanged


async def _settle(store: Store, answer: StoredAnswer, now: datetime, refusal: Refusal | None = None) -> StoredAnswer:
    if await store.assignment_answers.settle(answer, now, refusal):
        return answer.with_outcome(refusal)
    [stored] = await store.assignment_answers.many([answer.id])
    return stored


async def _change_assignment(
    store: Store, answer: StoredAnswer, assignment: Assignment, now: datetime
) -> Assignment | None:
    """Change the assignment and its case in one transaction.

    Return None if the state of the assignment or of the case does not allow the change.
    """
    if answer.kind is AnswerKind.ACCEPT:
        event = _event(CaseEventKind.HAND_OVER_ACCEPTED, answer, now)
        return await store.assignments.accept(assignment.id, now, event)
    event = _event(CaseEventKind.FINISHED, answer, now)
    return await store.assignments.finish(assignment.id, now, event, result=answer.result or "")


def _state_refusal(assignment: Assignment) -> Refusal:
    if assignment.state is AssignmentState.OFFERED:
        return Refusal(
            RefusalCode.WRONG_STATE, "The case is closed, or the person who handed it on no longer holds it."
        )
    return Refusal(RefusalCode.WRONG_STATE, f"The assignment is {assignment.state.value}.")


def _event(kind: CaseEventKind, answer: StoredAnswer, now: datetime) -> Document:
    event = CaseEvent(
        id=compose("evt", to_minute(now), secrets.token_bytes(10)),  # the id is shown to all who see the case
        kind=kind,
        at=now,
        state=CaseState.RECEIVED,
        note=answer.result,
        by_id=answer.user_id,
        about_ids=(answer.assignment_id,),
        by_capacity=answer.capacity,
    )
    return entry_without_state(event)


async def apply_held(store: Store, assignment_ids: Sequence[str], now: datetime) -> None:
    """Apply the HELD answers of these assignments. An answer that fails now is tried again by the sweep."""
    try:
        if assignment_ids and (held := await store.assignment_answers.held_for(assignment_ids)):
            await _apply_all(store, held, now)
    except Refusal as refusal:
        log.warning("work failed", work="answers", reason=str(refusal.code.value))


async def sweep_answers(store: Store, now: datetime) -> None:
    """Apply every HELD answer that can be applied. Refuse answers that have waited longer than `HELD_FOR`."""
    after = ""
    while held := await store.assignment_answers.held_after(after, MAX_AT_ONCE):
        await _apply_all(store, held, now)
        after = held[-1].id


async def _apply_all(store: Store, held: Sequence[StoredAnswer], now: datetime) -> None:
    assignments = await assignments_of(store, sorted({answer.assignment_id for answer in held}))
    for answer in sorted(held, key=lambda answer: (answer.kind is AnswerKind.FINISH, answer.answered_at, answer.id)):
        try:
            assignment = assignments.get(answer.assignment_id)
            _, assignment = await run_isolated(partial(apply_answer, store, answer, assignment, now))
            assignments |= {answer.assignment_id: assignment} if assignment else {}
        except Refusal as refusal:
            if refusal.code is not RefusalCode.INTERNAL:  # an internal error is logged; the other answers go on
                raise
