"""Run a replica set of three real members, with the product's key file and authorization, and disturb it."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from schema.core.refusals import Refusal
from storage.embedded import mongod
from storage.embedded.data_folder import DataFolder, write_private
from storage.mongodb.client import Mongo
from storage.mongodb.errors import StoreError
from storage.processes.supervisor import Child, ProcessLostError, is_listening

MEMBERS = 3
OPTIONS = (
    "--setParameter=diagnosticDataCollectionEnabled=false",
    "--setParameter=scramSHA256IterationCount=5000",
    # By default, a primary that is asked to stop waits for 15 seconds.
    "--setParameter=shutdownTimeoutMillisForSignaledShutdown=1000",
    "--wiredTigerEngineConfigString=cache_size=64M",
)
SETTINGS = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500, "chainingAllowed": False}
"""By default, the others wait for ten seconds until they elect a new primary."""
SETTLE_SECONDS = 60.0


@dataclass
class Member:
    """One mongod of the set, which may be dead or stopped. `system` is a connection to it alone, as its own user."""

    folder: DataFolder
    port: int
    system: Mongo
    lost: "asyncio.Future[ProcessLostError]"
    child: Child | None = None
    is_stopped: bool = False

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        program = mongod.program(self.folder, self.port, options=OPTIONS)
        self.child = Child(program, print, self.lost)
        await self.child.start(lambda: is_listening(self.port))

    async def state(self) -> str:
        """Return `primary`, `secondary` or `other`."""
        if self.is_stopped:
            return "other"
        try:
            hello = await self.system.command("hello")
        except (Refusal, StoreError):
            return "other"
        return "primary" if hello.get("isWritablePrimary") else "secondary" if hello.get("secondary") else "other"

    async def kill(self) -> None:
        """Kill the process, and wait until it has ended."""
        if self.child and self.child._watch:
            self.child.kill()
            await asyncio.wait([self.child._watch])

    def signal(self, number: signal.Signals) -> None:
        assert self.child
        assert self.child.pid
        os.kill(self.child.pid, number)
        self.is_stopped = number is signal.SIGSTOP


@dataclass
class ReplicaSet:
    """Three members on loopback. `notes` is the log of what was done to them."""

    members: list[Member]
    notes: list[str] = field(default_factory=list)
    _begun: float = field(default_factory=time.monotonic)

    @property
    def url(self) -> str:
        """The connection string that the application uses."""
        password = self.members[0].folder.secret("mongo-password")
        hosts = ",".join(member.host for member in self.members)
        return f"mongodb://{mongod.USER}:{password}@{hosts}/?replicaSet={mongod.REPLICA_SET}"

    def note(self, text: str) -> None:
        self.notes.append(f"{time.monotonic() - self._begun:7.2f} s  {text}")

    async def form(self) -> None:
        """Start all members, and make them a replica set with the application's user."""
        await asyncio.gather(*(member.start() for member in self.members))
        hosts = [{"_id": number, "host": member.host} for number, member in enumerate(self.members)]
        config = {"_id": mongod.REPLICA_SET, "members": hosts, "settings": SETTINGS}
        await self.members[0].system.command("replSetInitiate", config)
        primary = await self.settled()
        await mongod._put_user(primary.system, primary.folder.secret("mongo-password"))
        self.note("the set is formed")

    async def primary(self) -> Member:
        """Wait until a member is primary, and return it."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            states = await asyncio.gather(*(member.state() for member in self.members))
            if "primary" in states:
                return self.members[states.index("primary")]
            assert time.monotonic() < deadline, states
            await asyncio.sleep(0.1)

    async def settled(self) -> Member:
        """Wait until one member is primary and all others are secondaries. Return the primary."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            states = await asyncio.gather(*(member.state() for member in self.members))
            if sorted(states) == ["primary", *["secondary"] * (MEMBERS - 1)]:
                return self.members[states.index("primary")]
            assert time.monotonic() < deadline, states
            await asyncio.sleep(0.1)

    async def kill_primary(self, seconds: float) -> None:
        """Kill the primary as `kill -9` does, and start it again after that time."""
        primary = await self.primary()
        await self._restart([primary], seconds)

    async def kill_all(self, seconds: float) -> None:
        """Kill all members at once, and start them again after that time."""
        await self._restart(self.members, seconds)

    async def stop_all(self, seconds: float) -> None:
        """Ask all members to stop, as the shutdown of their machines does, and start them again after that time."""
        self.note("all are asked to stop")
        await asyncio.gather(*(member.child.stop() for member in self.members if member.child))
        await asyncio.sleep(seconds)
        await asyncio.gather(*(member.start() for member in self.members))

    async def step_down(self, seconds: float) -> None:
        """Let the primary step down. It may be elected again after that time."""
        primary = await self.primary()
        self.note(f"{primary.port} steps down")
        try:
            await primary.system.command("replSetStepDown", max(1, round(seconds)), secondaryCatchUpPeriodSecs=0)
        except (Refusal, StoreError) as error:
            self.note(f"stepping down: {error}")  # it may be refused while a secondary lags behind
        await asyncio.sleep(seconds)

    async def freeze_primary(self, seconds: float) -> None:
        """Stop the process of the primary for that time, so that its connections stay open and silent."""
        await self._freeze([await self.primary()], seconds)

    async def freeze_secondary(self, seconds: float) -> None:
        primary = await self.primary()
        await self._freeze([member for member in self.members if member is not primary][:1], seconds)

    async def freeze_majority(self, seconds: float) -> None:
        """Stop the primary and one more member for that time, so that nobody can be primary."""
        primary = await self.primary()
        others = [member for member in self.members if member is not primary]
        await self._freeze([primary, others[0]], seconds)

    async def _freeze(self, members: Iterable[Member], seconds: float) -> None:
        frozen = list(members)
        self.note(f"freeze {[member.port for member in frozen]} for {seconds:.1f} s")
        for member in frozen:
            member.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        for member in frozen:
            member.signal(signal.SIGCONT)
        self.note("they go on")

    async def _restart(self, members: Iterable[Member], seconds: float) -> None:
        killed = list(members)
        self.note(f"kill {[member.port for member in killed]}")
        await asyncio.gather(*(member.kill() for member in killed))
        await asyncio.sleep(seconds)
        await asyncio.gather(*(member.start() for member in killed))
        self.note("they are started again")

    async def close(self) -> None:
        for member in self.members:
            await member.kill()
            await member.system.close()


@asynccontextmanager
async def replica_set(folder: Path) -> AsyncIterator[ReplicaSet]:
    """Run a replica set below `folder` until the block ends. All members have the same key file."""
    lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
    shared: dict[str, str] = {}
    members: list[Member] = []
    for number in range(MEMBERS):
        own = DataFolder.open(folder / f"member-{number}")
        for name in ("mongo-key", "mongo-password"):
            shared.setdefault(name, own.secret(name))
            write_private(own.root / "engines" / name, shared[name])
        port = own.ports()[0]
        system = Mongo(mongod.system_url(own, port), "admin", driver="pymongo", timeout_seconds=2)
        members.append(Member(own, port, system, lost))
    made = ReplicaSet(members)
    try:
        await made.form()
        yield made
    finally:
        await made.close()
