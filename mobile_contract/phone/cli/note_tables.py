"""Print tables of notes, lost edits and queued edits."""

from collections.abc import Mapping, Sequence

from rich.text import Text

from mobile_contract.phone.cli.output import console, explain_operations, local_time, new_table, state
from mobile_contract.phone.cli.wording import NOTES
from mobile_contract.phone.sync.assignment_notes import Note
from mobile_contract.phone.sync.queued_operations import QueuedOperation


def notes(notes_by_assignment: Mapping[str, Sequence[Note]]) -> None:
    """Print a line for each field, and its lost edits below it."""
    rows = new_table("field 字段", "note 备注", "state 状态", "id")
    for id, fields in notes_by_assignment.items():
        rows.add_row("", "", "", Text(id))
        for note in fields:
            rows.add_row(NOTES[note.field], Text(note.value or ""), state("QUEUED") if note.waits else "")
            for lost in note.lost:
                when = Text(f"lost 落选 {local_time(lost['editedAt'])}", style="yellow")
                rows.add_row("", Text(f"└ {lost['value'] or ''}"), when, Text(lost["id"], style="dim"))
    console.print(rows)


def edits(operations: Sequence[QueuedOperation]) -> None:
    """Print a line for each stored note edit, and its errors."""
    if not operations:
        return
    rows = new_table("No. 序号", "assignment 交办", "field 字段", "note 备注", "state 状态")
    for edit in operations:
        draft = edit.draft
        value = f"restores 恢复 {draft['restores']}" if "restores" in draft else draft.get("value") or ""
        rows.add_row(edit.label, draft["assignmentId"], NOTES[draft["field"]], Text(value), state(edit.state))
    console.print(rows)
    explain_operations(operations, "note")
