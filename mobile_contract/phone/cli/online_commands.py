"""Define the commands that contact the server at once: show photo metadata, accept and finish assignments."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mobile_contract.phone.cli import output
from mobile_contract.phone.cli.metadata_comparison import differences, read_expected
from mobile_contract.phone.cli.options import DEFAULT_FOLDER, AsJson, Where, report_errors
from mobile_contract.phone.device import PhoneDevice
from mobile_contract.phone.errors import SignInNeededError, UnreachableError
from mobile_contract.phone.sync.assignment_responses import HELD, AnswerSubmission, compose_answer
from mobile_contract.phone.sync.queued_operations import OperationState
from mobile_contract.phone.users.session import Account

T = TypeVar("T")
app = typer.Typer()
AssignmentId = Annotated[str, typer.Argument(metavar="ID", help="The assignment, as `assignments` shows it.")]


def _ask(device: PhoneDevice, work: Callable[[Account], Awaitable[T]]) -> T:
    async def run() -> T:
        async with device.connect() as connection:
            return await work(connection.account)

    return asyncio.run(run())


async def _fetch_nodes(account: Account, operation: str, size: int, most: int) -> list[dict[str, Any]]:
    """Fetch the first `most` nodes of a list, page by page."""
    nodes: list[dict[str, Any]] = []
    after: str | None = None
    while len(nodes) < most:
        reply = await account.ask(operation, {"first": min(size, most - len(nodes)), "after": after})
        nodes += reply.items()
        after = reply.next_page
        if after is None:
            break
    return nodes


@app.command()
def table(
    most: Annotated[int, typer.Option("--most", min=1, help="Maximum number of observations, newest first.")] = 200,
    truth: Annotated[
        Path | None,
        typer.Option(help="A truth.json to compare each file with. A difference gives exit code 1."),
    ] = None,
    as_json: AsJson = False,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Show what the server read in the photos of this phone (影像信息)."""
    with report_errors(), PhoneDevice.open(folder) as device:
        expected = read_expected(truth) if truth else {}
        names = {medium.id: medium.name for medium in device.outbox.media()}
        nodes = _ask(device, lambda account: _fetch_nodes(account, "MyReports", 50, most))
        rows = [
            {"name": names[medium["id"]], "observationId": node["id"], **medium}
            for node in nodes
            for medium in node["content"]["media"]
            if medium["id"] in names
        ]
        rows.sort(key=lambda row: str(row["name"]))
        if truth:
            for row in rows:
                row["differences"] = (
                    differences(row["facts"], expected[row["sha256"]])
                    if row["sha256"] in expected
                    else ["not in truth.json"]
                )
        output.print_json(rows) if as_json else output.facts(rows)
    if any(row.get("differences") for row in rows):
        raise typer.Exit(1)


@app.command()
def accept(id: AssignmentId, folder: Where = DEFAULT_FOLDER) -> None:
    """Accept an assignment (签收). You are responsible for it from now on. Offline, `send` sends the answer later."""
    _answer(folder, compose_answer(id), ("Accepted.", "已签收。"))


@app.command()
def finish(
    id: AssignmentId,
    result: Annotated[str, typer.Option("--result", help="The result (办理结果).")],
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Finish an assignment (完成). Offline, `send` sends the answer later."""
    _answer(folder, compose_answer(id, result), ("Finished.", "已完成。"))


def _answer(folder: Path, draft: dict[str, Any], done: tuple[str, str]) -> None:
    """Save the answer, and send all queued answers if online. A refusal gives exit code 1."""
    with report_errors(), PhoneDevice.open(folder) as device:
        device.answers.add(draft)
        try:
            _ask(device, lambda account: AnswerSubmission(device.answers, account).run())
        except (UnreachableError, SignInNeededError):
            output.print_message("Saved. `send` sends it.", "已登记，等待发送。")
            return
        [queued] = [operation for operation in device.answers.all() if operation.id == draft["id"]]
        if queued.receipt is None or queued.receipt["outcome"] == HELD:
            output.answers([queued])
        else:
            output.print_message(*done)
        if queued.state is OperationState.REFUSED:
            raise typer.Exit(1)
