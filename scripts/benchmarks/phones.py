"""Let many phones sign in and hand in an observation at the same moment: `scripts/bench phones`."""

import asyncio
import os
import secrets
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import typer

from api.accounts.passwords import Passwords
from api.graphql.context import clock
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.network.client import TRANSIENT_CODES
from schema.core.ids import compose
from scripts.benchmarks.day_traffic import COUNTY, INSPECTOR, MeasuredDevice, RefusedError, load_base_data, make_draft
from scripts.benchmarks.offline_week.server import Product, StuckError
from scripts.benchmarks.process_memory import ProcessMemory, memory_below
from scripts.benchmarks.temporary_engines import engines
from scripts.installation import START_ERRORS
from storage.embedded.engines import Addresses
from storage.store import Store

T = TypeVar("T")
PHOTO_BYTES = 60_000
TIMEOUT_SECONDS = 60.0

app = typer.Typer()


@dataclass
class Step:
    """What happened in one step of all phones.

    `errors` counts the refusals by code, and the failures by their kind. `retries` counts the refusals after which a
    phone waited and came again. The seconds of a phone include such pauses.
    """

    seconds: list[float] = field(default_factory=list)
    retries: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    began_at: float = float("inf")
    ended_at: float = 0.0

    def line(self, name: str) -> str:
        times = sorted(self.seconds)
        if not times:
            return f"{name:<12}{0:>8}{self.retries:>8}{self.errors.total():>8}"
        shown = (times[ceil(len(times) * share) - 1] for share in (0.5, 0.99, 1.0))
        rate = len(times) / max(self.ended_at - self.began_at, 0.001)
        counts = f"{name:<12}{len(times):>8}{self.retries:>8}{self.errors.total():>8}"
        return f"{counts}{rate:>10.1f}" + "".join(f"{t:>8.2f}" for t in shown)


@dataclass
class PhonesReport:
    steps: Mapping[str, Step]
    before: Mapping[int, ProcessMemory] = field(default_factory=dict)
    after: Mapping[int, ProcessMemory] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        return sum(step.errors.total() for step in self.steps.values())

    def text(self) -> str:
        lines = [
            f"{'step':<12}{'phones':>8}{'retries':>8}{'errors':>8}{'a second':>10}{'p50 s':>8}{'p99 s':>8}{'max s':>8}"
        ]
        for name, step in self.steps.items():
            lines.append(step.line(name))
            lines += [f"  {count} {code}" for code, count in sorted(step.errors.items())]
        lines.append(f"{'memory in MiB':<32}{'before':>8}{'highest':>8}{'after':>8}")
        for pid, memory in self.after.items():
            before = self.before[pid].now if pid in self.before else 0
            lines.append(f"{memory.name:<32}{before:>8}{memory.highest:>8}{memory.now:>8}")
        return "\n".join(lines)


