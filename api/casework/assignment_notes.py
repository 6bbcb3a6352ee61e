"""Store a phone's edits of assignment notes (备注修改). One conditional update appends one edit to its assignment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import strawberry

from api.accounts.device_clocks import record_clock
from api.fieldwork.submission import readable_indexes
from api.graphql.context import Context, Info, check_batch_size, unreadable_drafts
from api.graphql.id_conflicts import ConflictingItem, store_conflicts
from api.graphql.item_isolation import run_isolated
from api.registration import Registration
from schema.access.guards import mutation
from schema.casework import assignment_notes, note_edits
from schema.casework.assignment_answers import AnswerOutcome
from schema.casework.assignment_notes import FULL, NoteEdit
from schema.casework.assignments import Assignment
from schema.casework.note_edits import (
    MAX_EDITS,
    EditAssignmentNotesInput,
    EditAssignmentNotesPayload,
    NoteEditInput,
    NoteEditResult,
    check_edit,
    to_note_edit,
)
from schema.core.digests import digest_of
from schema.core.refusals import NextStep, Refusal, RefusalCode, Refused
from schema.fieldwork.drafts import UnreadableDraft
from storage.mongodb.client import Filter
from storage.mongodb.filters import all_of


async def edit_notes(
    context: Context, input: EditAssignmentNotesInput, unreadable_drafts: Sequence[UnreadableDraft] = ()
) -> EditAssignmentNotesPayload:
    """Store or refuse every edit. Raise `Refusal` only if the whole batch is invalid."""
    check_batch_size(MAX_EDITS, [*input.edits, *unreadable_drafts], "edits")
    viewer = context.actor
    reading = await record_clock(context, input.device_clock, viewer.user_id, viewer.device_id)
    if reading is None and viewer.device_id is not None:
        reading = await context.store.clocks.latest(viewer.user_id, viewer.device_id)
    skew = reading.skew if reading else timedelta()
    known = await _load_known(context, input.edits)
    results = {
        draft.index: _refused(context, draft.id, Refusal(RefusalCode.BAD_INPUT, draft.message, field=draft.field))
        for draft in unreadable_drafts
    }
    for index, edit in zip(readable_indexes(len(input.edits), unreadable_drafts), input.edits, strict=True):
        results[index] = await _settle_isolated(context, edit, known, skew, f"edits.{index}")
    return EditAssignmentNotesPayload(results=[results[index] for index in sorted(results)])


@dataclass(frozen=True)
class _KnownAssignments:
    """The stored assignments that a batch of edits needs.

    `own` is the filter of the viewer's own assignments. `assignments` holds the assignments that the batch edits, by
    id. `taken` holds the assignments that already contain an edit of the batch, by edit id.
    """

    own: Filter
    assignments: dict[str, Assignment]
    taken: dict[str, Assignment]


async def _load_known(context: Context, edits: Sequence[NoteEditInput]) -> _KnownAssignments:
    own = all_of({"assignee_id": context.actor.user_id}, await context.visible.assignments())
    store = context.store.assignments
    assignments = await store.many(sorted({edit.assignment_id for edit in edits}), own)
    taken = await store.by_edit([edit.id for edit in edits], own)
    return _KnownAssignments(own, {str(assignment.id): assignment for assignment in assignments}, taken)


def _refused(context: Context, id: str | None, refusal: Refusal) -> NoteEditResult:
    context.count_refusal(refusal)
    return NoteEditResult(
        id=strawberry.ID(id) if id else None, outcome=AnswerOutcome.REFUSED, refusal=Refused.of(refusal)
    )


async def _settle_isolated(
    context: Context, sent: NoteEditInput, known: _KnownAssignments, skew: timedelta, at: str
) -> NoteEditResult:
    try:
        outcome, assignment = await run_isolated(lambda: _settle(context, sent, known, skew, at))
    except Refusal as refusal:
        return _refused(context, sent.id, refusal)
    return NoteEditResult(id=sent.id, outcome=outcome, assignment=assignment)


async def _settle(
    context: Context, sent: NoteEditInput, known: _KnownAssignments, skew: timedelta, at: str
) -> tuple[AnswerOutcome, Assignment]:
    check_edit(sent, at=at)
    assignments = context.store.assignments
    if before := known.taken.get(sent.id):
        return await _settle_repeated(context, sent, before, at)
    assignment = known.assignments.get(sent.assignment_id)
    if assignment is None:
        raise Refusal(RefusalCode.NOT_FOUND, field=f"{at}.assignmentId")
    device_id = context.actor.device_id or ""
    edit = to_note_edit(sent, assignment, device_id=device_id, skew=skew, now=context.now, at=at)
    if updated := await assignments.append_edit(sent.assignment_id, edit, known.own):
        known.assignments[sent.assignment_id] = known.taken[sent.id] = updated
        for id in [id for id, before in known.taken.items() if before.id == updated.id]:
            known.taken[id] = updated
        return AnswerOutcome.SETTLED, updated
    # Another request stored this edit first, or the assignment has too many edits or is no longer the viewer's.
    if before := (await assignments.by_edit([sent.id], known.own)).get(sent.id):
        return await _settle_repeated(context, sent, before, at)
    if await assignments.many([sent.assignment_id], known.own):
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, FULL, field=f"{at}.assignmentId", next_step=NextStep.DISCARD)
    raise Refusal(RefusalCode.NOT_FOUND, field=f"{at}.assignmentId")


async def _settle_repeated(
    context: Context, sent: NoteEditInput, known: Assignment, at: str
) -> tuple[AnswerOutcome, Assignment]:
    """Return DUPLICATE if the stored edit has the same content. Otherwise store a conflict and raise its refusal."""
    if _edit(known, sent.id).sha256 == digest_of(sent):
        return AnswerOutcome.DUPLICATE, known
    [refusal] = await store_conflicts(context, [ConflictingItem(sent.id, sent, f"{at}.id")])
    raise refusal


def _edit(assignment: Assignment, id: str) -> NoteEdit:
    return next(edit for edit in assignment.note_edits if edit.id == id)


EditAssignmentNotesResult = Annotated[
    EditAssignmentNotesPayload | Refused,
    strawberry.union(
        "EditAssignmentNotesResult", description="Outcome of each edit, or the refusal of the whole batch."
    ),
]


@strawberry.type
class AssignmentNoteMutations:
    @mutation(
        description="Edit notes of the viewer's own assignments from a phone's outbox. If several edits"
        " of a field are concurrent, the edit made last wins, even if it arrives first (备注修改)."
    )
    async def edit_assignment_notes(self, info: Info, input: EditAssignmentNotesInput) -> EditAssignmentNotesResult:
        return await edit_notes(info.context, input, unreadable_drafts(info))


REGISTRATION = Registration(
    mutations=(AssignmentNoteMutations,),
    permits=(*assignment_notes.PERMITS, *note_edits.PERMITS),
)
