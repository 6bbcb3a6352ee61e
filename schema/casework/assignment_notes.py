"""Notes of an assignment (交办备注): edited by its assignee on any device, one field at a time, and the same whatever came first.

What a phone sends, and how each item settles, is in `note_edits.py`; that edits are only ever appended, in `storage`.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import FOLLOWERS, SEEN, Row

MAX_EDITS_KEPT = 200
"""Of one assignment."""
MAX_EDITS_TEXT = 50_000
"""Characters of all edits of one assignment together: they come along wherever it is read."""
FULL = f"An assignment keeps {MAX_EDITS_KEPT} edits of its notes, of {MAX_EDITS_TEXT} characters together."


@strawberry.enum(description="What may be noted of an assignment (备注字段).")
class NoteField(enum.Enum):
    WORKING_NOTE = strawberry.enum_value("WORKING_NOTE", description="What the assignee wants to remember (工作备注).")
    PLANNED_ON = strawberry.enum_value("PLANNED_ON", description="The day that it is planned for (计划日期).")
    CONTACT = strawberry.enum_value("CONTACT", description="Whom to ask on the spot (现场联系人).")


@dataclass(frozen=True)
class NoteEdit:
    """An edit as it is kept; `base_version` counts the edits of the field that its author had seen.

    `at` is `edited_at` less what the device's clock was ahead. `restores` is the edit whose value it took.
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


@strawberry.type(description="An edit that lost against another made without knowing of it (落选的修改).")
class LostEdit:
    id: strawberry.ID = strawberry.field(description="The edit; name it in `restores` to take its value again.")
    value: str | None = strawberry.field(description="What it said; null where it cleared the field.")
    edited_at: datetime = strawberry.field(description="When, by the device's clock, set right (修改时间).")


@strawberry.type(description="One field of an assignment's notes, as all edits together make it (交办备注).")
class AssignmentNote:
    field: NoteField = strawberry.field(description="Which field.")
    value: str | None = strawberry.field(description="What stands there; null where it was cleared.")
    version: int = strawberry.field(description="Edits that the server has of it: the `baseVersion` of the next.")
    edit_id: strawberry.ID = strawberry.field(description="The edit that stands.")
    edited_at: datetime = strawberry.field(description="When, by the device's clock, set right (修改时间).")
    lost_edits: list[LostEdit] = strawberry.field(
        description="Edits that lost and were not restored, the latest first (落选的修改)."
    )


def corrected(edited_at: datetime, skew: timedelta) -> datetime:
    """By the server's clock; a time that this would push out of the calendar stays as it is."""
    try:
        return edited_at - skew
    except OverflowError:
        return edited_at


def merged(edits: Sequence[NoteEdit]) -> list[AssignmentNote]:
    """The notes that these edits make, in the order that the server took them in; fields without an edit are left out.

    The result depends on what each author had seen, never on which of two edits that knew nothing of each other came
    first: of such the later stands, by time, the device's own number and id.
    """
    of_field = {name: [edit for edit in edits if edit.field is name] for name in NoteField}
    return [_merged(name, found) for name, found in of_field.items() if found]


def _merged(name: NoteField, edits: Sequence[NoteEdit]) -> AssignmentNote:
    numbered = list(enumerate(edits, start=1))
    outlived = {
        edit.id
        for number, edit in numbered
        if any(_saw(other, edit, number) for _, other in numbered if other is not edit)
    }
    # Numbers of a device that count backwards could have each edit outlived by another.
    standing = max([edit for edit in edits if edit.id not in outlived] or edits, key=_order)
    restored = {edit.restores for edit in edits}
    lost = [
        edit
        for number, edit in numbered
        if edit is not standing
        and edit.id not in restored
        and any(
            _order(other) > _order(edit) and not _saw(other, edit, number) and not _saw(edit, other, position)
            for position, other in numbered
            if other is not edit
        )
    ]
    return AssignmentNote(
        field=name,
        value=standing.value,
        version=len(edits),
        edit_id=strawberry.ID(standing.id),
        edited_at=standing.at,
        lost_edits=[
            LostEdit(id=strawberry.ID(edit.id), value=edit.value, edited_at=edit.at)
            for edit in sorted(lost, key=_order, reverse=True)
        ],
    )


def _saw(later: NoteEdit, earlier: NoteEdit, number: int) -> bool:
    """Whether who made `later` knew `earlier`, the field's edit of that number: a device knows all of its own.

    Sessions of an identity provider name no device: they know what they have pulled.
    """
    if later.device_id and later.device_id == earlier.device_id:
        return (later.device_sequence, later.id) > (earlier.device_sequence, earlier.id)
    return number <= later.base_version


def _order(edit: NoteEdit) -> tuple[datetime, int, str]:
    return edit.at, edit.device_sequence, edit.id


PERMITS: tuple[Row, ...] = (
    ("Mutation", FOLLOWERS, "editAssignmentNotes"),
    ("AssignmentNote", SEEN, "field value version editId editedAt lostEdits"),
    ("LostEdit", SEEN, "id value editedAt"),
)