class PhonesRun:
    """One run: each user signs in on a new phone, pulls, and hands in an observation with a photo.

    A phone stops at its first error, so that each error is counted once.
    """

    def __init__(self, address: str, users: Sequence[str], password: str, unit: str) -> None:
        self._address, self._users, self._password, self._unit = address, users, password, unit
        self.steps = {name: Step() for name in ("sign in", "first sync", "submit", "upload", "confirm")}

    async def run(self) -> None:
        """Let all phones begin at the same moment, each with a connection of its own."""
        context = ssl.create_default_context()  # it takes long, and the phones can share it
        clients = [
            httpx.AsyncClient(base_url=self._address, verify=context, timeout=TIMEOUT_SECONDS) for _ in self._users
        ]
        try:
            await asyncio.gather(*(self._work(user, client) for user, client in zip(self._users, clients, strict=True)))
        finally:
            for client in clients:
                await client.aclose()

    async def _work(self, user: str, client: httpx.AsyncClient) -> None:
        device, photo = MeasuredDevice(client), secrets.token_bytes(PHOTO_BYTES)
        medium = str(compose("med", clock(), secrets.token_bytes(10)))
        draft = make_draft(0, self._unit, {medium: photo})
        try:
            await self._timed("sign in", lambda: device.sign_in(user, self._password))
            await self._timed("first sync", lambda: device.sync(0))
            slots = await self._timed("submit", lambda: device.sync(1, submits=True, drafts={"drafts": [draft]}))
            for slot in slots:
                await self._timed("upload", partial(_upload, client, slot, photo))
            await self._timed("confirm", lambda: device.sync(1, confirms=True, media={"mediaIds": [medium]}))
        except (RefusedError, httpx.HTTPError, ValueError):  # `_timed` has counted it
            return

    async def _timed(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        step, began = self.steps[name], time.perf_counter()
        step.began_at = min(step.began_at, began)
        try:
            done = await _retried(work, step)
        except RefusedError as error:
            step.errors[error.code] += 1
            raise
        except (httpx.HTTPError, ValueError) as error:
            step.errors[type(error).__name__] += 1
            raise
        step.ended_at = time.perf_counter()
        step.seconds.append(step.ended_at - began)
        return done


async def _retried(work: Callable[[], Awaitable[T]], step: Step) -> T:
    """Work as the reference phone does: it comes again after refusals that pass within seconds, and gives up then."""
    backoff = Backoff()
    for failed in range(1, backoff.attempts):
        try:
            return await work()
        except RefusedError as error:
            if error.code not in TRANSIENT_CODES:
                raise
            step.retries += 1
            await asyncio.sleep(backoff.wait(failed, asked=error.seconds))
    return await work()


async def _upload(client: httpx.AsyncClient, slot: Mapping[str, Any], body: bytes) -> None:
    headers = {header["name"]: header["value"] for header in slot["headers"]}
    (await client.put(slot["url"], content=body, headers=headers)).raise_for_status()


async def add_inspectors(store: Store, password: str, count: int) -> list[str]:
    """Load the demo's base data into an empty database, and add inspectors of one county. Return their user names."""
    plan = await load_base_data(store, await Passwords().hash(password))
    like = plan.people.users[INSPECTOR]
    users = [
        replace(like, id=compose("usr", clock(), secrets.token_bytes(10)), user_name=f"phone{number:04d}")
        for number in range(count)
    ]
    await store.users.put_all(users)
    return [user.user_name for user in users]


def measure_phones(
    addresses: Addresses, count: int, workers: int, settle_seconds: float, say: Callable[[str], None]
) -> PhonesReport:
    """Measure in a new database and bucket, and drop both at the end. Raise `StuckError` if the product doesn't serve."""
    name = f"phones-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="mingcha-phones-") as place:
        own = replace(addresses, s3_bucket=name)
        product = Product(own, name.replace("-", "_"), Path(place), secrets.token_urlsafe(12))

        async def load(store: Store) -> list[str]:
            await store.objects.make_bucket()
            return await add_inspectors(store, product.password, count)

        users = product.run_on_store(load)
        try:
            address = product.start("--workers", str(workers))
            time.sleep(settle_seconds)
            before = memory_below(os.getpid())
            say(f"{count} phones at once, {workers} API process(es); load of this machine {os.getloadavg()[0]:.1f}")
            run = PhonesRun(address, users, product.password, COUNTY)
            asyncio.run(run.run())
            time.sleep(settle_seconds)
            return PhonesReport(run.steps, before, memory_below(os.getpid()))
        finally:
            product.stop()
            product.drop()


@app.command()
def phones(
    *,
    count: Annotated[int, typer.Option(min=1, help="How many phones sign in at the same moment.")] = 200,
    workers: Annotated[int, typer.Option(min=1, help="How many API processes serve them.")] = 1,
    settle: Annotated[float, typer.Option(help="How many seconds to wait before memory is read.")] = 20.0,
) -> None:
    """Let phones sign in, pull and hand in a photo, all at the same moment, without anything warmed up.

    The exit code is 1 if a phone meets an error.
    """
    try:
        result = asyncio.run(_phones(count, workers, settle))
    except (StuckError, *START_ERRORS) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(result.text())
    if result.failures:
        raise typer.Exit(1)


async def _phones(count: int, workers: int, settle: float) -> PhonesReport:
    async with engines() as (_, addresses):
        return await asyncio.to_thread(measure_phones, addresses, count, workers, settle, typer.echo)
