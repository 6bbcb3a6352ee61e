"""The demo for an installation that was started without it, and whom to sign in as where it is loaded.

Loading it is left to `scripts.demo.loading`.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from api.graphql.context import clock
from scripts.demo.loading import SEED, NotEmptyError, Signins, seed, signins
from scripts.installation import FAULTS, reached


def main(
    *,
    demo: Annotated[
        bool, typer.Option("--demo", help="Load it: an installation with engines of its own is asked.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Data folder of the installation.")] = None,
    chosen: Annotated[int, typer.Option("--seed", help="Another seed gives another demo.")] = SEED,
) -> None:
    """Load the demo into an empty installation, and say whom to sign in as."""
    try:
        found = asyncio.run(_main(demo=demo, data=data, chosen=chosen))
    except (NotEmptyError, *FAULTS) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for line in found.lines() if found else ["There is no demo here; scripts/seed --demo loads it."]:
        typer.echo(line)


async def _main(*, demo: bool, data: Path | None, chosen: int) -> Signins | None:
    async with reached(data, lambda sentence: typer.echo(sentence, err=True)) as (settings, store):
        if demo:
            return await seed(store, settings, seed=chosen, now=clock())
        return await signins(store, settings)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
    app.command()(main)
    app(prog_name="scripts/seed")
