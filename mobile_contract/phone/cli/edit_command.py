"""Define the command `edit`. It edits an observation that was never sent, even from several windows at once."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from mobile_contract.phone.cli import output
from mobile_contract.phone.cli.options import (
    DEFAULT_FOLDER,
    AsJson,
    At,
    Grave,
    Grid,
    How,
    Point,
    Position,
    Unit,
    What,
    Where,
    Words,
    content_of,
    report_errors,
)
from mobile_contract.phone.device import PhoneDevice
from mobile_contract.phone.errors import UsageError
from mobile_contract.phone.outbox.draft_edits import CLEARABLE, DraftEdit, DraftEdits, merge_edits
from mobile_contract.phone.outbox.drafts import Datum, read_instant
from mobile_contract.phone.outbox.items import OutboxObservation
from mobile_contract.phone.outbox.outbox import Outbox

app = typer.Typer()
WaitingId = Annotated[
    str, typer.Argument(metavar="ID", help="A queued observation: its id, or its number in `status`.")
]


@app.command()
def edit(
    id: WaitingId,
    unit: Unit = None,
    point: Point = None,
    method: How = None,
    category: What = None,
    severity: Grave = None,
    text: Words = None,
    at: At = None,
    position: Position = None,
    datum: Grid = Datum.WGS84,
    *,
    seen: Annotated[
        int | None, typer.Option(min=0, help="The draft version that your window shows. Default: the newest.")
    ] = None,
    edited_at: Annotated[str | None, typer.Option(help="When it was typed. Default: now.")] = None,
    restore: Annotated[str | None, typer.Option(help="A lost edit whose value to restore (恢复).")] = None,
    as_json: AsJson = False,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Edit an observation that was never sent (修改草稿), or show it.

    Edits of different fields from several windows merge. If two windows edit the same field, the value that was typed
    later wins, and the other value is kept as a lost edit. An empty --unit or --point clears the field.
    """
    with report_errors():
        fields = content_of(unit, point, method, category, severity, text, at, position, datum).fields()
        values = {name: None if value == "" and name in CLEARABLE else value for name, value in fields.items()}
        typed = _typing_time(edited_at)
        with PhoneDevice.open(folder) as device:
            observation, edits = _find_observation(device.outbox, id), DraftEdits(device.outbox)
            if restore is not None and values:
                raise UsageError("Give either --restore or new values, not both.", "恢复与修改请二选一。")
            new_edits: list[DraftEdit] = []
            if restore is not None:
                new_edits = edits.restore(observation.id, restore)
            elif values:
                new_edits = edits.save(observation.id, values, seen=seen, edited_at=typed)
            _show(_find_observation(device.outbox, id), edits.edits_of(observation.id), new_edits, as_json=as_json)


def _typing_time(edited_at: str | None) -> datetime:
    now = datetime.now(UTC)
    typed = datetime.fromisoformat(read_instant(edited_at) or now.isoformat())
    if typed > now:
        raise UsageError("--edited-at is later than now.", "修改时间不能晚于现在。")
    return typed


def _find_observation(outbox: Outbox, id_or_number: str) -> OutboxObservation:
    if observation := outbox.find(id_or_number):
        return observation
    raise UsageError(f"There is no observation {id_or_number} on this phone; see `status`.", "手机上没有这条记录。")


def _show(observation: OutboxObservation, edits: list[DraftEdit], new_edits: list[DraftEdit], *, as_json: bool) -> None:
    """Show the draft, its version and its lost edits. Mark new edits that have already lost."""
    merged = merge_edits(edits)
    lost = [_lost_as_json(edit) for edit in merged.lost]
    if as_json:
        version = max([0, *(edit.number for edit in edits)])
        output.print_json(
            {"id": observation.id, "version": version, "draft": observation.as_json()["draft"], "lostEdits": lost}
        )
        return
    if new_edits:
        output.print_message(f"No. {observation.sequence} was changed. `send` sends it.", "已修改，等待发送。")
    table = output.new_table("field 字段", "value 内容", "id")
    for name, value in observation.as_json()["draft"].items():
        table.add_row(name, Text(str(value)), "")
        for edit in lost:
            if edit["field"] == name:
                is_own = edit["id"] in {one.id for one in new_edits}
                words = f"{'lost just now 未采用' if is_own else 'lost 落选'}: {edit['value']}"
                table.add_row("", Text(words, style="yellow"), Text(edit["id"], style="dim"))
    output.console.print(table)


def _lost_as_json(edit: DraftEdit) -> dict[str, Any]:
    return {"id": edit.id, "field": edit.field, "value": edit.value, "editedAt": edit.edited_at}
