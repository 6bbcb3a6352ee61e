"""Measure workloads against servers in turn, so that what slows this machine down slows all of them down."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from scripts.benchmarks.api_speed.commands import CommandCost, profile
from scripts.benchmarks.api_speed.dataset import remove_added
from scripts.benchmarks.api_speed.generator import Generator, Job, Result, write_requests
from scripts.benchmarks.api_speed.processes import SampledProduct, Target, cpu_seconds, resident_mib
from scripts.benchmarks.api_speed.workloads import COUNTER, Tokens, Workload, encode
from storage.store import Store

LIMITED = frozenset({"W1", "W2", "W3", "W4"})
"""The workloads that the limit answers."""


Samples = dict[str, dict[str, int]]


class WrongReplyError(Exception):
    """A server gave another reply than the workload expects. The text has the beginning of the reply."""


@dataclass(frozen=True)
class Extent:
    """How much is measured: the rounds, and the seconds and connections of each run.

    `warming` requests are sent before, and `profiled` requests after, one by one, to count their commands.
    """

    rounds: int
    seconds: float
    connections: int
    warming: int = 60
    profiled: int = 40


@dataclass
class Figures:
    """What was measured of one workload at one server, over all rounds."""

    workload: str
    target: str
    driver: str
    rates: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    database_cpu_seconds: float = 0.0
    reply_bytes: int = 0
    resident_mib: int = 0
    commands: list[CommandCost] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.milliseconds)

    @property
    def rate(self) -> float:
        """Requests a second: the median of the rounds."""
        return median(self.rates)

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of the server's processor time for each request."""
        return self.cpu_seconds / self.requests * 1000

    @property
    def database_cpu_ms(self) -> float:
        return self.database_cpu_seconds / self.requests * 1000

    def percentile(self, share: float) -> float:
        times = sorted(self.milliseconds)
        return times[min(int(len(times) * share), len(times) - 1)]

    @property
    def command_count(self) -> float:
        return sum(cost.commands for cost in self.commands)

    def examined(self, collection: str | None) -> tuple[float, float] | None:
        """Return the keys and the documents that are examined for each record of `collection` that a list returns."""
        rows = sum(cost.returned for cost in self.commands if cost.collection == collection)
        if not rows:
            return None
        own = [cost for cost in self.commands if cost.collection == collection]
        return sum(cost.keys for cost in own) / rows, sum(cost.documents for cost in own) / rows


class Measurement:
    """Sends workloads to servers. `database_pids` are the processes of MongoDB."""

    def __init__(
        self, store: Store, generator: Generator, database_pids: Sequence[int], folder: Path, tokens: Tokens
    ) -> None:
        self._store, self._generator, self._folder, self._tokens = store, generator, folder, tokens
        self._database_pids = database_pids

    async def measure(self, targets: Sequence[Target], workloads: Sequence[Workload], extent: Extent) -> list[Figures]:
        """Return the figures of each workload at each server that answers it. Raise `WrongReplyError`."""
        pairs = [
            (workload, target)
            for workload in workloads
            for target in targets
            if target.is_product or workload.name in LIMITED
        ]
        figures = {
            (workload.name, target): Figures(workload.name, target.name, target.driver) for workload, target in pairs
        }
        for workload, target in pairs:
            self._write(workload)
            await self.send(workload, target, requests=extent.warming, connections=extent.connections)
        for _, (workload, target) in itertools.product(range(extent.rounds), pairs):
            await self._run(workload, target, extent, figures[workload.name, target])
        for workload, target in pairs:
            own = figures[workload.name, target]
            own.commands = await self._profile(workload, target, extent.profiled)
            own.resident_mib = resident_mib(target.pids)
        return list(figures.values())

    async def _run(self, workload: Workload, target: Target, extent: Extent, figures: Figures) -> None:
        before, database_before = cpu_seconds(target.pids), cpu_seconds(self._database_pids)
        result = await self.send(workload, target, seconds=extent.seconds, connections=extent.connections)
        figures.cpu_seconds += cpu_seconds(target.pids) - before
        figures.database_cpu_seconds += cpu_seconds(self._database_pids) - database_before
        figures.rates.append(result.count / result.seconds)
        figures.milliseconds += result.milliseconds
        figures.reply_bytes = result.reply_bytes // max(result.count, 1)
        await remove_added(self._store)

    async def _profile(self, workload: Workload, target: Target, requests: int) -> list[CommandCost]:
        async def work() -> None:
            await self.send(workload, target, requests=requests, connections=1)

        costs = await profile(self._store.mongo, requests, work)
        await remove_added(self._store)
        return costs

    async def send(
        self, workload: Workload, target: Target, *, connections: int, requests: int = 0, seconds: float = 0.0
    ) -> Result:
        """Send the workload's requests. Raise `WrongReplyError` at the first wrong reply."""
        host, port = target.place
        job = Job(
            host=host,
            port=port,
            path=target.path(workload.name),
            file=str(self._file(workload)),
            connections=connections,
            seconds=seconds,
            requests=requests,
            counter=COUNTER,
            proof=workload.proof,
        )
        result = await asyncio.to_thread(self._generator.run, job)
        if result.fault or not result.count:
            raise WrongReplyError(f"{workload.name} at the {target.name}, {target.driver}: {result.fault}")
        return result

    def _file(self, workload: Workload) -> Path:
        return self._folder / f"{workload.name}.requests"

    def _write(self, workload: Workload) -> None:
        if not self._file(workload).exists():
            write_requests(self._file(workload), encode(workload.calls, self._tokens.of))

    async def sample(self, product: SampledProduct, workloads: Sequence[Workload], extent: Extent) -> Samples:
        """Return where the processor time of each workload goes: the samples by library, by workload."""
        found: Samples = {}
        for workload in workloads:
            self._write(workload)
            await self.send(workload, product.target, requests=extent.warming, connections=extent.connections)
            product.take_samples()
            await self.send(workload, product.target, seconds=extent.seconds, connections=extent.connections)
            found[workload.name] = product.take_samples()
            await remove_added(self._store)
        return found

    async def soak(self, target: Target, workloads: Sequence[Workload], requests: int, extent: Extent) -> list[int]:
        """Send that many requests of all workloads. Return the resident MiB at the start and after each twentieth."""
        share, connections = max(requests // 20 // len(workloads), 1), extent.connections
        for workload in workloads:
            self._write(workload)
            await self.send(workload, target, requests=extent.warming, connections=connections)
        sizes = [resident_mib(target.pids)]
        for _ in range(20):
            for workload in workloads:
                await self.send(workload, target, requests=share, connections=connections)
            sizes.append(resident_mib(target.pids))
            await remove_added(self._store)
        return sizes
