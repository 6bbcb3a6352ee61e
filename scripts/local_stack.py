"""Start and stop the processes of `scripts/run` in order: engines, API processes and the worker."""

import argparse
import asyncio
import os
import shutil
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from api.connections import open_store
from api.settings import Settings
from api.telemetry import shared_metrics
from schema.core.refusals import Refusal
from scripts.demo.due import Demo
from scripts.demo.signins import Signins, signins
from storage.embedded.data_folder import DataFolder, FolderFullError
from storage.embedded.engines import Engines
from storage.indexes import ensure_indexes
from storage.mongodb.client import Mongo
from storage.mongodb.errors import StoreError
from storage.processes.confinement_probe import Probed, probe
from storage.processes.fork_server import MODULE_COMMAND
from storage.processes.forks import Forks
from storage.processes.free_space import FreeSpace, RecentShortage
from storage.processes.programs import Program
from storage.processes.scratch_folders import own_memory_folder, scratch_folder
from storage.processes.supervisor import MAX_PAUSE_SECONDS, Child, ProcessLostError, start_together, trim_log
from storage.store import Store

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 10.0
GRACE_SECONDS = 12.0  # the API takes up to 10 s to finish its requests


class StartError(Exception):
    """Mingcha can't start. The message says why, and what to do."""


def has_own_engines(environment: Mapping[str, str]) -> bool:
    """Whether the environment names the engines to use: a database and an object store.

    Raise `StartError` if the environment names only one of them.
    """
    named = {name: bool(environment.get(name)) for name in ("MINGCHA_MONGO_URL", "MINGCHA_S3_ENDPOINT")}
    if len(set(named.values())) > 1:
        present, missing = sorted(named, key=lambda name: not named[name])
        raise StartError(f"{present} is set and {missing} is not: set both to use your own engines, or neither.")
    return all(named.values())


