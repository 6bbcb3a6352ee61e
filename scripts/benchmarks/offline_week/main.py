"""One measurement of a week from beginning to end: `scripts/bench week`.

What is done is left to `travelling`, what is counted to `counting`.
"""

import asyncio
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from scripts.benchmarks.offline_week.accounting import WeekReport, count_kept, report
from scripts.benchmarks.offline_week.plan import WeekPlan
from scripts.benchmarks.offline_week.run import Traveller
from scripts.benchmarks.offline_week.server import Product, StuckError
from scripts.benchmarks.temporary_engines import engines
from scripts.installation import START_ERRORS
from storage.embedded.engines import Addresses

app = typer.Typer()


@app.command()
def week(
    *,
    observations: Annotated[int, typer.Option(min=4, help="How many are made in seven days without a line.")] = 500,
    photos: Annotated[int, typer.Option(min=12, help="How many photos they have together.")] = 1500,
    seed: Annotated[int, typer.Option(help="Another one has other photos, another network and other kills.")] = 1,
) -> None:
    """A week without a line, handed in through a bad network; exit code 1 where anything is lost, doubled or sent again."""
    try:
        found = asyncio.run(_week(WeekPlan(observations, photos, seed)))
    except (StuckError, *START_ERRORS) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(found.told())
    if found.faults:
        raise typer.Exit(1)


async def _week(plan: WeekPlan) -> WeekReport:
    async with engines() as (_, addresses):
        return await asyncio.to_thread(measure_week, addresses, plan, typer.echo)


def measure_week(addresses: Addresses, plan: WeekPlan, say: Callable[[str], None]) -> WeekReport:
    """In a database and a bucket of its own, which are dropped at the end. Raise `StuckError` where it doesn't come to an end."""
    name = f"week-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="mingcha-week-") as place:
        folder = Path(place)
        own = replace(addresses, s3_bucket=name)
        product = Product(own, name.replace("-", "_"), folder, secrets.token_urlsafe(12))
        county = product.settle()
        traveller = Traveller(plan, product, county, folder, say)
        try:
            traveller.travel()
            say("All is through; counting what is kept.")
            digests, journey = traveller.room.digests, traveller.journey
            kept = product.within(
                lambda store: count_kept(store, county.inspector_id, digests, journey.assignments, journey.rated)
            )
            return report(plan, traveller, kept, product.deaths)
        finally:
            product.stop()
            traveller.close()
            product.drop()
