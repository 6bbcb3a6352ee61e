"""Run the measurement of a week from start to end: `scripts/bench week`."""

import asyncio
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from scripts.benchmarks.offline_week.accounting import WeekReport, count_stored, report
from scripts.benchmarks.offline_week.plan import WeekPlan
from scripts.benchmarks.offline_week.run import WeekRun
from scripts.benchmarks.offline_week.server import Product, StuckError
from scripts.benchmarks.temporary_engines import engines
from scripts.installation import START_ERRORS
from storage.embedded.engines import Addresses

app = typer.Typer()


@app.command()
def week(
    *,
    observations: Annotated[
        int, typer.Option(min=4, help="How many observations to make in seven offline days.")
    ] = 500,
    photos: Annotated[int, typer.Option(min=12, help="How many photos they have together.")] = 1500,
    seed: Annotated[int, typer.Option(help="The seed of the photos, the network faults and the kills.")] = 1,
) -> None:
    """Sync an offline week through a bad network.

    The exit code is 1 if anything is lost, stored twice or sent again.
    """
    try:
        result = asyncio.run(_week(WeekPlan(observations, photos, seed)))
    except (StuckError, *START_ERRORS) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(result.text())
    if result.faults:
        raise typer.Exit(1)


async def _week(plan: WeekPlan) -> WeekReport:
    async with engines() as (_, addresses):
        return await asyncio.to_thread(measure_week, addresses, plan, typer.echo)


def measure_week(addresses: Addresses, plan: WeekPlan, say: Callable[[str], None]) -> WeekReport:
    """Measure in a new database and bucket, and drop both at the end. Raise `StuckError` if the week can't finish."""
    name = f"week-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="mingcha-week-") as place:
        folder = Path(place)
        own = replace(addresses, s3_bucket=name)
        product = Product(own, name.replace("-", "_"), folder, secrets.token_urlsafe(12))
        county = product.load()
        run = WeekRun(plan, product, county, folder, say)
        try:
            run.run()
            say("The phone has sent everything. Counting what the server stored.")
            digests, log = run.photos.digests, run.log
            stored = product.run_on_store(
                lambda store: count_stored(store, county.inspector_id, digests, log.assignments, log.rated)
            )
            return report(plan, run, stored, product.deaths)
        finally:
            product.stop()
            run.close()
            product.drop()
