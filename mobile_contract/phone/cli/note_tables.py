"""Tables of notes: what is noted of each assignment, the edits that lost, and the edits that wait.

What there is to show is put together by `notes`; the rest of the screen is `screen`'s.
"""

from collections.abc import Mapping, Sequence

from rich.text import Text

from mobile_contract.phone.cli.output import console, explain_operations, local_time, new_table, state
from mobile_contract.phone.cli.wording import NOTES
from mobile_contract.phone.sync.assignment_notes import Note
from mobile_contract.phone.sync.queued_operations import QueuedOperation


def notes(found: Mapping[str, Sequence[Note]]) -> None:
    """A line for each field, and under it what lost against it."""
    shown = new_table("field 字段", "note 备注", "state 状态", "id")
    for id, fields in found.items():
        shown.add_row("", "", "", Text(id))
        for note in fields:
            shown.add_row(NOTES[note.field], Text(note.value or ""), state("QUEUED") if note.waits else "")
            for lost in note.lost:
                when = Text(f"lost 落选 {local_time(lost['editedAt'])}", style="yellow")
                shown.add_row("", Text(f"└ {lost['value'] or ''}"), when, Text(lost["id"], style="dim"))
    console.print(shown)


def edits(found: Sequence[QueuedOperation]) -> None:
    """A line for each edit of a note that the phone keeps, and what went wrong with it."""
    if not found:
        return
    shown = new_table("No. 序号", "assignment 交办", "field 字段", "note 备注", "state 状态")
    for each in found:
        draft = each.draft
        said = f"restores 恢复 {draft['restores']}" if "restores" in draft else draft.get("value") or ""
        shown.add_row(each.label, draft["assignmentId"], NOTES[draft["field"]], Text(said), state(each.state))
    console.print(shown)
    explain_operations(found, "note")
