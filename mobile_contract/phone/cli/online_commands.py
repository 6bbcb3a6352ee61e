"""The commands that ask the server each time: what it read in one's photos, and the steps of an assignment.

What the phone has pulled is read by `reading`; what waits on it is no matter of these.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mobile_contract.phone.cli import output
from mobile_contract.phone.cli.metadata_comparison import differences, read_truth
from mobile_contract.phone.cli.options import DEFAULT_FOLDER, AsJson, Where, report_errors
from mobile_contract.phone.device import Device
from mobile_contract.phone.errors import SignInNeededError, UnreachableError
from mobile_contract.phone.sync.assignment_responses import HELD, AnswerSubmission, answer
from mobile_contract.phone.sync.queued_operations import SlipState
from mobile_contract.phone.users.session import Account

T = TypeVar("T")
app = typer.Typer()
AssignmentId = Annotated[str, typer.Argument(metavar="ID", help="The assignment, as `assignments` shows it.")]


def _ask(device: Device, work: Callable[[Account], Awaitable[T]]) -> T:
    async def run() -> T:
        async with device.online() as line:
            return await work(line.account)

    return asyncio.run(run())


async def _all(account: Account, operation: str, size: int, most: int) -> list[dict[str, Any]]:
    """The first `most` nodes of a list, page by page."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while len(found) < most:
        reply = await account.ask(operation, {"first": min(size, most - len(found)), "after": after})
        found += reply.items()
        after = reply.next_page
        if after is None:
            break
    return found


@app.command()
def table(
    most: Annotated[int, typer.Option("--most", min=1, help="Of so many observations, latest first.")] = 200,
    truth: Annotated[
        Path | None,
        typer.Option(help="A truth.json: say where each file differs from it (exit code 1), or that it agrees."),
    ] = None,
    as_json: AsJson = False,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """What the server read in the photos on this phone, beside their file names (影像信息)."""
    with report_errors(), Device.opened(folder) as device:
        known = read_truth(truth) if truth else {}
        names = {each.id: each.name for each in device.outbox.media()}
        nodes = _ask(device, lambda account: _all(account, "MyReports", 50, most))
        rows = [
            {"name": names[each["id"]], "observationId": node["id"], **each}
            for node in nodes
            for each in node["content"]["media"]
            if each["id"] in names
        ]
        rows.sort(key=lambda row: str(row["name"]))
        if truth:
            for row in rows:
                row["differences"] = (
                    differences(row["facts"], known[row["sha256"]])
                    if row["sha256"] in known
                    else ["nothing is known of it"]
                )
        output.print_json(rows) if as_json else output.facts(rows)
    if any(row.get("differences") for row in rows):
        raise typer.Exit(1)


@app.command()
def accept(id: AssignmentId, folder: Where = DEFAULT_FOLDER) -> None:
    """Accept an assignment (签收): from now on you answer for it. Without a line it waits, and `send` hands it in."""
    _answer(folder, answer(id), ("Accepted.", "已签收。"))


@app.command()
def finish(
    id: AssignmentId,
    result: Annotated[str, typer.Option("--result", help="What came of it (办理结果).")],
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Say that an assignment is done (完成). Without a line it waits, and `send` hands it in."""
    _answer(folder, answer(id, result), ("Finished.", "已完成。"))


def _answer(folder: Path, said: dict[str, Any], done: tuple[str, str]) -> None:
    """Keep it, and hand in the answers that wait at once where there is a line; exit code 1 for a refusal."""
    with report_errors(), Device.opened(folder) as device:
        device.answers.add(said)
        try:
            _ask(device, lambda account: AnswerSubmission(device.answers, account).run())
        except (UnreachableError, SignInNeededError):
            output.say("Kept. `send` hands it in.", "已登记，等待发送。")
            return
        [kept] = [each for each in device.answers.all() if each.id == said["id"]]
        if kept.receipt is None or kept.receipt["outcome"] == HELD:
            output.answers([kept])
        else:
            output.say(*done)
        if kept.state is SlipState.REFUSED:
            raise typer.Exit(1)
