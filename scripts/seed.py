"""Load the demo into an installation that was started without the demo, and show the accounts to sign in with."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from api.graphql.context import clock
from mobile_contract.terminals import tolerate_missing_letters
from scripts.demo.loading import SEED, NotEmptyError, seed
from scripts.demo.signins import Signins, signins
from scripts.installation import START_ERRORS, open_installation


def main(
    *,
    demo: Annotated[bool, typer.Option("--demo", help="Load the demo; without this, only show the accounts.")] = False,
    data: Annotated[Path | None, typer.Option(help="Data folder of the installation.")] = None,
    chosen: Annotated[int, typer.Option("--seed", help="Seed of the demo; another seed gives another demo.")] = SEED,
) -> None:
    """Show the accounts of the demo. With --demo, first load the demo into an empty installation."""
    try:
        accounts = asyncio.run(_main(demo=demo, data=data, chosen=chosen))
    except (NotEmptyError, *START_ERRORS) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for line in accounts.lines() if accounts else ["There is no demo here; scripts/seed --demo loads it."]:
        typer.echo(line)


async def _main(*, demo: bool, data: Path | None, chosen: int) -> Signins | None:
    async with open_installation(data, lambda sentence: typer.echo(sentence, err=True)) as (settings, store):
        if demo:
            return await seed(store, settings, seed=chosen, now=clock())
        return await signins(store, settings)


if __name__ == "__main__":
    tolerate_missing_letters()
    app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
    app.command()(main)
    app(prog_name="scripts/seed")
