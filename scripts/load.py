"""Loading an office's own units, users and monitoring points from CSV or XLSX; a dry run says what it would do.

What a file's columns and rows mean is left to `api.imports`.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from api.context import clock
from api.imports import Import, Noun, import_file, template
from api.sheets import Unreadable
from api.tables import BadTable
from scripts.reach import FAULTS, reached


def load(
    what: Annotated[
        Noun | None, typer.Argument(help="What the file holds; load units first, then users, then points.")
    ] = None,
    file: Annotated[Path | None, typer.Argument(help="CSV or XLSX; its first row names the columns.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")] = False,
    data: Annotated[Path | None, typer.Option(help="Data folder of the installation.")] = None,
    example: Annotated[
        Noun | None, typer.Option("--template", help="Print an example file, and do nothing else.")
    ] = None,
) -> None:
    """Load units, users or monitoring points; a file with any fault changes nothing, and all its faults are listed."""
    if example:
        sys.stdout.write(template(example))
        return
    if what is None or file is None:
        raise typer.BadParameter("Name what is loaded, and its file: scripts/load units units.xlsx --dry-run.")
    try:
        done = asyncio.run(_load(what, file, dry_run=dry_run, data=data))
    except BadTable as bad:
        for fault in bad.faults:
            typer.echo(str(fault), err=True)
        typer.echo(f"{file}: {len(bad.faults)} faults; nothing was changed.", err=True)
        raise typer.Exit(1) from None
    except (Unreadable, *FAULTS) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for line in done.lines():
        typer.echo(line)
    if dry_run:
        typer.echo("This was a dry run: nothing was changed.")


async def _load(what: Noun, file: Path, *, dry_run: bool, data: Path | None) -> Import:
    async with reached(data, lambda sentence: typer.echo(sentence, err=True)) as (_, store):
        return await import_file(store, what, file, now=clock(), dry_run=dry_run)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
    app.command()(load)
    app(prog_name="scripts/load")
