"""Define the commands for notes of assignments. They work offline; `send` sends the edits."""

from typing import Annotated

import typer

from mobile_contract.phone.cli import note_tables, output
from mobile_contract.phone.cli.options import DEFAULT_FOLDER, AsJson, Where, report_errors
from mobile_contract.phone.device import PhoneDevice
from mobile_contract.phone.sync.assignment_notes import NoteField, read_day

app = typer.Typer()
AssignmentId = Annotated[str, typer.Argument(metavar="ID", help="The assignment, as `assignments` shows it.")]


@app.command()
def note(
    id: AssignmentId,
    text: Annotated[str | None, typer.Option(help="Your working note (工作备注). An empty text clears it.")] = None,
    planned_on: Annotated[str | None, typer.Option(help="The planned day (计划日期). An empty text clears it.")] = None,
    contact: Annotated[
        str | None, typer.Option(help="The contact on site (现场联系人). An empty text clears it.")
    ] = None,
    restore: Annotated[
        str | None, typer.Option(help="A lost edit, as `notes` shows it, whose value to restore (恢复).")
    ] = None,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Edit the notes of an assignment (备注). This works offline. Your other devices see the edit, and fields merge."""
    with report_errors(), PhoneDevice.open(folder) as device:
        day = read_day(planned_on) if planned_on else planned_on
        values = {NoteField.WORKING_NOTE: text, NoteField.PLANNED_ON: day, NoteField.CONTACT: contact}
        device.notebook.write(
            id, {field: value or None for field, value in values.items() if value is not None}, restore
        )
        output.print_message("Saved. `send` sends it.", "已登记备注，等待发送。")


@app.command()
def notes(*, as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """Show the notes of your assignments, as last pulled, and the edits that lost against a later edit (备注)."""
    with report_errors(), PhoneDevice.open(folder) as device:
        notes_by_assignment = device.notebook.all()
        if as_json:
            output.print_json({id: [vars(note) for note in fields] for id, fields in notes_by_assignment.items()})
            return
        if notes_by_assignment:
            note_tables.notes(notes_by_assignment)
        output.print_age(device.records.age.as_of, device.records.age.pulled_at)
