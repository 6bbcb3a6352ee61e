"""Measure how fast the API answers: `scripts/bench api`."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from api.accounts.key_ring import KeyRing
from scripts.benchmarks.api_speed.dataset import OBSERVATIONS, Dataset, OtherDataError, load, remove_added
from scripts.benchmarks.api_speed.generator import generator
from scripts.benchmarks.api_speed.measurement import Extent, Measurement, WrongReplyError
from scripts.benchmarks.api_speed.processes import (
    DATABASE,
    Target,
    descendants,
    serve_limit,
    serve_product,
    serve_sampled,
)
from scripts.benchmarks.api_speed.report import as_json, commands_text, soak_text, text
from scripts.benchmarks.api_speed.sampling import shares_text
from scripts.benchmarks.api_speed.workloads import Call, Tokens, Workload, build_workloads, first_syncs
from scripts.benchmarks.offline_week.server import StuckError
from scripts.benchmarks.temporary_engines import engines
from scripts.installation import START_ERRORS
from storage.embedded import mongod
from storage.embedded.data_folder import DataFolder
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.store import Store

DRIVERS = {"motor": ["motor"], "pymongo": ["pymongo"], "both": ["motor", "pymongo"]}
DATABASE_NAME = "bench_api"
LOAD_SECONDS = 600.0
LARGE_CACHE = "cache_size=2048M"
"""MongoDB's cache for more data than scale 1. The embedded engine has 256 MiB, and an office with so much has more."""

app = typer.Typer()


@dataclass(frozen=True)
class SpeedRun:
    """What one run measures. Without names in `only`, it measures all workloads."""

    drivers: Sequence[str]
    scale: int
    extent: Extent
    workers: int
    only: Sequence[str]
    requests: int
    is_sampled: bool

    def chosen(self, workloads: Sequence[Workload]) -> list[Workload]:
        return [workload for workload in workloads if not self.only or workload.name in self.only]


