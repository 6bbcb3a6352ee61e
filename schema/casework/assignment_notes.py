"""Merge the edits of an assignment's notes (交办备注).

An assignee may edit the notes on several devices. Each edit sets one field. The server only appends edits. The merged
notes do not depend on the order in which the edits arrive.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import FOLLOWERS, SEEN, Row

MAX_EDITS_KEPT = 200
"""Maximum number of edits of one assignment."""
MAX_EDITS_TEXT = 50_000
"""Maximum total length of one assignment's edits, in characters. Every read of the assignment loads all its edits."""
FULL = f"An assignment has at most {MAX_EDITS_KEPT} note edits, with {MAX_EDITS_TEXT} characters in total."


@strawberry.enum(description="A field of an assignment's notes (备注字段).")
class NoteField(enum.Enum):
    WORKING_NOTE = strawberry.enum_value("WORKING_NOTE", description="Working note of the assignee (工作备注).")
    PLANNED_ON = strawberry.enum_value("PLANNED_ON", description="Date planned for the work (计划日期).")
    CONTACT = strawberry.enum_value("CONTACT", description="Contact person on site (现场联系人).")


@dataclass(frozen=True)
class NoteEdit:
    """An edit of one field of an assignment's notes, as it is stored.

    `base_version` is how many edits of this field the author's phone had seen before this edit. `at` is `edited_at`
    converted to the server's clock. `restores` is the id of an earlier edit whose value this edit restores.
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


@strawberry.type(
    description="An edit that lost: a concurrent edit of the same field gave the current value (落选的修改)."
)
class LostEdit:
    id: strawberry.ID = strawberry.field(
        description="Id of the edit. To restore its value, pass this id as `restores` of a new edit."
    )
    value: str | None = strawberry.field(description="The value that the edit set. Null if the edit cleared the field.")
    edited_at: datetime = strawberry.field(
        description="When the edit was made: the time on the device's clock, converted to the server's clock "
        "(修改时间)."
    )


@strawberry.type(description="One field of an assignment's notes, merged from all edits of this field (交办备注).")
class AssignmentNote:
    field: NoteField = strawberry.field(description="The field.")
    value: str | None = strawberry.field(description="Current value of the field. Null if the field was cleared.")
    version: int = strawberry.field(
        description="Number of edits of this field on the server. Pass this number as `baseVersion` of the next edit."
    )
    edit_id: strawberry.ID = strawberry.field(description="Id of the edit that set the current value.")
    edited_at: datetime = strawberry.field(
        description="When the edit `editId` was made: the time on the device's clock, converted to the server's clock "
        "(修改时间)."
    )
    lost_edits: list[LostEdit] = strawberry.field(
        description="Edits that lost to a concurrent edit and were not restored, newest first (落选的修改)."
    )


def correct_time(edited_at: datetime, skew: timedelta) -> datetime:
    """Convert a time on the device's clock to the server's clock.

    Return `edited_at` unchanged if the result would be outside the years 1 to 9999.
    """
    try:
        return edited_at - skew
    except OverflowError:
        return edited_at


def merge_edits(edits: Sequence[NoteEdit]) -> list[AssignmentNote]:
    """Merge the edits of one assignment. Return one note for each field that was edited.

    `edits` are in the order in which the server received them. An edit replaces the edits that its author had seen. Of
    the edits that nobody replaced, the one with the latest time wins. At equal times the higher device sequence number
    wins, then the higher id. The order of arrival does not decide.
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
    """Return whether the author of `later` had seen `earlier`, which is edit number `number` of the field.

    A device has seen all edits that it made before. A session of an identity provider has no device id, so only
    `base_version` tells which edits its user had seen.
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
