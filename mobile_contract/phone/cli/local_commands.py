"""Define the commands that work offline: take photos, rate units, show the status, correct and delete items."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mobile_contract.phone.cli import note_tables, output
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
from mobile_contract.phone.cli.wording import size
from mobile_contract.phone.device import PhoneDevice
from mobile_contract.phone.errors import UsageError
from mobile_contract.phone.outbox.drafts import Datum, change
from mobile_contract.phone.outbox.items import ObservationState, OutboxObservation
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.outbox.receipts import Receipts
from mobile_contract.phone.outbox.sequence_gaps import SequenceGaps
from mobile_contract.phone.sync.assignment_notes import NoteEditQueue
from mobile_contract.phone.sync.assignment_responses import AnswerQueue
from mobile_contract.phone.sync.local_records import Records
from mobile_contract.phone.sync.queued_operations import OperationState
from mobile_contract.phone.sync.ratings import RatingQueue, compose
from mobile_contract.phone.users.session import Session

app = typer.Typer()
SKEW_SECONDS = 300
RefusedId = Annotated[
    str, typer.Argument(metavar="ID", help="A refused observation: its id, or its number in `status`.")
]


@app.command()
def take(
    sources: Annotated[list[Path] | None, typer.Argument(help="Photos, or folders of photos.", exists=True)] = None,
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
    together: Annotated[
        bool, typer.Option("--together", help="Make one observation of all photos, not one for each.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Include photos that this phone has taken before.")] = False,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Register photos as observations (拍摄登记). This works offline, and you can delete the files afterwards."""
    with report_errors():
        content = content_of(unit, point, method, category, severity, text, at, position, datum)
        files = list(_list_files(sources or ()))
        if not files and (sources or not text):
            raise UsageError("There is nothing to take: name photos, or give --text.", "没有可登记的内容。")
        with PhoneDevice.open(folder, makes=True) as device, output.console.status("Taking 登记中…"):
            before = len(device.outbox.observations())
            taken = device.take(files, content, together=together, again=again)
            count = len(device.outbox.observations()) - before
        total = sum(original.byte_size for original in taken.originals)
        output.print_message(
            f"Taken: {count} observations with {len(taken.originals)} media ({size(total)}). `send` sends them.",
            f"已登记 {count} 条记录、{len(taken.originals)} 个影像。",
        )
        if taken.known:
            output.print_message(
                f"Skipped, because they were taken before: {', '.join(taken.known)}.", "以前登记过，已跳过。"
            )
        for name, reason in taken.left:
            output.print_message(f"Not taken: {name} {reason}.")
        if not taken.originals and not taken.known and files:
            raise typer.Exit(1)


def _list_files(sources: Sequence[Path]) -> list[Path]:
    """List the named files, and the files directly in named folders, sorted by name."""
    files: list[Path] = []
    for source in sources:
        if source.is_dir():
            files += sorted(path for path in source.iterdir() if path.is_file() and not path.name.startswith("."))
        else:
            files.append(source)
    return files


