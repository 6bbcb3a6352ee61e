"""The commands that read what the phone has pulled, with or without a line; `--now` pulls first.

What asks the server each time is in `enquiries`.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mobile_contract.phone.cli import output, pulled_tables
from mobile_contract.phone.cli.options import DEFAULT_FOLDER, AsJson, Where, report_errors
from mobile_contract.phone.device import Device
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.outbox.receipts import Receipts
from mobile_contract.phone.storage.folder import write_private
from mobile_contract.phone.sync.local_records import RecordKind, Records

T = TypeVar("T")
app = typer.Typer()
Words = Annotated[str, typer.Argument(metavar="WORDS", help="Part of a name or code; all without.")]
Now = Annotated[bool, typer.Option("--now", help="Pull what has changed first (先同步).")]
Row = dict[str, Any]


def _read(folder: Path, work: Callable[[Outbox], T], *, now: bool) -> T | None:
    """What the phone keeps; None where there is no phone. Without `now` another command may be at work meanwhile."""
    if now:
        with Device.opened(folder) as device:

            async def pull() -> None:
                async with device.online() as line:
                    await line.pull()

            asyncio.run(pull())
            return work(device.outbox)
    with Device.seen(folder) as outbox:
        if outbox:
            return work(outbox)
    output.aged(None, None)
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
        output.aged(records.age.as_of, records.age.pulled_at)

    with report_errors():
        _read(folder, work, now=now)


@app.command()
def pull(folder: Where = DEFAULT_FOLDER) -> None:
    """Pull what has changed (同步数据), and hand in nothing."""

    def work(outbox: Outbox) -> None:
        records = Records(outbox)
        kept = ", ".join(f"{many} {kind.lower().replace('_', ' ')}" for kind, many in records.counts().items())
        output.say(f"Kept: {kept or 'nothing'}.", "已同步。")
        output.aged(records.age.as_of, records.age.pulled_at)

    with report_errors():
        _read(folder, work, now=True)


@app.command()
def reports(
    most: Annotated[int, typer.Option("--most", min=1, help="So many, latest first.")] = 20,
    *,
    now: Now = False,
    as_json: AsJson = False,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """What you have handed in, and what became of it (我的记录), as last pulled."""

    def rows_of(records: Records) -> list[Row]:
        found = _joined(
            records, RecordKind.OBSERVATION, unit=RecordKind.UNIT, monitoringPoint=RecordKind.MONITORING_POINT
        )
        return sorted(found, key=lambda each: str(each["receivedAt"]), reverse=True)[:most]

    _show(folder, now=now, as_json=as_json, rows_of=rows_of, show=pulled_tables.reports)


@app.command()
def assignments(*, now: Now = False, as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """What was given to you (我的交办), as last pulled."""

    def rows_of(records: Records) -> list[Row]:
        found = _joined(records, RecordKind.ASSIGNMENT, case=RecordKind.CASE, unit=RecordKind.UNIT)
        return [each | {"kind": each["assignmentKind"], "state": each["assignmentState"]} for each in found]

    _show(folder, now=now, as_json=as_json, rows_of=rows_of, show=pulled_tables.assignments)


@app.command()
def units(words: Words = "", *, now: Now = False, as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """Codes of units and windows, for --unit (单位代码), as last pulled."""
    _places(folder, words, RecordKind.UNIT, "parent", "name", now=now, as_json=as_json)


@app.command()
def points(words: Words = "", *, now: Now = False, as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """Codes of monitoring points, for --point (监测点编号), as last pulled."""
    _places(folder, words, RecordKind.MONITORING_POINT, "unit", "enterprise", now=now, as_json=as_json)


def _places(folder: Path, words: str, kind: RecordKind, above: str, name: str, *, now: bool, as_json: bool) -> None:
    def cells(row: Row) -> tuple[str, str, str]:
        return row["code"], row[name], (row[above] or {}).get("name", "")

    def rows_of(records: Records) -> list[Row]:
        found = sorted(_joined(records, kind, **{above: RecordKind.UNIT}), key=lambda each: str(each["code"]))
        return [each for each in found if any(words in cell for cell in cells(each))]

    def show(rows: list[Row]) -> None:
        pulled_tables.places([cells(each) for each in rows])

    _show(folder, now=now, as_json=as_json, rows_of=rows_of, show=show)


@app.command()
def catalogue(words: Words = "", *, now: Now = False, as_json: AsJson = False, folder: Where = DEFAULT_FOLDER) -> None:
    """Grades, service items and fee items, with the days on which they hold (目录), as last pulled."""

    def rows_of(records: Records) -> list[Row]:
        found = [each | {"kind": each["catalogueKind"]} for each in records.all(RecordKind.CATALOGUE_ENTRY)]
        found.sort(key=lambda each: (each["kind"], each["code"], each["validFrom"]))
        return [each for each in found if words in each["code"] or words in each["name"]]

    _show(folder, now=now, as_json=as_json, rows_of=rows_of, show=pulled_tables.catalogue)


def _joined(records: Records, kind: RecordKind, **links: RecordKind) -> list[Row]:
    """Records of a kind, with what they only name by id put in where it is kept."""
    found = records.all(kind)
    for name, other in links.items():
        known = records.by_id(other)
        for each in found:
            if each[name]:
                each[name] = known.get(each[name]["id"], each[name])
    return found


@app.command()
def receipts(
    export: Annotated[
        Path | None,
        typer.Option(help="Write them into this folder, each with its name, beside the keys they are signed with."),
    ] = None,
    *,
    as_json: AsJson = False,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """The server's signed receipts (回执), held against the keys that were kept at sign-in; exit code 1 where one is wrong."""

    def work(outbox: Outbox) -> bool:
        kept = Receipts(outbox)
        found = kept.all()
        if export:
            export.mkdir(parents=True, exist_ok=True)
            for each in found:
                if each.is_signed:
                    write_private(export / f"{each.observation_id}.jws", str(each.said["signed"]))
            write_private(export / "evidence-keys.json", output.as_text(kept.published()))
        output.print_json([each.as_json() for each in found]) if as_json else pulled_tables.receipts(found)
        return any(each.is_wrong for each in found)

    with report_errors():
        is_wrong = _read(folder, work, now=False)
    if is_wrong:
        raise typer.Exit(1)