@app.command()
def api(
    *,
    driver: Annotated[str, typer.Option(help="MongoDB driver of the API: motor, pymongo or both.")] = "motor",
    scale: Annotated[int, typer.Option(min=1, help=f"How many times {OBSERVATIONS:,} observations to load.")] = 1,
    short: Annotated[bool, typer.Option("--short", help="Take 2 rounds of 1.5 s, for every change.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds. A round has one run of each workload.")] = 5,
    seconds: Annotated[float, typer.Option(help="How long each run lasts.")] = 4.0,
    connections: Annotated[int, typer.Option(min=1, help="How many requests are in progress at once.")] = 8,
    workers: Annotated[int, typer.Option(min=1, help="How many API processes serve them.")] = 1,
    workload: Annotated[list[str] | None, typer.Option(help="Measure only this workload. Repeat for others.")] = None,
    requests: Annotated[int, typer.Option(help="Send this many requests instead, and watch the memory.")] = 0,
    profile: Annotated[bool, typer.Option("--profile", help="Print where the processor time goes instead.")] = False,
    commands: Annotated[bool, typer.Option("--commands", help="Print each command that a request costs.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder that keeps the loaded data for later runs.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Measure speed and processor time of the API's workloads, beside the limit of Python and the driver.

    The exit code is 1 if a reply is wrong.
    """
    if driver not in DRIVERS:
        raise typer.BadParameter(f"Choose one of {', '.join(DRIVERS)}.", param_hint="--driver")
    extent = Extent(2, 1.5, connections) if short else Extent(rounds, seconds, connections)
    run = SpeedRun(DRIVERS[driver], scale, extent, workers, workload or [], requests, profile)
    try:
        figures = asyncio.run(_api(run, data, commands=commands))
    except (StuckError, OtherDataError, WrongReplyError, *START_ERRORS) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if json_file:
        json_file.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


async def _api(run: SpeedRun, data: Path | None, *, commands: bool) -> dict[str, Any]:
    """Measure, print the result, and return it for a file."""
    async with engines(data) as (root, addresses):
        if run.scale > 1:
            await _enlarge_cache(root, addresses)
        mongo = Mongo(addresses.mongo_url, DATABASE_NAME, driver="pymongo", timeout_seconds=LOAD_SECONDS)
        store = Store(mongo, addresses.store())
        try:
            dataset = await load(store, OBSERVATIONS * run.scale, typer.echo)
            await remove_added(store)  # an earlier run may have been ended
            tokens = Tokens(KeyRing(root / "keys"))
            if run.is_sampled:
                await _sample(run, store, addresses, root, dataset, tokens)
                return {}
            async with _served(run, addresses, root) as targets:
                cursors = await sync_first(targets[0], first_syncs(), tokens)
                workloads = run.chosen(build_workloads(dataset, cursors))
                with tempfile.TemporaryDirectory() as folder, generator() as sender:
                    pids = sorted(descendants(DATABASE))
                    measurement = Measurement(store, sender, pids, Path(folder), tokens)
                    if run.requests:
                        await _soak(measurement, targets, workloads, run)
                        return {}
                    figures = await measurement.measure(targets, workloads, run.extent)
        finally:
            await store.close()
    typer.echo(text(figures, workloads))
    if commands:
        typer.echo(commands_text(figures))
    return as_json(figures, dataset.observations, run.extent)


async def _sample(
    run: SpeedRun, store: Store, addresses: Addresses, root: Path, dataset: Dataset, tokens: Tokens
) -> None:
    with tempfile.TemporaryDirectory() as place, generator() as sender:
        folder = Path(place)
        for driver in run.drivers:
            with serve_sampled(addresses, DATABASE_NAME, driver, folder, root / "keys") as product:
                cursors = await sync_first(product.target, first_syncs(), tokens)
                workloads = run.chosen(build_workloads(dataset, cursors))
                measurement = Measurement(store, sender, (), folder, tokens)
                samples = await measurement.sample(product, workloads, run.extent)
            typer.echo(f"driver {driver}\n{shares_text(samples)}")


async def _soak(
    measurement: Measurement, targets: Sequence[Target], workloads: Sequence[Workload], run: SpeedRun
) -> None:
    for target in targets:
        if target.is_product:
            sizes = await measurement.soak(target, workloads, run.requests, run.extent)
            typer.echo(soak_text(target.driver, run.requests, sizes))


@contextlib.asynccontextmanager
async def _served(run: SpeedRun, addresses: Addresses, root: Path) -> AsyncIterator[list[Target]]:
    """Start the product with each driver, and the limit beside it, and yield them."""
    with tempfile.TemporaryDirectory(prefix="mingcha-api-") as place, contextlib.ExitStack() as stack:
        folder, targets = Path(place), list[Target]()
        for driver in run.drivers:
            for served in (
                serve_product(addresses, DATABASE_NAME, driver, folder / driver, root / "keys", run.workers),
                serve_limit(addresses, DATABASE_NAME, driver, folder),
            ):
                targets.append(await asyncio.to_thread(stack.enter_context, served))
        yield targets


async def _enlarge_cache(root: Path, addresses: Addresses) -> None:
    port = int(addresses.mongo_url.rsplit(":", 1)[1].split("/")[0])
    system = Mongo(mongod.system_url(DataFolder.open(root / "data"), port), "admin", driver="pymongo")
    await system.command("setParameter", 1, wiredTigerEngineRuntimeConfig=LARGE_CACHE)
    await system.close()


async def sync_first(target: Target, calls: Sequence[Call], tokens: Tokens) -> dict[str, str]:
    """Let people sync everything. Return their cursors by user name."""
    cursors: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=target.address, timeout=60) as client:
        for call in calls:
            payload, headers = dict(call.payload), {"Authorization": f"Bearer {tokens.of(call.user)}"}
            has_more, since = True, None
            while has_more:
                payload["variables"] = {"input": {"since": since}}
                answer = (await client.post("/graphql", json=payload, headers=headers)).json()
                if "data" not in answer or "changes" not in answer["data"]["sync"]:
                    raise WrongReplyError(f"The first sync failed: {answer}")
                page = answer["data"]["sync"]["changes"]
                has_more, since = page["hasMore"], page["cursor"]
            cursors[call.user.user_name] = str(since)
    return cursors
