"""Start the processes that are measured, and read what they use from Linux's `/proc`."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scripts.benchmarks.offline_week.server import Product, StuckError
from scripts.benchmarks.process_memory import memory_below, read_memory
from scripts.local_stack import ROOT, address_of, bind
from storage.embedded.engines import Addresses

API, DATABASE = "api.server.serve", "mongod"
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 30.0


@dataclass(frozen=True)
class Target:
    """A server that is measured: the product or the limit, with one driver. Requests go to `path` of this address."""

    name: str
    driver: str
    address: str
    pids: tuple[int, ...]

    @property
    def is_product(self) -> bool:
        return self.name == PRODUCT

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.address)
        return str(parts.hostname), int(parts.port or 80)

    def path(self, workload: str) -> str:
        return "/graphql" if self.is_product else f"/{workload}"


PRODUCT, LIMIT = "product", "limit"


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that these processes have used, in user and system mode."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def resident_mib(pids: Sequence[int]) -> int:
    """Return the resident memory of the largest of these processes."""
    return max(read_memory(pid).now for pid in pids)


def descendants(name: str) -> set[int]:
    """Return the ids of the processes below this one that run the program or module `name`."""
    return {pid for pid, memory in memory_below(os.getpid()).items() if memory.name == name}


@contextlib.contextmanager
def serve_product(
    addresses: Addresses, database: str, driver: str, folder: Path, keys: Path, workers: int
) -> Iterator[Target]:
    """Start API processes as an operator does, by `scripts/run` with the engines of the environment.

    No worker runs, so that nothing but requests is measured.
    """
    folder.mkdir()
    product, before = Product(addresses, database, folder, secrets.token_urlsafe(12)), descendants(API)
    try:
        address = product.start(
            "--role=api", f"--workers={workers}", MINGCHA_MONGO_DRIVER=driver, MINGCHA_KEYS=str(keys)
        )
        yield Target(PRODUCT, driver, address, tuple(sorted(descendants(API) - before)))
    finally:
        product.stop()


@contextlib.contextmanager
def serve_limit(addresses: Addresses, database: str, driver: str, folder: Path) -> Iterator[Target]:
    """Start the process that answers at the limit. Raise `StuckError` if it has ended before its time."""
    with _serve("limit", folder / f"limit-{driver}.log", _environment(addresses, database, driver)) as (
        process,
        address,
    ):
        yield Target(LIMIT, driver, address, (process.pid,))


@dataclass(frozen=True)
class SampledProduct:
    """An API process that samples where its processor time goes."""

    target: Target
    process: "subprocess.Popen[bytes]"

    def take_samples(self) -> dict[str, int]:
        """Return the samples since the last call, by library."""
        assert self.process.stdout  # noqa: S101  it is a pipe
        self.process.send_signal(signal.SIGUSR1)
        samples: dict[str, int] = json.loads(self.process.stdout.readline())
        return samples


@contextlib.contextmanager
def serve_sampled(
    addresses: Addresses, database: str, driver: str, folder: Path, keys: Path
) -> Iterator[SampledProduct]:
    own = {"MINGCHA_DATA": str(folder), "MINGCHA_KEYS": str(keys)}
    environment = _environment(addresses, database, driver) | own
    with _serve("sampling", folder / f"sampled-{driver}.log", environment) as (process, address):
        yield SampledProduct(Target(PRODUCT, driver, address, (process.pid,)), process)


def _environment(addresses: Addresses, database: str, driver: str) -> dict[str, str]:
    own = {"MINGCHA_MONGO_DATABASE": database, "MINGCHA_MONGO_DRIVER": driver, "PYTHONPATH": str(ROOT)}
    return addresses.environment() | own


@contextlib.contextmanager
def _serve(module: str, log: Path, environment: dict[str, str]) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """Start a module of this package on a free port, and yield its process and address."""
    listener = bind("127.0.0.1", 0)
    descriptor = listener.fileno()
    command = [sys.executable, "-P", "-m", f"scripts.benchmarks.api_speed.{module}", "--fd", str(descriptor)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, pass_fds=[descriptor], stdout=subprocess.PIPE, stderr=output
        )
    try:
        yield process, address_of(listener)
        if process.poll() is not None:
            raise StuckError(f"The process of `{module}` has ended:\n{log.read_text()[-2000:]}")
    finally:
        listener.close()
        process.terminate()
        process.communicate(timeout=START_SECONDS)
