"""Prepare a restored database for use: skip case and notice numbers, end all sessions, and let phones pull everything again."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from api.graphql.context import clock
from mobile_contract.terminals import tolerate_missing_letters
from schema.core.times import BEIJING
from scripts.installation import START_ERRORS, open_installation
from storage.store import Store

NUMBERS = 1000
"""By default more numbers are left out than any office gives in a month, so that a dump of last month will do."""


@dataclass(frozen=True)
class RestoredCounts:
    """Count what was prepared: the offices that skipped numbers of `year`, and the sessions that were ended."""

    year: int
    offices: int
    sessions: int


def restored(
    numbers: Annotated[
        int,
        typer.Option(
            min=0, help="Case or notice numbers that an office may have given after the dump; all are left out."
        ),
    ] = NUMBERS,
    data: Annotated[Path | None, typer.Option(help="Data folder of the installation.")] = None,
) -> None:
    """Prepare a database that was restored from a dump. Run this once, before the API and the worker start.

    Each office's case and notice numbers of this year go on later by --numbers, because records that are lost may have
    the next ones. All sessions end, because phones hold newer tokens, and devices that were signed out since the dump are signed
    in again. Phones pull everything again.
    """

    async def prepare() -> RestoredCounts:
        async with open_installation(data, typer.echo) as (_, store):
            return await begin_anew(store, numbers, clock())

    try:
        begun = asyncio.run(prepare())
    except START_ERRORS as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{begun.offices} offices: the case and notice numbers of {begun.year} go on {numbers} later.")
    typer.echo(f"{begun.sessions} sessions have ended: everybody signs in again.")
    typer.echo("Phones pull everything again once a worker runs.")


async def begin_anew(store: Store, numbers: int, now: datetime) -> RestoredCounts:
    """Leave out case and notice numbers, end all sessions, and let the cursors of all phones expire."""
    year, offices = now.astimezone(BEIJING).year, await store.users.office_ids()
    await store.numbers.skip(offices, year, numbers)
    sessions = await store.sessions.end_all(now)
    await store.changes.forget()
    return RestoredCounts(year, len(offices), sessions)


if __name__ == "__main__":
    tolerate_missing_letters()
    typer.run(restored)
