"""Run the product for the week: `scripts/run` on given engines, with a county of the demo.

The processes of the product can be killed.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import strawberry

from api.accounts.passwords import Passwords
from schema.access.viewers import Role
from schema.organisation.units import Unit
from scripts.benchmarks.day_traffic import COUNTY, INSPECTOR, OFFICER, load_base_data
from scripts.benchmarks.process_memory import memory_below
from scripts.local_stack import ROOT
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.store import Store

T = TypeVar("T")
PAST = datetime(2000, 1, 1, tzinfo=UTC)
START_SECONDS = 180.0


class StuckError(Exception):
    """The week can't go on; the text says why."""


@dataclass(frozen=True)
class County:
    """The people, windows (service counters) and monitoring point of a county that the week needs.

    The windows are to be inspected, and the inspector rates for the monitoring point.
    """

    inspector_id: str
    officer: str
    windows: Sequence[Unit]
    point: str


@dataclass
class Product:
    """`scripts/run` as a child process. `run_on_store` accesses the stored data directly."""

    addresses: Addresses
    database: str
    folder: Path
    password: str
    deaths: list[str] = field(default_factory=list)
    _process: "subprocess.Popen[bytes] | None" = None

    def run_on_store(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Run `work` on the stored data, without the API."""

        async def run() -> T:
            mongo, objects = Mongo(self.addresses.mongo_url, self.database), self.addresses.store()
            try:
                return await work(Store(mongo, objects))
            finally:
                objects.close()
                await mongo.close()

        return asyncio.run(run())

    def load(self) -> County:
        """Fill an empty database.

        The inspector is also a monitor, so that one person's outbox has operations of every kind.
        """

        async def load(store: Store) -> County:
            await store.objects.make_bucket()
            plan = await load_base_data(store, await Passwords().hash(self.password))
            inspector = plan.people.users[INSPECTOR]
            await store.users.put_all([replace(inspector, roles=[*inspector.roles, Role.MONITOR])])
            windows = plan.region.windows(COUNTY)
            point = replace(plan.points[0], monitor_ids=(strawberry.ID(str(inspector.id)),))
            await store.monitoring_points.put_all([point])
            return County(str(inspector.id), OFFICER, windows, point.code)

        return self.run_on_store(load)

    def start(self, *options: str, **environment: str) -> str:
        """Start the product with these options of `scripts/run`, and return its address once it serves.

        Raise `StuckError` if it doesn't serve.
        """
        log = self.folder / "product.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MINGCHA_")}
        own = self.addresses.environment() | {"MINGCHA_MONGO_DATABASE": self.database, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-P", "-m", "scripts.run", f"--data={self.folder / 'data'}", "--port=0", "--no-demo"]
        command += options
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, env=inherited | own | environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_SECONDS
        while not (ready := re.search(r"Mingcha +(http\S+)(?s:.*)Ctrl-C\n", log.read_text())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise StuckError(f"The product does not serve:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        return ready[1]

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def drop(self) -> None:
        """Drop the product's database and bucket."""

        async def drop(store: Store) -> None:
            await store.mongo.drop()
            await store.objects.drop_bucket()

        self.run_on_store(drop)

    def kill(self, module: str) -> None:
        """Send SIGKILL to the product's process that runs `module`. `scripts/run` then starts that process again."""
        assert self._process  # noqa: S101  it was started
        for pid, process in memory_below(self._process.pid).items():
            if process.name == module:
                with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(pid, signal.SIGKILL)
                    self.deaths.append(module)
                    return

    def end_sessions(self, user_id: str) -> None:
        """Let the sessions of a user expire."""

        async def end(store: Store) -> None:
            await store.mongo.collection("sessions").update_many({"user_id": user_id}, {"$set": {"expires_at": PAST}})

        self.run_on_store(end)
