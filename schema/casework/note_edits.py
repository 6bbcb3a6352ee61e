"""Define the edits of assignment notes that phones send, and validate them (备注修改)."""

from datetime import date, datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, Row
from schema.accounts.device_clocks import DeviceClockInput
from schema.casework.assignment_answers import AnswerOutcome
from schema.casework.assignment_notes import FULL, MAX_EDITS_TEXT, NoteEdit, NoteField, correct_time
from schema.casework.assignments import Assignment
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import NextStep, Refusal, RefusalCode, Refused
from schema.core.texts import MAX_NOTE, check_length, check_text
from schema.core.times import MAX_SAFE_INTEGER, to_millis

MAX_EDITS = 50
MAX_CONTACT = 200
MAX_LENGTHS = {NoteField.WORKING_NOTE: MAX_NOTE, NoteField.CONTACT: MAX_CONTACT}


@strawberry.input(
    description="A new value for one field of an assignment's notes. The assignment must be the viewer's own "
    "(备注修改)."
)
class NoteEditInput:
    id: strawberry.ID = strawberry.field(description="Id that the phone creates: `evt_` and a UUIDv7.")
    assignment_id: strawberry.ID = strawberry.field(description="The assignment whose notes are edited.")
    field: NoteField = strawberry.field(description="The field to change.")
    value: str | None = strawberry.field(
        description="New value: text, or for PLANNED_ON a date such as 2026-12-01. Null clears the field.",
        default=None,
    )
    base_version: int = strawberry.field(
        description="The field's `version` that the phone showed before this edit. 0 if the phone knew no edit of the "
        "field."
    )
    edited_at: datetime = strawberry.field(description="When the edit was made, by the device's clock (修改时间).")
    device_sequence: int = strawberry.field(
        description="Sequence number of the edit on this device, from 1. An edit replaces this device's earlier edits "
        "of the field (设备序号)."
    )
    restores: strawberry.ID | None = strawberry.field(
        description="Id of an earlier edit of this field. That edit's value becomes the new value. Leave out `value` "
        "in this case (恢复).",
        default=None,
    )


@strawberry.input(description="Note edits from a phone's outbox.")
class EditAssignmentNotesInput:
    edits: list[NoteEditInput] = strawberry.field(
        description="1 to 50 edits. The server processes each edit independently of the others."
    )
    device_clock: DeviceClockInput | None = strawberry.field(
        description="What the device's clock shows while the phone sends this request (设备时钟).", default=None
    )


@strawberry.type(description="Outcome of one edit.")
class NoteEditResult:
    id: strawberry.ID | None = strawberry.field(description="Id of the edit. Null if the server could not read the id.")
    outcome: AnswerOutcome = strawberry.field(
        description="What the server did with the edit. SETTLED means stored: `Assignment.notes` shows whether the "
        "edit won or lost. Never HELD."
    )
    assignment: Assignment | None = strawberry.field(
        description="The assignment as it is now. Null if the edit is refused.", default=None
    )
    refusal: Refused | None = strawberry.field(
        description="Why the server refused the edit. Null unless `outcome` is REFUSED.", default=None
    )


@strawberry.type(description="The outcomes of a batch of note edits.")
class EditAssignmentNotesPayload:
    results: list[NoteEditResult] = strawberry.field(description="One result per edit, in the order of the edits.")


def check_edit(sent: NoteEditInput, *, at: str) -> None:
    """Check everything that does not depend on the stored assignment. `at` is the edit's path in the input.

    Raise `Refusal(BAD_ID | BAD_INPUT)` if the edit is invalid.
    """
    validate_id(sent.id, "evt", field=f"{at}.id")
    validate_id(sent.assignment_id, "asg", field=f"{at}.assignmentId")
    if sent.restores is not None:
        validate_id(sent.restores, "evt", field=f"{at}.restores")
    if sent.base_version < 0:
        raise Refusal(RefusalCode.BAD_INPUT, "A version is 0 or more.", field=f"{at}.baseVersion")
    if not 1 <= sent.device_sequence <= MAX_SAFE_INTEGER:
        raise Refusal(RefusalCode.BAD_INPUT, "A device's sequence numbers start at 1.", field=f"{at}.deviceSequence")
    if sent.value is not None:
        _check_value(sent.field, sent.value, is_restored=sent.restores is not None, at=f"{at}.value")


def _check_value(field: NoteField, value: str, *, is_restored: bool, at: str) -> None:
    if is_restored:
        raise Refusal(RefusalCode.BAD_INPUT, "A restored edit already has a value. Leave `value` out.", field=at)
    if longest := MAX_LENGTHS.get(field):
        check_text(value, longest, at)
        check_length(value, longest, at)
        return
    try:
        is_day = date.fromisoformat(value).isoformat() == value
    except ValueError:
        is_day = False
    if not is_day:
        raise Refusal(RefusalCode.BAD_INPUT, "Write a date as 2026-12-01.", field=at)


def to_note_edit(
    sent: NoteEditInput, assignment: Assignment, *, device_id: str, skew: timedelta, now: datetime, at: str
) -> NoteEdit:
    """Return the edit's stored form, after a comparison with the assignment's stored edits.

    Raise `Refusal(BAD_INPUT)` if `base_version` is higher than the field's number of edits, `Refusal(NOT_FOUND)` if the
    edit to restore does not exist, or `Refusal(LIMIT_EXCEEDED)` if the notes would become too long.
    """
    known = [edit for edit in assignment.note_edits if edit.field is sent.field]
    if sent.base_version > len(known):
        raise Refusal(RefusalCode.BAD_INPUT, f"The field has only {len(known)} versions.", field=f"{at}.baseVersion")
    value = sent.value
    if sent.restores is not None:
        restored = next((edit for edit in known if edit.id == sent.restores), None)
        if restored is None:
            raise Refusal(RefusalCode.NOT_FOUND, field=f"{at}.restores")
        value = restored.value
    if sum(len(edit.value or "") for edit in assignment.note_edits) + len(value or "") > MAX_EDITS_TEXT:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, FULL, field=f"{at}.assignmentId", next_step=NextStep.DISCARD)
    edited_at = to_millis(sent.edited_at)
    return NoteEdit(
        id=sent.id,
        field=sent.field,
        value=value,
        base_version=sent.base_version,
        edited_at=edited_at,
        at=to_millis(correct_time(edited_at, skew)),
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
