"""Receive a phone's answers to assignments (签收、办结回复). Store the whole batch first, then apply each answer.

An answer whose assignment does not exist waits on the server. An answer to another person's assignment waits as well,
so that its sender does not learn whether the assignment exists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import strawberry

from api.accounts.device_clocks import record_clock
from api.casework.held_answers import MAX_AT_ONCE, apply_answer, apply_held, assignments_of
from api.fieldwork.submission import readable_indexes
from api.graphql.context import Context, Info, check_batch_size, unreadable_drafts
from api.graphql.id_conflicts import ConflictingItem, store_conflicts
from api.graphql.item_isolation import internal_refusal, run_isolated
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.casework import assignment_answers
from schema.casework.assignment_answers import (
    HELD_FOR,
    MAX_ANSWERS,
    MAX_HELD,
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
    to_stored_answer,
)
from schema.core.refusals import NextStep, Refusal, RefusalCode, Refused
from schema.fieldwork.drafts import UnreadableDraft


async def answer_assignments(
    context: Context, input: AnswerAssignmentsInput, unreadable_drafts: Sequence[UnreadableDraft] = ()
) -> AnswerAssignmentsPayload:
    """Store every answer and apply those that can be applied. Raise `Refusal` only if the whole batch is invalid."""
    check_batch_size(MAX_ANSWERS, [*input.answers, *unreadable_drafts], "answers")
    await record_clock(context, input.device_clock, context.actor.user_id, context.actor.device_id)
    results = {
        draft.index: _refused(context, draft.id, Refusal(RefusalCode.BAD_INPUT, draft.message, field=draft.field))
        for draft in unreadable_drafts
    }
    items: list[_AnswerItem] = []
    for index, sent in zip(readable_indexes(len(input.answers), unreadable_drafts), input.answers, strict=True):
        try:
            answer = to_stored_answer(
                sent,
                user_id=context.actor.user_id,
                capacity=context.actor.capacity,
                now=context.now,
                field=f"answers.{index}",
            )
            items.append(_AnswerItem(index, sent, answer))
        except Refusal as refusal:
            results[index] = _refused(context, sent.id, refusal)
        except Exception as error:  # noqa: BLE001  masked and logged; the other answers go on
            results[index] = _refused(context, sent.id, internal_refusal(error))
    # A batch may list the FINISH of an assignment before its ACCEPT. The ACCEPT must be applied first.
    items.sort(key=lambda item: item.answer.kind is AnswerKind.FINISH)
    results |= await _settle(context, items)
    return AnswerAssignmentsPayload(results=[results[index] for index in sorted(results)])


def _refused(context: Context, id: str | None, refusal: Refusal) -> AnswerResult:
    context.count_refusal(refusal)
    return AnswerResult(
        id=strawberry.ID(id) if id else None, outcome=AnswerOutcome.REFUSED, refusal=Refused.of(refusal)
    )


@dataclass(frozen=True)
class _AnswerItem:
    """An answer of the batch: its index in the batch, the answer as sent, and the answer as stored."""

    index: int
    sent: AssignmentAnswer
    answer: StoredAnswer


async def _settle(context: Context, items: Sequence[_AnswerItem]) -> dict[int, AnswerResult]:
    """Store all answers, then apply each answer.

    All answers are stored before any answer is applied. So a concurrent request that offers or accepts an assignment
    finds the stored answers.
    """
    store = context.store
    stored = await _store_new(context, items)
    assignments = await assignments_of(store, [item.answer.assignment_id for item in items])
    outcomes: dict[int, AnswerOutcome] = {}
    refusals = await _refuse_conflicts(context, items, stored)
    if len(stored) < len({item.answer.id for item in items}):
        refusals |= {item.index: _too_many() for item in items if item.answer.id not in stored}
    accepted: set[str] = set()
    for item in items:
        if item.index in refusals:
            continue
        answer = stored[item.answer.id]
        outcomes[item.index] = AnswerOutcome.DUPLICATE
        try:
            if answer.state is AnswerState.HELD:
                assignment = assignments.get(answer.assignment_id)
                answer, assignment = await run_isolated(partial(apply_answer, store, answer, assignment, context.now))
                stored[answer.id] = answer
                assignments |= {answer.assignment_id: assignment} if assignment else {}
                is_held = answer.state is AnswerState.HELD
                outcomes[item.index] = AnswerOutcome.HELD if is_held else AnswerOutcome.SETTLED
                accepted |= set() if is_held else {answer.assignment_id}
            if refusal := answer.refusal():
                refusals[item.index] = refusal
        except Refusal as refusal:
            refusals[item.index] = refusal
    await apply_held(store, sorted(accepted), context.now)  # a FINISH may have arrived before its ACCEPT
    now = await assignments_of(
        store, [stored[item.answer.id].assignment_id for item in items if item.index in outcomes]
    )
    return {
        item.index: _refused(context, item.sent.id, refusals[item.index])
        if item.index in refusals
        else AnswerResult(
            id=item.sent.id,
            outcome=outcomes[item.index],
            assignment=None if outcomes[item.index] is AnswerOutcome.HELD else now[item.answer.assignment_id],
        )
        for item in items
    }


async def _store_new(context: Context, items: Sequence[_AnswerItem]) -> dict[str, StoredAnswer]:
    """Store the new answers. Return all stored answers of the batch by id.

    If too many of the sender's answers wait on the server already, the new answers are not stored and are absent.
    """
    answers = context.store.assignment_answers
    ids = [item.answer.id for item in items]
    stored = {answer.id: answer for answer in await answers.many(ids)}
    fresh: dict[str, StoredAnswer] = {}
    for item in items:
        if item.answer.id not in stored:
            fresh.setdefault(item.answer.id, item.answer)
    if not fresh or await answers.count_held(context.actor.user_id) >= MAX_HELD:
        return stored
    taken = (await answers.add(list(fresh.values()))).duplicate_ids
    # Another request may have stored an answer with the same id first. That answer is kept.
    others = await answers.many(sorted(taken)) if taken else []
    return stored | fresh | {answer.id: answer for answer in others}


def _too_many() -> Refusal:
    return Refusal(RefusalCode.LIMIT_EXCEEDED, TOO_MANY, next_step=NextStep.RETRY_LATER)


async def _refuse_conflicts(
    context: Context, items: Sequence[_AnswerItem], kept: Mapping[str, StoredAnswer]
) -> dict[int, Refusal]:
    """Store the answers that are conflicts. Return their refusals, by index in the batch.

    An answer is a conflict if its id is taken by an answer of another person or with other content.
    """
    found = []
    for item in items:
        known = kept.get(item.answer.id, item.answer)
        if (known.user_id, known.sha256) != (item.answer.user_id, item.answer.sha256):
            found.append(item)
    newcomers = [ConflictingItem(item.answer.id, item.sent, f"answers.{item.index}.id") for item in found]
    refusals = await store_conflicts(context, newcomers)
    return {item.index: refusal for item, refusal in zip(found, refusals, strict=True)}


AnswerAssignmentsResult = Annotated[
    AnswerAssignmentsPayload | Refused,
    strawberry.union(
        "AnswerAssignmentsResult", description="Outcome of each answer, or the refusal of the whole batch."
    ),
]


@strawberry.type
class AssignmentAnswerQueries:
    @query(
        description="The viewer's items that wait on the server, and items that waited and were refused in the last"
        " 30 days. Sorted by time of receipt, oldest first, at most 500 (暂存操作)."
    )
    async def held_operations(self, info: Info) -> list[HeldOperation]:
        context = info.context
        since = context.now - HELD_FOR
        answers = await context.store.assignment_answers.of_person(context.actor.user_id, since, MAX_AT_ONCE)
        return [answer.to_held_operation() for answer in answers]


@strawberry.type
class AssignmentAnswerMutations:
    @mutation(
        description="Accept or finish assignments from a phone's outbox. An answer that arrives before its assignment"
        " waits on the server until it can be applied (批量签收、办结)."
    )
    async def answer_assignments(self, info: Info, input: AnswerAssignmentsInput) -> AnswerAssignmentsResult:
        return await answer_assignments(info.context, input, unreadable_drafts(info))


REGISTRATION = Registration(
    queries=(AssignmentAnswerQueries,),
    mutations=(AssignmentAnswerMutations,),
    permits=assignment_answers.PERMITS,
)
