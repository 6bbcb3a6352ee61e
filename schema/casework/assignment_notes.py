"""Merge the edits of an assignment's notes (交办备注).

The assignee edits notes on any device, one field at a time. Edits are only appended, and the merged notes do not
depend on the order in which the edits arrive.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import FOLLOWERS, SEEN, Row

MAX_EDITS_KEPT = 200
"""Edits per assignment."""
MAX_EDITS_TEXT = 50_000
"""Total characters of all edits of one assignment: they are loaded each time the assignment is read."""
FULL = f"An assignment has at most {MAX_EDITS_KEPT} note edits, with {MAX_EDITS_TEXT} characters in total."


@strawberry.enum(description="A field of an assignment's notes (备注字段).")
class NoteField(enum.Enum):
    WORKING_NOTE = strawberry.enum_value("WORKING_NOTE", description="Working note of the assignee (工作备注).")
    PLANNED_ON = strawberry.enum_value("PLANNED_ON", description="Planned date (计划日期).")
    CONTACT = strawberry.enum_value("CONTACT", description="Contact person on site (现场联系人).")


@dataclass(frozen=True)
class NoteEdit:
    """A stored edit.

    `base_version` is the number of edits of the field that its author had seen. `at` is `edited_at` corrected by the
    skew of the device's clock. `restores` is the id of the edit whose value it restored.
    """

    id: str
    field: NoteField
    value: str | None
    base_version: int
    edited_at: datetime
    at: datetime
    device_id: str
    device_sequence: int
    sha256: str
    received_at: datetime
    restores: str | None = None


@strawberry.type(description="An edit that lost to a concurrent edit (落选的修改).")
class LostEdit:
    id: strawberry.ID = strawberry.field(description="Id of the edit. Pass it as `restores` to restore its value.")
    value: str | None = strawberry.field(description="Value of the edit. Null if it cleared the field.")
    edited_at: datetime = strawberry.field(
        description="When it was edited, by the device's clock, corrected for skew (修改时间)."
    )


@strawberry.type(description="One field of an assignment's notes, merged from all its edits (交办备注).")
class AssignmentNote:
    field: NoteField = strawberry.field(description="The field.")
    value: str | None = strawberry.field(description="Current value. Null if it was cleared.")
    version: int = strawberry.field(
        description="Number of edits on the server. Pass it as `baseVersion` of the next edit."
    )
    edit_id: strawberry.ID = strawberry.field(description="Id of the edit that won.")
    edited_at: datetime = strawberry.field(
        description="When it was edited, by the device's clock, corrected for skew (修改时间)."
    )
    lost_edits: list[LostEdit] = strawberry.field(
        description="Edits that lost and were not restored, newest first (落选的修改)."
    )


def correct_time(edited_at: datetime, skew: timedelta) -> datetime:
    """Convert a device time to the server's clock. A time that would leave the calendar is returned unchanged."""
    try:
        return edited_at - skew
    except OverflowError:
        return edited_at


def merge_edits(edits: Sequence[NoteEdit]) -> list[AssignmentNote]:
    """Merge edits, given in the order the server received them. A field without an edit is left out.

    The result depends on which edits each author had seen. It does not depend on which of two concurrent edits arrived
    first: the later one wins, by time, then by the device's own number, then by id.
    """
    of_field = {name: [edit for edit in edits if edit.field is name] for name in NoteField}
    return [_merge_field(name, found) for name, found in of_field.items() if found]


def _merge_field(name: NoteField, edits: Sequence[NoteEdit]) -> AssignmentNote:
    numbered = list(enumerate(edits, start=1))
    superseded = {
        edit.id
        for number, edit in numbered
        if any(_has_seen(other, edit, number) for _, other in numbered if other is not edit)
    }
    # If a device's numbers count backwards, every edit could be superseded by another.
    winner = max([edit for edit in edits if edit.id not in superseded] or edits, key=_precedence)
    restored = {edit.restores for edit in edits}
    lost = [
        edit
        for number, edit in numbered
        if edit is not winner
        and edit.id not in restored
        and any(
            _precedence(other) > _precedence(edit)
            and not _has_seen(other, edit, number)
            and not _has_seen(edit, other, position)
            for position, other in numbered
            if other is not edit
        )
    ]
    return AssignmentNote(
        field=name,
        value=winner.value,
        version=len(edits),
        edit_id=strawberry.ID(winner.id),
        edited_at=winner.at,
        lost_edits=[
            LostEdit(id=strawberry.ID(edit.id), value=edit.value, edited_at=edit.at)
            for edit in sorted(lost, key=_precedence, reverse=True)
        ],
    )


def _has_seen(later: NoteEdit, earlier: NoteEdit, number: int) -> bool:
    """Return whether the author of `later` had seen `earlier`, the field's edit with that number.

    A device has seen all its own earlier edits. A session of an identity provider names no device, so it has seen only
    the edits it pulled.
    """
    if later.device_id and later.device_id == earlier.device_id:
        return (later.device_sequence, later.id) > (earlier.device_sequence, earlier.id)
    return number <= later.base_version


def _precedence(edit: NoteEdit) -> tuple[datetime, int, str]:
    return edit.at, edit.device_sequence, edit.id


PERMITS: tuple[Row, ...] = (
    ("Mutation", FOLLOWERS, "editAssignmentNotes"),
    ("AssignmentNote", SEEN, "field value version editId editedAt lostEdits"),
    ("LostEdit", SEEN, "id value editedAt"),
)