@app.command()
def rate(
    unit: Annotated[str, typer.Argument(help="The unit to rate: code or id (单位代码).")],
    point: Annotated[str, typer.Option(help="Your monitoring point: code or id (监测点编号).")],
    score: Annotated[int | None, typer.Option(min=0, max=100, help="A score from 0 to 100 (分值).")] = None,
    grade: Annotated[
        str | None, typer.Option(help="A grade of the catalogue instead of a score, such as 优 (等级).")
    ] = None,
    month: Annotated[
        str | None, typer.Option(help="The month, such as 2026-11. Default: this month in Beijing.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="The reason. Readers of the rating see it (理由).")] = None,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Rate a unit for a month (满意度测评). This works offline. A later rating for the same unit and month replaces it."""
    with report_errors(), PhoneDevice.open(folder, makes=True) as device:
        device.ratings.add(compose(unit, point, month, score=score, grade=grade, reason=reason))
        output.print_message("Saved. `send` sends it.", "已登记测评，等待发送。")


@app.command()
def status(as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """Show the state of everything on this phone (状态). This works while another command is running."""
    with report_errors(), PhoneDevice.open_outbox(folder) as outbox:
        observations = outbox.observations() if outbox else []
        forgotten = outbox.count_forgotten() if outbox else 0
        ratings = RatingQueue(outbox).all() if outbox else []
        answers = AnswerQueue(outbox).all() if outbox else []
        edits = NoteEditQueue(outbox).all() if outbox else []
        alarms = alarms_of(outbox) if outbox else []
        session = Session.read(outbox) if outbox else None
        if as_json:
            standing = _status_as_json(folder.absolute(), session, observations, forgotten)
            more = {
                "ratings": [vars(rating) for rating in ratings],
                "answers": [vars(answer) for answer in answers],
                "noteEdits": [vars(edit) for edit in edits],
                "alarms": [english for english, _ in alarms],
            }
            output.print_json(standing | more | (_sync_as_json(outbox) if outbox else {}))
            return
        if session:
            signed = f"{session.display_name} ({session.user_name}) at {session.endpoint}"
            output.print_message(signed if session.is_open else f"{signed}: sign in again 请重新登录")
        else:
            output.print_message("Not signed in yet 尚未登录")
        if observations or not (ratings or answers or edits):
            output.outbox(observations, forgotten)
        output.ratings(ratings)
        output.answers(answers)
        note_tables.edits(edits)
        output.alarms([*alarms, *(clock_warning(outbox) if outbox else [])])


def _sync_as_json(outbox: Outbox) -> dict[str, object]:
    """Return the findings of the last sync: lost numbers, clock error, and the age and counts of the pulled records."""
    numbers, records = SequenceGaps(outbox), Records(outbox)
    return {
        "lost": numbers.lost,
        "clockSkewSeconds": numbers.skew_seconds,
        "pulledAt": records.age.pulled_at,
        "asOf": records.age.as_of,
        "records": records.counts(),
    }


def alarms_of(outbox: Outbox) -> list[tuple[str, str]]:
    """Return urgent messages in English and Chinese: lost numbers and invalid receipts."""
    alarms = []
    if lost := SequenceGaps(outbox).lost:
        numbers = ", ".join(map(str, lost[:20])) + (" ..." if len(lost) > 20 else "")
        english = (
            f"LOST: the server does not have No. {numbers}, and this phone does not have it any more. Tell your office."
        )
        alarms.append((english, f"丢失：服务器没有第 {numbers} 号记录，手机上也已没有，请报告所在单位。"))
    for receipt in Receipts(outbox).all():
        if receipt.wrong:
            english = f"The receipt of No. {receipt.sequence} proves nothing: {receipt.wrong} This phone keeps the observation."
            alarms.append((english, f"第 {receipt.sequence} 号的回执无法验证，相关内容保留在手机上。"))
    return alarms


def clock_warning(outbox: Outbox) -> list[tuple[str, str]]:
    """Return a warning if this device's clock was far off at the last sync. The warning has no effect on sending."""
    skew = SequenceGaps(outbox).skew_seconds
    if skew is None or abs(skew) < SKEW_SECONDS:
        return []
    ahead = "ahead of" if skew > 0 else "behind"
    return [
        (
            f"This device's clock is {abs(skew):.0f} s {ahead} the server's clock. Set it.",
            "本机时钟与服务器相差较大，请校准。",
        )
    ]


def _status_as_json(
    folder: Path, session: Session | None, observations: Sequence[OutboxObservation], forgotten: int
) -> dict[str, object]:
    return {
        "folder": str(folder),
        "server": session and session.endpoint,
        "user": session and session.user_name,
        "signedIn": bool(session and session.is_open),
        "observations": [observation.as_json() for observation in observations],
        "undelivered": sum(observation.is_undelivered for observation in observations),
        "aside": sum(observation.is_aside for observation in observations),
        "through": sum(observation.is_through for observation in observations),
        "forgotten": forgotten,
    }


@app.command()
def fix(
    id: RefusedId,
    unit: Unit = None,
    point: Point = None,
    method: How = None,
    category: What = None,
    severity: Grave = None,
    text: Words = None,
    at: At = None,
    position: Position = None,
    datum: Grid = Datum.WGS84,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Correct a refused observation (修改后重发), and queue it again. The given values replace the old ones."""
    with report_errors():
        content = content_of(unit, point, method, category, severity, text, at, position, datum)
        with PhoneDevice.open(folder) as device:
            refused = _find_refused(device.outbox, id)
            device.outbox.replace_refused(refused.id, change(refused.draft, content.fields()))
        output.print_message(f"No. {refused.sequence} is queued again.", "已修改，等待重新发送。")


@app.command()
def discard(id: RefusedId, folder: Where = DEFAULT_FOLDER) -> None:
    """Delete a refused observation with its photos, or a refused rating, answer or note (放弃).

    The server has stored nothing of it.
    """
    with report_errors(), PhoneDevice.open(folder) as device:
        for queue in device.queues:
            for operation in queue.all(OperationState.REFUSED):
                if id in {operation.id, operation.label}:
                    queue.discard(operation.id)
                    output.print_message(f"{operation.label} was deleted from this phone.", "已从手机删除。")
                    return
        refused = _find_refused(device.outbox, id)
        device.discard(refused.id)
        output.print_message(f"No. {refused.sequence} was deleted from this phone.", "已从手机删除。")


def _find_refused(outbox: Outbox, id_or_number: str) -> OutboxObservation:
    """Find a refused observation by id or number. Raise `UsageError` if there is none."""
    if observation := outbox.find(id_or_number, ObservationState.REFUSED):
        return observation
    raise UsageError(
        f"There is no refused observation {id_or_number} on this phone; see `status`.", "没有这条被退回的记录。"
    )


@app.command()
def forget(folder: Where = DEFAULT_FOLDER) -> None:
    """Delete photos, texts, ratings, answers and note edits that the server has (清理). Receipts stay."""
    with report_errors(), PhoneDevice.open(folder) as device:
        deleted, rated = device.forget(), device.ratings.forget()
        device.answers.forget()
        device.notebook.queue.forget()
        freed = size(sum(medium.byte_size for observation in deleted for medium in observation.media))
        and_rated = f" and {rated} ratings" if rated else ""
        output.print_message(
            f"Deleted {len(deleted)} observations ({freed}){and_rated}. Their receipts stay.", "已清理，回执保留。"
        )
