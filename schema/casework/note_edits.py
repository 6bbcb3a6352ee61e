"""Edits of an assignment's notes (备注修改): what a phone sends of them, what is wrong with it, and how each settles.

How edits make up the notes is left to `assignment_notes.py`.
"""

from datetime import date, datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, Row
from schema.accounts.device_clocks import DeviceClockInput
from schema.casework.assignment_answers import AnswerOutcome
from schema.casework.assignment_notes import FULL, MAX_EDITS_TEXT, NoteEdit, NoteField, corrected
from schema.casework.assignments import MAX_NOTE, Assignment
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import NextStep, Refusal, RefusalCode, Refused
from schema.core.times import MAX_SAFE_INTEGER, to_millis

MAX_EDITS = 50
MAX_CONTACT = 200
MAX_LENGTHS = {NoteField.WORKING_NOTE: MAX_NOTE, NoteField.CONTACT: MAX_CONTACT}


@strawberry.input(description="One field of the notes of one's own assignment, as it is to be (备注修改).")
class NoteEditInput:
    id: strawberry.ID = strawberry.field(description="Made by the phone: evt_ and a UUIDv7.")
    assignment_id: strawberry.ID = strawberry.field(description="Of which assignment.")
    field: NoteField = strawberry.field(description="Which field.")
    value: str | None = strawberry.field(
        description="What is to stand there: text, for PLANNED_ON a date such as 2026-12-01; null clears it.",
        default=None,
    )
    base_version: int = strawberry.field(description="The field's version that the phone showed; 0 where it had none.")
    edited_at: datetime = strawberry.field(description="When, by the device's clock (修改时间).")
    device_sequence: int = strawberry.field(
        description="The device's own running number: its later edit outlives its earlier ones (设备序号)."
    )
    restores: strawberry.ID | None = strawberry.field(
        description="An edit of this field whose value is to stand again; `value` is then left out (恢复).",
        default=None,
    )


@strawberry.input(description="Edits of notes, as a phone's outbox holds them.")
class EditAssignmentNotesInput:
    edits: list[NoteEditInput] = strawberry.field(description="1 to 50; each settles on its own.")
    device_clock: DeviceClockInput | None = strawberry.field(
        description="What the device's clock shows (设备时钟).", default=None
    )


@strawberry.type(description="How one edit settled.")
class NoteEditResult:
    id: strawberry.ID | None = strawberry.field(description="The edit; null where it could not be read.")
    outcome: AnswerOutcome = strawberry.field(
        description="SETTLED when it is kept, whether it stands or lost: `Assignment.notes` says which. Never HELD."
    )
    assignment: Assignment | None = strawberry.field(description="As it is now, where it settled.", default=None)
    refusal: Refused | None = strawberry.field(description="Why it was refused.", default=None)


@strawberry.type(description="How each edit settled.")
class EditAssignmentNotesPayload:
    results: list[NoteEditResult] = strawberry.field(description="In the order of the edits.")


def check(sent: NoteEditInput, *, at: str) -> None:
    """Raises `Refusal(BAD_ID | BAD_INPUT)` for what no assignment could take; `at` is the item's place in the input."""
    validate_id(sent.id, "evt", field=f"{at}.id")
    validate_id(sent.assignment_id, "asg", field=f"{at}.assignmentId")
    if sent.restores is not None:
        validate_id(sent.restores, "evt", field=f"{at}.restores")
    if sent.base_version < 0:
        raise Refusal(RefusalCode.BAD_INPUT, "Versions count from 0.", field=f"{at}.baseVersion")
    if not 1 <= sent.device_sequence <= MAX_SAFE_INTEGER:
        raise Refusal(RefusalCode.BAD_INPUT, "A device counts from 1.", field=f"{at}.deviceSequence")
    if sent.value is not None:
        _check_value(sent.field, sent.value, is_restored=sent.restores is not None, at=f"{at}.value")


def _check_value(field: NoteField, value: str, *, is_restored: bool, at: str) -> None:
    if is_restored:
        raise Refusal(RefusalCode.BAD_INPUT, "What is restored has its value already: leave this out.", field=at)
    if longest := MAX_LENGTHS.get(field):
        if not 1 <= len(value.strip()) <= len(value) <= longest:
            raise Refusal(RefusalCode.BAD_INPUT, f"It has 1 to {longest} characters; null clears it.", field=at)
        return
    try:
        is_day = date.fromisoformat(value).isoformat() == value
    except ValueError:
        is_day = False
    if not is_day:
        raise Refusal(RefusalCode.BAD_INPUT, "A date is written as 2026-12-01.", field=at)


def taken_in(
    sent: NoteEditInput, assignment: Assignment, *, device_id: str, skew: timedelta, now: datetime, at: str
) -> NoteEdit:
    """The edit as it is kept; raises `Refusal(BAD_INPUT | NOT_FOUND | LIMIT_EXCEEDED)` for what the notes don't allow."""
    known = [edit for edit in assignment.note_edits if edit.field is sent.field]
    if sent.base_version > len(known):
        raise Refusal(RefusalCode.BAD_INPUT, f"The field is at version {len(known)}.", field=f"{at}.baseVersion")
    value = sent.value
    if sent.restores is not None:
        found = next((edit for edit in known if edit.id == sent.restores), None)
        if found is None:
            raise Refusal(RefusalCode.NOT_FOUND, field=f"{at}.restores")
        value = found.value
    if sum(len(edit.value or "") for edit in assignment.note_edits) + len(value or "") > MAX_EDITS_TEXT:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, FULL, field=f"{at}.assignmentId", next_step=NextStep.DISCARD)
    edited_at = to_millis(sent.edited_at)
    return NoteEdit(
        id=sent.id,
        field=sent.field,
        value=value,
        base_version=sent.base_version,
        edited_at=edited_at,
        at=to_millis(corrected(edited_at, skew)),
        device_id=device_id,
        device_sequence=sent.device_sequence,
        sha256=digest_of(sent),
        received_at=now,
        restores=sent.restores,
    )


PERMITS: tuple[Row, ...] = (
    ("EditAssignmentNotesPayload", SEEN, "results"),
    ("NoteEditResult", SEEN, "id outcome assignment refusal"),
)
