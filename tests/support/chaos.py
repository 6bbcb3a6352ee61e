"""Run the whole product as a user starts it, kill any of its processes at random moments, and log each kill."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from api.connections import open_store
from api.settings import Settings
from scripts.benchmarks.process_memory import children_of, name_of
from storage.embedded import mongod, seaweedfs
from storage.embedded.data_folder import PORTS, DataFolder
from storage.embedded.engines import Addresses
from storage.processes.fork_server import TITLE as FORK_SERVER
from storage.processes.supervisor import DEATHS, DEATHS_SECONDS
from storage.store import Store
from tests.support.process_states import is_alive
from tests.support.run_command import Run

PARENT, PARENT_TWICE = "scripts.run", "scripts.run, and again while it starts"
DECK = ("api.server.serve", "api.server.worker", "mongod", "weed", FORK_SERVER, PARENT, PARENT_TWICE)


def below(ancestor: int) -> dict[int, str]:
    """Return the names of all descendants of a process that are no zombies, keyed by pid."""
    found: dict[int, str] = {}
    for pid in children_of(ancestor):
        with suppress(OSError):
            if is_alive(pid):
                found[pid] = name_of(pid)
        found |= below(pid)
    return found


@dataclass
class ChaosStack:
    """`scripts.run` on one data folder and one port. It is started again whenever it is killed.

    `notes` is the log. `calm` is set when the killing has ended.
    """

    data: Path
    environment: dict[str, str]
    address: str = ""
    notes: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    orphans: list[str] = field(default_factory=list)
    calm: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: float = field(default_factory=time.monotonic)
    _deaths: list[tuple[float, str]] = field(default_factory=list)
    _runs: list[Run] = field(default_factory=list)

    @property
    def run(self) -> Run:
        return self._runs[-1]

    def note(self, text: str) -> None:
        self.notes.append(f"{time.monotonic() - self._begun:7.2f} s  {text}")

    async def start(self) -> None:
        """Start `scripts.run` and wait until it serves."""
        self._spawn()
        self.address = await asyncio.to_thread(self.run.serving)
        self.note("serves")

    def _spawn(self) -> None:
        port = self.address.rpartition(":")[2] or "0"
        self._runs.append(Run(self.data, f"--port={port}", "--no-demo", "--workers=2", **self.environment))

    async def stop(self) -> None:
        """Stop `scripts.run` as Ctrl-C does, and wait for its processes. Add those that don't end to `orphans`."""
        tree = below(self.run.process.pid)
        self.run.process.send_signal(signal.SIGINT)
        await asyncio.to_thread(self.run.ended)
        await self._see_end(tree)

    def end(self) -> None:
        for run in self._runs:
            if run.process.poll() is None:
                run.process.kill()
                run.process.wait()

    async def torment(self, random: Random, seconds: float) -> None:
        """Kill the process that each card of a shuffled deck names.

        Go through one whole deck, and through further decks until `seconds` have passed.
        """
        until = time.monotonic() + seconds
        while True:
            for card in random.sample(DECK, len(DECK)):
                await asyncio.sleep(random.uniform(0.2, 2.4))
                if card in {PARENT, PARENT_TWICE}:
                    await self._kill_parent(random, twice=card == PARENT_TWICE)
                else:
                    await self.kill(card, random)
            if time.monotonic() > until:
                return self.calm.set()

    async def kill(self, name: str, random: Random) -> None:
        """Kill one child of that name. Do nothing if its supervisor would then give up because of too many deaths."""
        recent = [at for at, died in self._deaths if died == name and at > time.monotonic() - DEATHS_SECONDS]
        if len(recent) >= DEATHS - 1:
            return
        while not (living := [pid for pid, known in below(self.run.process.pid).items() if known == name]):
            assert self.run.process.poll() is None, f"scripts.run ended by itself:\n{self.run.output}"
            await asyncio.sleep(0.02)
        pid = random.choice(living)
        os.kill(pid, signal.SIGKILL)
        self._deaths.append((time.monotonic(), name))
        self._killed(name, pid)

    def _killed(self, name: str, pid: int) -> None:
        self.kills[name] += 1
        self.note(f"killed {name} ({pid})")

    async def _kill_parent(self, random: Random, *, twice: bool) -> None:
        await self.kill_parent()
        if twice:
            self._spawn()
            await asyncio.sleep(random.uniform(0.1, 2.5))
            await self.kill_parent()
        await self.start()

    async def kill_parent(self) -> None:
        tree = below(self.run.process.pid)
        self.run.process.kill()
        self.run.process.wait()
        self._deaths.clear()
        self._killed(PARENT, self.run.process.pid)
        await self._see_end(tree)

    async def _see_end(self, tree: dict[int, str]) -> None:
        """Wait for every process of a tree whose root has ended. Add those that don't end to `orphans`."""
        for _ in range(200):
            left = [f"{name} ({pid})" for pid, name in tree.items() if is_alive(pid)]
            if not left:
                return
            await asyncio.sleep(0.02)
        self.orphans += left

    def survivors(self) -> list[str]:
        """Return the command line of every running process that has the data folder in its command line."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_text()
            except OSError:
                continue
            if str(self.data) in command:
                found.append(command.replace("\0", " "))
        return found

    @asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[Settings, Store]]:
        """Open the product's store, to read and write without its API."""
        folder = DataFolder(self.data)
        first = int((self.data / "engines" / "port").read_text())
        ports = range(first, first + PORTS)
        access_key, secret_key = seaweedfs.keys(folder)
        addresses = Addresses(mongod.url(folder, first), seaweedfs.endpoint(ports[1:]), access_key, secret_key)
        settings = Settings.from_environment({**addresses.environment(), "MINGCHA_DATA": str(self.data)})
        store = open_store(settings)
        try:
            yield settings, store
        finally:
            await store.close()
