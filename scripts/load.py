"""Load an office's units, users, monitoring points, catalogues, working days and outlines from files."""

import asyncio
import enum
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from api.graphql.context import clock
from api.imports.cells import UnreadableSpreadsheetError
from api.imports.outlines import BadOutlinesError, import_outlines
from api.imports.runner import Noun, csv_template, import_file
from api.imports.tables import BadTableError
from mobile_contract.terminals import tolerate_missing_letters
from schema.geography.positions import Datum
from scripts.installation import START_ERRORS, open_installation


class FileKind(enum.StrEnum):
    """What a file can hold. The members are in the order in which an office loads its first files."""

    UNITS = "units"
    USERS = "users"
    POINTS = "points"
    CATALOGUES = "catalogues"
    WORKING_DAYS = "working-days"
    OUTLINES = "outlines"


def load(
    what: Annotated[
        FileKind | None, typer.Argument(help="What the file holds; load units first, then users, then the others.")
    ] = None,
    file: Annotated[
        Path | None, typer.Argument(help="CSV or XLSX, with the columns named in the first row; for outlines, GeoJSON.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")] = False,
    data: Annotated[Path | None, typer.Option(help="Data folder of the installation.")] = None,
    datum: Annotated[
        Datum, typer.Option(help="Datum of outlines: GeoJSON is WGS84, files of Chinese map makers are GCJ02 or BD09.")
    ] = (Datum.WGS84),
    example: Annotated[
        Noun | None, typer.Option("--template", help="Print an example file, and do nothing else.")
    ] = None,
) -> None:
    """Load units, users, points, catalogues, working days or outlines. A file with faults changes nothing."""
    if example:
        _print_template(csv_template(example))
        return
    if what is None or file is None:
        raise typer.BadParameter("Name what the file holds, and the file: scripts/load units units.xlsx --dry-run.")
    try:
        lines = asyncio.run(_load(what, file, dry_run=dry_run, data=data, datum=datum))
    except (BadTableError, BadOutlinesError) as error:
        for fault in error.faults:
            typer.echo(str(fault), err=True)
        sheet = error.sheet if isinstance(error, BadTableError) else None
        place = f"{file}, sheet “{sheet}”" if sheet else str(file)
        typer.echo(f"{place}: {len(error.faults)} faults; nothing was changed.", err=True)
        raise typer.Exit(1) from None
    except (UnreadableSpreadsheetError, *START_ERRORS) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for line in lines:
        typer.echo(line)
    if dry_run:
        typer.echo("This was a dry run: nothing was changed.")


def _print_template(text: str) -> None:
    """Print for people on a terminal. Write a file in UTF-8, whatever the encoding of the terminal is."""
    if sys.stdout.isatty():
        sys.stdout.write(text.removeprefix("\ufeff"))
    else:
        sys.stdout.buffer.write(text.encode())


async def _load(what: FileKind, file: Path, *, dry_run: bool, data: Path | None, datum: Datum) -> Iterable[str]:
    async with open_installation(data, lambda sentence: typer.echo(sentence, err=True)) as (_, store):
        if what is FileKind.OUTLINES:
            return (await import_outlines(store, file, datum=datum, dry_run=dry_run)).lines()
        return (await import_file(store, Noun(what.value), file, now=clock(), dry_run=dry_run)).lines()


if __name__ == "__main__":
    tolerate_missing_letters()
    app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
    app.command()(load)
    app(prog_name="scripts/load")
