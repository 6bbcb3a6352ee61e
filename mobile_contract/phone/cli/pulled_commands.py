"""Define the commands that read pulled records. They work offline. Their option `--now` pulls changes first."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mobile_contract.phone.cli import output, pulled_tables
from mobile_contract.phone.cli.options import DEFAULT_FOLDER, AsJson, Where, report_errors
from mobile_contract.phone.device import PhoneDevice
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.outbox.receipts import Receipts
from mobile_contract.phone.storage.folder import write_private
from mobile_contract.phone.sync.local_records import PulledKind, Records

T = TypeVar("T")
app = typer.Typer()
Words = Annotated[str, typer.Argument(metavar="WORDS", help="Part of a name or code. Default: show all.")]
Now = Annotated[bool, typer.Option("--now", help="Pull changes first (先同步).")]
Row = dict[str, Any]


def _with_outbox(folder: Path, work: Callable[[Outbox], T], *, now: bool) -> T | None:
    """Run `work` on the outbox. Return None if there is no store.

    With `now`, pull changes first. Without `now`, another command may run at the same time.
    """
    if now:
        with PhoneDevice.open(folder) as device:

            async def pull() -> None:
                async with device.connect() as connection:
                    await connection.pull()

            asyncio.run(pull())
            return work(device.outbox)
    with PhoneDevice.open_outbox(folder) as outbox:
        if outbox:
            return work(outbox)
    output.print_age(None, None)
    return None


def _show(
    folder: Path,
    *,
    now: bool,
    as_json: bool,
    rows_of: Callable[[Records], list[Row]],
    show: Callable[[list[Row]], None],
) -> None:
    def work(outbox: Outbox) -> None:
        records = Records(outbox)
        rows = rows_of(records)
        if as_json:
            output.print_json(rows)
            return
        if rows:
            show(rows)
        output.print_age(records.age.as_of, records.age.pulled_at)

    with report_errors():
        _with_outbox(folder, work, now=now)


@app.command()
def pull(folder: Where = DEFAULT_FOLDER) -> None:
    """Pull changes (同步数据), and send nothing."""

    def work(outbox: Outbox) -> None:
        records = Records(outbox)
        counts = ", ".join(f"{many} {kind.lower().replace('_', ' ')}" for kind, many in records.counts().items())
        output.print_message(f"On this phone: {counts or 'nothing'}.", "已同步。")
        output.print_age(records.age.as_of, records.age.pulled_at)

    with report_errors():
        _with_outbox(folder, work, now=True)


@app.command()
def reports(
    most: Annotated[int, typer.Option("--most", min=1, help="Maximum number of reports, newest first.")] = 20,
    *,
    now: Now = False,
    as_json: AsJson = False,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Show your reports and their follow-up (我的记录), as last pulled."""

    def rows_of(records: Records) -> list[Row]:
        rows = _join(records, PulledKind.OBSERVATION, unit=PulledKind.UNIT, monitoringPoint=PulledKind.MONITORING_POINT)
        return sorted(rows, key=lambda row: str(row["receivedAt"]), reverse=True)[:most]

    _show(folder, now=now, as_json=as_json, rows_of=rows_of, show=pulled_tables.reports)


@app.command()
def assignments(*, now: Now = False, as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """Show your assignments (我的交办), as last pulled."""

    def rows_of(records: Records) -> list[Row]:
        rows = _join(records, PulledKind.ASSIGNMENT, case=PulledKind.CASE, unit=PulledKind.UNIT)
        return [row | {"kind": row["assignmentKind"], "state": row["assignmentState"]} for row in rows]

    _show(folder, now=now, as_json=as_json, rows_of=rows_of, show=pulled_tables.assignments)


@app.command()
def units(words: Words = "", *, now: Now = False, as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """Show the codes of units and windows, for --unit (单位代码), as last pulled."""
    _show_places(folder, words, PulledKind.UNIT, "parent", "name", now=now, as_json=as_json)


@app.command()
def points(words: Words = "", *, now: Now = False, as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """Show the codes of monitoring points, for --point (监测点编号), as last pulled."""
    _show_places(folder, words, PulledKind.MONITORING_POINT, "unit", "enterprise", now=now, as_json=as_json)


def _show_places(
    folder: Path, words: str, kind: PulledKind, above: str, name: str, *, now: bool, as_json: bool
) -> None:
    def cells(row: Row) -> tuple[str, str, str]:
        return row["code"], row[name], (row[above] or {}).get("name", "")

    def rows_of(records: Records) -> list[Row]:
        places = sorted(_join(records, kind, **{above: PulledKind.UNIT}), key=lambda row: str(row["code"]))
        return [row for row in places if any(words in cell for cell in cells(row))]

    def show(rows: list[Row]) -> None:
        pulled_tables.places([cells(row) for row in rows])

    _show(folder, now=now, as_json=as_json, rows_of=rows_of, show=show)


@app.command()
def catalogue(words: Words = "", *, now: Now = False, as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """Show grades, service items and fee items, with their dates of validity (目录), as last pulled."""

    def rows_of(records: Records) -> list[Row]:
        entries = [entry | {"kind": entry["catalogueKind"]} for entry in records.all(PulledKind.CATALOGUE_ENTRY)]
        entries.sort(key=lambda row: (row["kind"], row["code"], row["validFrom"]))
        return [row for row in entries if words in row["code"] or words in row["name"]]

    _show(folder, now=now, as_json=as_json, rows_of=rows_of, show=pulled_tables.catalogue)


def _join(records: Records, kind: PulledKind, **links: PulledKind) -> list[Row]:
    """List records of a kind. In the fields `links`, replace the bare id by the linked record, if it is stored."""
    rows = records.all(kind)
    for name, other in links.items():
        linked = records.by_id(other)
        for row in rows:
            if row[name]:
                row[name] = linked.get(row[name]["id"], row[name])
    return rows


@app.command()
def receipts(
    export: Annotated[
        Path | None,
        typer.Option(help="Write each receipt and the public keys into this folder."),
    ] = None,
    *,
    as_json: AsJson = False,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Verify and show the server's signed receipts (回执). An invalid receipt gives exit code 1."""

    def work(outbox: Outbox) -> bool:
        store = Receipts(outbox)
        stored_receipts = store.all()
        if export:
            export.mkdir(parents=True, exist_ok=True)
            for receipt in stored_receipts:
                if receipt.is_signed:
                    write_private(export / f"{receipt.observation_id}.jws", str(receipt.said["signed"]))
            write_private(export / "evidence-keys.json", output.as_text(store.as_key_list()))
        output.print_json([receipt.as_json() for receipt in stored_receipts]) if as_json else pulled_tables.receipts(
            stored_receipts
        )
        return any(receipt.is_wrong for receipt in stored_receipts)

    with report_errors():
        is_wrong = _with_outbox(folder, work, now=False)
    if is_wrong:
        raise typer.Exit(1)
