"""Edit the notes of assignments (交办备注) offline, send the edits, and store the notes that the server merged.

If two devices edit the same field, the server decides which edit wins.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from mobile_contract.phone.errors import ServerRefusedError, UsageError
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.sync.local_records import PulledKind, Records
from mobile_contract.phone.sync.queued_operations import (
    TABLE,
    OperationAnswer,
    OperationQueue,
    OperationState,
    OperationSubmission,
    QueuedOperation,
)
from mobile_contract.phone.users.session import Account


class NoteField(StrEnum):
    WORKING_NOTE = "WORKING_NOTE"  # 工作备注
    PLANNED_ON = "PLANNED_ON"  # 计划日期
    CONTACT = "CONTACT"  # 现场联系人


@dataclass(frozen=True)
class Note:
    """One field of an assignment's notes, as this phone shows it. `version` is the server's version of the field.

    `waits` means that the phone has an unsent edit of the field. `lost` are the edits that lost against another edit.
    """

    field: NoteField
    value: str | None
    version: int
    waits: bool
    lost: tuple[dict[str, Any], ...]


class NoteEditQueue(OperationQueue):
    table, letter = "note_edits", "N"

    def edit(self, edits: Sequence[dict[str, Any]]) -> None:
        """Save edits, all or none. Give each edit the next running number."""
        with self._outbox.transaction() as database:
            database.execute(TABLE.format(self.table))
            last = database.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (self.table,)).fetchone()
            for number, edit in enumerate(edits, start=int(last[0] if last else 0) + 1):
                draft = json.dumps(edit | {"deviceSequence": number}, ensure_ascii=False)
                values = (number, edit["id"], draft)
                database.execute("INSERT INTO note_edits (number, id, draft) VALUES (?, ?, ?)", values)


def _read_result(id: str, result: dict[str, Any]) -> OperationAnswer:
    if result.get("id") == id and result.get("outcome") in {"SETTLED", "DUPLICATE"}:
        return {"outcome": result["outcome"]}
    return ServerRefusedError.read(result.get("refusal") or {})


class NoteSubmission(OperationSubmission):
    operation, items, read_result = "EditAssignmentNotes", "edits", staticmethod(_read_result)

    def __init__(self, queue: NoteEditQueue, records: Records, account: Account) -> None:
        super().__init__(queue, account)
        self._records = records

    def record_results(self, batch: Sequence[QueuedOperation], payload: dict[str, Any]) -> None:
        """Store the merged notes in the assignment, then the results.

        Because of this order, the phone shows an edit at all times, even before the next pull.
        """
        for result in payload["results"]:
            if assignment := result.get("assignment"):
                self._records.merge(PulledKind.ASSIGNMENT, assignment["id"], {"notes": assignment["notes"]})
        super().record_results(batch, payload)


def notes_of(assignment: dict[str, Any], queued: Sequence[QueuedOperation]) -> list[Note]:
    """Return an assignment's note fields, with the queued edits applied in order.

    Leave out fields without a stored note or a queued edit.
    """
    stored = {note["field"]: note for note in assignment.get("notes") or ()}
    drafts = [operation.draft for operation in queued if operation.draft["assignmentId"] == assignment["id"]]
    waiting = {draft["field"]: draft for draft in drafts}
    restored = {draft.get("restores") for draft in drafts}
    notes = []
    for field in NoteField:
        note, edit = stored.get(field.value) or {}, waiting.get(field.value)
        if note or edit:
            values = {lost_edit["id"]: lost_edit["value"] for lost_edit in note.get("lostEdits", ())}
            shown = (edit or note).get("value")
            value = values.get(edit["restores"]) if edit and "restores" in edit else shown
            lost = tuple(lost_edit for lost_edit in note.get("lostEdits", ()) if lost_edit["id"] not in restored)
            notes.append(Note(field, value, note.get("version", 0), edit is not None, lost))
    return notes


class Notebook:
    """The notes of the assignments that this phone has pulled."""

    def __init__(self, outbox: Outbox, records: Records) -> None:
        self.queue = NoteEditQueue(outbox)
        self._records = records

    def all(self) -> dict[str, list[Note]]:
        """Return the notes by assignment id. Leave out assignments without notes."""
        queued = self.queue.all(OperationState.QUEUED)
        notes_by_id = {
            assignment["id"]: notes_of(assignment, queued) for assignment in self._records.all(PulledKind.ASSIGNMENT)
        }
        return {id: notes for id, notes in notes_by_id.items() if notes}

    def write(self, assignment_id: str, values: dict[NoteField, str | None], restores: str | None = None) -> None:
        """Queue an edit for each field in `values`, and an edit that restores the lost edit `restores`.

        The value None clears a field. Raise `UsageError` if the phone has no such assignment or lost edit.
        """
        assignment = self._records.by_id(PulledKind.ASSIGNMENT).get(assignment_id)
        if assignment is None:
            raise UsageError(
                f"There is no assignment {assignment_id} on this phone; see `assignments`.",
                "手机上没有这项交办，请先同步。",
            )
        notes = {note.field: note for note in notes_of(assignment, self.queue.all(OperationState.QUEUED))}
        edits = [_edit(assignment_id, field, notes.get(field)) | {"value": value} for field, value in values.items()]
        if restores is not None:
            edits.append(_restoring_edit(assignment_id, restores, notes))
        if not edits:
            raise UsageError("There is nothing to save: give a field, or --restore.", "没有可登记的备注。")
        self.queue.edit(edits)


def _edit(assignment_id: str, field: NoteField, note: Note | None) -> dict[str, Any]:
    return {
        "id": new_id("evt"),
        "assignmentId": assignment_id,
        "field": field.value,
        "baseVersion": note.version if note else 0,
        "editedAt": datetime.now().astimezone().isoformat(timespec="milliseconds"),
    }


def _restoring_edit(assignment_id: str, restores: str, notes: dict[NoteField, Note]) -> dict[str, Any]:
    """Make an edit that restores a lost edit. It contains no value, because the server has the lost edit."""
    for field, note in notes.items():
        if any(lost_edit["id"] == restores for lost_edit in note.lost):
            return _edit(assignment_id, field, note) | {"restores": restores}
    raise UsageError(f"There is no lost edit {restores} of this assignment; see `notes`.", "没有这条落选的修改。")


def read_day(text: str) -> str:
    """Read a date such as 2026-12-01. Raise `UsageError` if the text is not such a date."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"{text!r} is not a date such as 2026-12-01.", "日期应写成 2026-12-01。") from None
