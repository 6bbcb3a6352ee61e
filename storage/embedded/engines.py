"""Start and stop both embedded engines of a data folder."""

import asyncio
import importlib.metadata
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from storage.embedded import mongod, seaweedfs
from storage.embedded.data_folder import DataFolder
from storage.processes.programs import Program
from storage.processes.supervisor import Child, ProcessLostError, is_listening, start_together, trim_log
from storage.s3.client import ObjectStore


class EnginesMissingError(Exception):
    """Raised if this machine can't run the embedded engines. The message says why and what to do."""


@dataclass(frozen=True)
class Addresses:
    """The addresses and keys of the engines."""

    mongo_url: str = field(repr=False)
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str = field(repr=False)
    s3_bucket: str = seaweedfs.BUCKET
    s3_region: str = seaweedfs.REGION

    def store(self) -> ObjectStore:
        return ObjectStore(
            endpoint=self.s3_endpoint,
            public_endpoint=self.s3_endpoint,
            bucket=self.s3_bucket,
            access_key=self.s3_access_key,
            secret_key=self.s3_secret_key,
            region=self.s3_region,
        )

    def environment(self) -> dict[str, str]:
        """Return the addresses and keys as environment variables, under the names of the settings."""
        return {
            "MINGCHA_MONGO_URL": self.mongo_url,
            "MINGCHA_S3_ENDPOINT": self.s3_endpoint,
            "MINGCHA_S3_ACCESS_KEY": self.s3_access_key,
            "MINGCHA_S3_SECRET_KEY": self.s3_secret_key,
            "MINGCHA_S3_BUCKET": self.s3_bucket,
            "MINGCHA_S3_REGION": self.s3_region,
        }


@dataclass
class Engines:
    """Both embedded engines of a data folder.

    `lock` is the file descriptor of the folder's lock. `say` gets messages for the operator. `lost` gets its result
    when an engine can't be kept alive. `obstacle` returns a clause about the machine if no engine can live on it now.
    """

    folder: DataFolder
    lock: int
    say: Callable[[str], None]
    lost: "asyncio.Future[ProcessLostError]"
    mongod_options: Sequence[str] = ()
    durable: bool = True
    obstacle: Callable[[], str | None] = lambda: None
    _children: list[Child] = field(default_factory=list)
    _ports: Sequence[int] = ()

    async def start(self) -> Addresses:
        """Start both engines, on the ports of the last start if these are free.

        Raise `EnginesMissingError` if this machine can't run them, and `ProcessLostError` if they don't start.
        """
        check_machine()
        for _ in range(3):
            ports = self.folder.ports(lambda ports: seaweedfs.remove_sockets(ports[1:]))
            try:
                return await self._start(ports)
            except ProcessLostError:
                # Try again only if another process has taken a port meanwhile. Any other error would occur again.
                if not any([await is_listening(port) for port in ports]):
                    raise
        raise ProcessLostError("No free ports were found for the embedded engines.")

    async def _start(self, ports: Sequence[int]) -> Addresses:
        self._ports = ports
        s3_ports = ports[1:]
        access_key, secret_key = seaweedfs.keys(self.folder)
        addresses = Addresses(mongod.url(self.folder, ports[0]), seaweedfs.endpoint(s3_ports), access_key, secret_key)
        store = addresses.store()
        database = self._child(mongod.program(self.folder, ports[0], options=self.mongod_options, passed=[self.lock]))
        objects = self._child(seaweedfs.program(self.folder, s3_ports, passed=[self.lock]))
        self._children = [objects, database]
        try:
            await start_together(
                [
                    database.start(mongod.ready(self.folder, ports[0])),
                    objects.start(seaweedfs.ready(store, s3_ports)),
                ]
            )
            if self.durable:
                await seaweedfs.make_durable(self.folder, s3_ports)
        except BaseException:
            await self.stop()
            raise
        finally:
            store.close()
        return addresses

    def _child(self, program: Program) -> Child:
        if program.log:
            trim_log(program.log)
        return Child(program, self.say, self.lost, self.obstacle)

    async def stop(self) -> None:
        """Ask both engines to stop, and wait. Acknowledged data also survives if they are killed instead."""
        await asyncio.gather(*(child.stop() for child in self._children))
        self._clean_up()

    def kill(self) -> None:
        for child in self._children:
            child.kill()
        self._clean_up()

    def _clean_up(self) -> None:
        if self._ports:
            seaweedfs.remove_sockets(self._ports[1:])

    @property
    def pids(self) -> dict[str, int | None]:
        return {child.program.name: child.pid for child in self._children}


def check_machine() -> None:
    """Raise `EnginesMissingError` if the embedded engines can't run on this machine or aren't installed."""
    instead = "Set MINGCHA_MONGO_URL and MINGCHA_S3_ENDPOINT (with its keys) to use engines of your own."
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise EnginesMissingError(
            f"The embedded engines run on Linux x86-64 only; this is {platform.system()} {platform.machine()}. {instead}"
        )
    try:
        binaries = [mongod.binary(), seaweedfs.binary()]
    except importlib.metadata.PackageNotFoundError as error:
        raise EnginesMissingError(
            f"The package {error.name} of the embedded engines isn't installed. {instead}"
        ) from error
    for path in binaries:
        if not path.exists():
            raise EnginesMissingError(f"{path} of the embedded engines is missing. {instead}")
