"""Run the background work of every area in one process: `python -m api.server.worker`.

Any number of workers may run. The records hold the state of the work, so no work is lost if a worker dies.
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TypeVar

import anyio
import structlog

from api.connections import open_store
from api.jobs.job import EVERY_FEW_SECONDS, EVERY_SECOND, Job, Queue, Resources
from api.jobs.watchdog import LOOK_SECONDS, LoopTurns, WorkInProgress, driver_signs, watching
from api.server.areas import PRODUCT
from api.server.bucket_setup import BucketSetup
from api.settings import Settings
from api.telemetry.logs import configure_logging
from api.telemetry.metrics import Metrics
from schema.core.refusals import Refusal
from storage.formats.sandbox import Decoder
from storage.mongodb.errors import StoreError
from storage.processes.free_space import FreeSpace
from storage.processes.scratch_folders import scratch_folder
from storage.processes.task_groups import collapse_exception_groups
from storage.store import Store

T = TypeVar("T")
log = structlog.get_logger()


async def run_worker(
    settings: Settings, store: Store, metrics: Metrics, jobs: Sequence[Job | Queue] = PRODUCT.jobs
) -> None:
    """Run all `jobs` until cancelled."""
    with scratch_folder(settings.data / "work") as folder:
        async with AsyncExitStack() as exits, Decoder() as decoder, anyio.create_task_group() as tasks:
            turns, work = LoopTurns(LOOK_SECONDS / 2), WorkInProgress()
            exits.enter_context(watching(turns.signs, work.signs, driver_signs))
            tasks.start_soon(turns.run)
            resources = Resources(store, settings, metrics, decoder, folder, exits)
            tasks.start_soon(BucketSetup(store.objects, settings).run)
            space = settings.free_space
            for job in jobs:
                if isinstance(job, Job):
                    piece = _while_clock_is_right(store, await job.start(resources))
                    needed = None if job.frees_space else space
                    tasks.start_soon(_repeat, metrics, work, job.kind, piece, job.seconds, needed)
                else:
                    wakeup = Wakeup()
                    listen = partial(_listen, job.changes(store), wakeup)
                    tasks.start_soon(_repeat, metrics, work, "listen", listen, 1.0)
                    piece_of_queue = _while_clock_is_right(store, await job.start(resources))
                    tasks.start_soon(_work_through, work, job.kind, piece_of_queue, wakeup, space)


def _while_clock_is_right(store: Store, piece: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T | bool]]:
    """Return a function that does the piece, or returns False while this machine's clock is wrong.

    Deadlines would pass by a wrong clock, and wrong times would be stored.
    """

    async def do() -> T | bool:
        return await piece() if store.database_clock.is_right else False

    return do


async def _work_through(
    work: WorkInProgress, kind: str, do_one: Callable[[], Awaitable[bool]], wakeup: "Wakeup", space: FreeSpace
) -> None:
    """Do the due pieces of one kind, one after another, for ever."""
    while True:
        await _wait_for_space(space, kind)
        is_done = False
        with _survive_errors(kind), work.track(kind):
            is_done = await do_one()
        if not is_done:
            await wakeup.wait(EVERY_FEW_SECONDS)


@contextmanager
def _survive_errors(kind: str) -> Iterator[None]:
    """Log every error and go on. Neither a part that is down nor an error in our code may end the worker.

    Work that was claimed stays claimed until its lease runs out. Then it is tried again.
    """
    try:
        yield
    except (Refusal, StoreError) as error:
        log.warning("work failed", work=kind, reason=type(error).__name__)
    except Exception:
        log.exception("work failed", work=kind)


class Wakeup:
    """An event that is awaited with a timeout. If `set` comes before `wait`, the next `wait` returns at once."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._event.wait()
        if self._event.is_set():
            self._event = anyio.Event()


async def _listen(changes: Callable[[], AsyncIterator[None]], wakeup: Wakeup) -> None:
    async for _ in changes():
        wakeup.set()


async def _wait_for_space(space: FreeSpace, kind: str) -> None:
    """Wait while a disk that holds the data is full."""
    is_told = False
    while space.is_low:
        if not is_told:
            log.warning("waits for space", work=kind)
        is_told = True
        await anyio.sleep(EVERY_SECOND)


async def _repeat(
    metrics: Metrics,
    work: WorkInProgress,
    kind: str,
    piece: Callable[[], Awaitable[object]],
    every_seconds: float,
    space: FreeSpace | None = None,
) -> None:
    """Do `piece`, then pause for `every_seconds`, again and again for ever. Wait for `space` before each piece."""
    while True:
        if space:
            await _wait_for_space(space, kind)
        with _survive_errors(kind), work.track(kind), metrics.measure_work(kind):
            await piece()
        await anyio.sleep(every_seconds)


async def _run_until_stopped() -> None:
    settings = Settings.from_environment()
    configure_logging(settings.log_level)
    metrics = Metrics()
    store = open_store(settings, listeners=[metrics.mongo_listener()])
    with collapse_exception_groups():
        async with anyio.create_task_group() as tasks:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                tasks.start_soon(run_worker, settings, store, metrics)
                async for _ in signals:
                    break
                # Work in progress keeps its lease. When the lease runs out, another worker does the work.
                tasks.cancel_scope.cancel()
    with anyio.CancelScope(shield=True):
        await store.close()


def main() -> None:
    anyio.run(_run_until_stopped)


if __name__ == "__main__":
    main()