def bind(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raise `StartError` if the address is not free."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        why = error.strerror or str(error)
        raise StartError(
            f"Can't serve on {host}, port {port} ({why}): choose another with --port or --host."
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  the address to ask at, not to bind
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


class LocalStack:
    """The processes that one `scripts/run` starts. `close` stops those that were started, in order."""

    def __init__(self, options: argparse.Namespace, say: Callable[[str], None], forks: Forks) -> None:
        self.options = options
        self.say = say
        self.forks = forks
        self.lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
        self.listener: socket.socket | None = None
        self.engines: Engines | None = None
        self.api: list[Child] = []
        self.worker: list[Child] = []
        self.signins: Signins | None = None
        self.shortage = RecentShortage(FreeSpace((options.data.absolute(),), 0))
        self._files = ExitStack()
        self._probing: asyncio.Task[Probed | None] | None = None

    async def open(self) -> None:
        embedded = not has_own_engines(os.environ)
        settings = Settings.from_environment()  # report bad settings before anything is started
        self.shortage = RecentShortage(FreeSpace((self.options.data.absolute(),), settings.min_free_bytes))

        async def open_folder() -> DataFolder:
            return DataFolder.open(self.options.data, min_free_bytes=settings.min_free_bytes, is_store=embedded)

        folder = await self._when_there_is_space(open_folder)
        lock = folder.acquire_lock() if embedded else None
        if self.options.role != "worker":
            self.listener = bind(self.options.host, self.options.port)
        self._probing = asyncio.create_task(probe(folder.root / "engines"))
        demo = Demo(folder)
        if lock is not None:
            if folder.is_new and not self.options.no_demo:
                demo.order()
            folder.write_holder(lock, address_of(self.listener) if self.listener else "no address")
        await self._when_there_is_space(partial(self._start, folder, lock, demo))
        found = await self._probing
        self.say(found.sentence() if found else "The process that decodes media can't be started.")

    async def _when_there_is_space(self, step: Callable[[], Awaitable[T]]) -> T:
        """Take a step. If it fails while the disk of the data folder is full, take it again, until it succeeds."""
        pause = 0.5
        while True:
            try:
                return await step()
            except (FolderFullError, ProcessLostError, Refusal, StoreError, OSError):
                obstacle = self.shortage.look()
                if obstacle is None:
                    raise
            if pause < 1:
                self.say(f"The start is tried again until there is space, because {obstacle}.")
            pause = min(2 * pause, MAX_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def _start(self, folder: DataFolder, lock: int | None, demo: Demo) -> None:
        environment = {**os.environ, "MINGCHA_DATA": str(folder.root), "PYTHONPATH": str(ROOT)}
        try:
            if lock is not None:
                self.engines = Engines(folder, lock, self.say, self.lost, obstacle=self.shortage.look)
                environment |= (await self.engines.start()).environment()
                # The data folder's disk holds the database and the objects.
                folders = (environment.get("MINGCHA_STORAGE_FOLDERS"), str(folder.root))
                environment["MINGCHA_STORAGE_FOLDERS"] = ",".join(filter(None, folders))
            self.signins = await prepare(Settings.from_environment(environment), demo, self.say)
            await self._start_own(folder, environment, embedded=lock is not None)
        except Exception:
            await self._stop_children()
            raise

    async def _start_own(self, folder: DataFolder, environment: Mapping[str, str], *, embedded: bool) -> None:
        """Start the API processes and the worker.

        If the engines are external, these processes write their logs to the stderr of this process.
        """
        # Logs are in UTF-8, whatever the encoding of the terminal is.
        environment = {**environment, **self._metrics_environment(), "PYTHONUTF8": "1"}
        shutil.rmtree(folder.root / "metrics", ignore_errors=True)  # where older versions kept the metrics

        def child(name: str, *arguments: str, passed: tuple[int, ...] = ()) -> Child:
            log = folder.path("logs") / f"{name}.log" if embedded else None
            if log:
                trim_log(log)
            program = Program(
                name=name,
                command=(*MODULE_COMMAND, *arguments),
                environment={**environment, shared_metrics.NAME: name},
                folder=ROOT,
                log=log,
                passed=passed,
                grace_seconds=GRACE_SECONDS,
            )
            return Child(program, self.say, self.lost, self.shortage.look, self.forks.start)

        if self.listener:
            descriptor = self.listener.fileno()
            self.api = [
                child(f"api-{number}", "api.server.serve", "--fd", str(descriptor), passed=(descriptor,))
                for number in range(1, self.options.workers + 1)
            ]
        if self.options.role != "api":
            self.worker = [child("worker", "api.server.worker")]
        await start_together(
            [*(process.start(self._answers) for process in self.api), *(process.start() for process in self.worker)]
        )

    def _metrics_environment(self) -> dict[str, str]:
        """Return the variable that names a folder in memory for the metrics of all processes.

        Without such a folder, each process keeps its metrics to itself. The folder must not be on a disk: the metrics
        are mapped files, and the kernel ends a process that writes to such a file on a full disk.
        """
        try:
            folder = self._files.enter_context(scratch_folder(own_memory_folder()))
        except OSError as error:
            self.say(
                f"The metrics of the processes are not added up, because there is no shared memory ({error.strerror})."
            )
            return {}
        return {shared_metrics.FOLDER: str(folder)}

    async def _answers(self) -> bool:
        """Whether an API process answers a request.

        A connection alone proves nothing: the socket accepts connections before an API process runs.
        """
        assert self.listener is not None  # noqa: S101  only API processes have a listener
        host, port = address_of(self.listener).removeprefix("http://").rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        try:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            async with asyncio.timeout(1):
                return (await reader.readline()).split()[1:2] == [b"200"]
        except (TimeoutError, OSError):
            return False
        finally:
            writer.close()

    async def wait(self) -> None:
        """Wait until an engine or a process can't be kept alive, then raise its `ProcessLostError`.

        Meanwhile, trim the logs every minute, and look at the disk every second.
        """
        logs = self.options.data / "logs"
        while not self.lost.done():
            for log in logs.glob("*.log"):
                trim_log(log)
            for _ in range(60):
                self.shortage.look()
                await asyncio.wait([self.lost], timeout=1)
        raise self.lost.result()

    async def close(self) -> None:
        """Stop the API processes first, then the worker, then the engines."""
        if self._probing:
            self._probing.cancel()
        if self.listener:
            self.listener.close()
        await self._stop_children()
        self.forks.close()
        self._files.close()

    async def _stop_children(self) -> None:
        for children in (self.api, self.worker):
            await asyncio.gather(*(child.stop() for child in children))
        if self.engines:
            await self.engines.stop()
        self.api, self.worker, self.engines = [], [], None

    def kill(self) -> None:
        for child in (*self.api, *self.worker):
            child.kill()
        if self.engines:
            self.engines.kill()


async def prepare(settings: Settings, demo: Demo, say: Callable[[str], None]) -> Signins | None:
    """Make the indexes, and load the demo if it is due. This is safe to repeat.

    Return the accounts of the demo, or None if no demo is loaded.
    """
    store = open_store(settings)
    try:
        await _make_indexes(store.mongo, say)
        if not demo.is_due:
            return await signins(store, settings)
        say("loading the demo, once; this takes some 15 seconds ...")
        loaded = await _load_demo(store, settings, say)
        demo.mark_loaded()
        return loaded
    finally:
        await store.close()


async def _load_demo(store: Store, settings: Settings, say: Callable[[str], None]) -> Signins | None:
    # Only loading the demo needs this code. It would cost every other start a second and 20 MB.
    from api.graphql.context import clock  # noqa: PLC0415
    from scripts.demo.loading import NotEmptyError, seed  # noqa: PLC0415

    try:
        return await seed(store, settings, now=clock())
    except NotEmptyError as error:  # an office's own files were loaded before the demo
        say(str(error))
        return None


async def _make_indexes(mongo: Mongo, say: Callable[[str], None]) -> None:
    """Make the indexes before anything is served: without indexes, queries read whole collections."""
    making = asyncio.ensure_future(ensure_indexes(mongo))
    try:
        done, _ = await asyncio.wait({making}, timeout=PATIENCE_SECONDS)
        if not done:
            say("making indexes, once; with much data this takes minutes ...")
        await making
    finally:
        making.cancel()
