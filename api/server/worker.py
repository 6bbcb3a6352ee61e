"""Run the background work of every area in one process; any number of workers may run.

`python -m api.server.worker`. Work is a state in a record, so nothing is lost with the process.
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial

import anyio
import structlog

from api.connections import open_store
from api.jobs.job import EVERY_FEW_SECONDS, Job, Queue, Resources
from api.server.areas import PRODUCT
from api.server.bucket_setup import BucketSetup
from api.settings import Settings
from api.telemetry.logs import configure_logging
from api.telemetry.metrics import Metrics
from schema.core.refusals import Refusal
from storage.formats.sandbox import Decoder
from storage.mongodb.errors import StoreError
from storage.processes.scratch_folders import workplace
from storage.processes.task_groups import collapse_exception_groups
from storage.store import Store

log = structlog.get_logger()


async def work(settings: Settings, store: Store, metrics: Metrics, jobs: Sequence[Job | Queue] = PRODUCT.jobs) -> None:
    """Work until cancelled."""
    with workplace(settings.data / "work") as folder:
        async with AsyncExitStack() as exits, Decoder() as decoder, anyio.create_task_group() as tasks:
            resources = Resources(store, settings, metrics, decoder, folder, exits)
            tasks.start_soon(BucketSetup(store.objects, settings).take)
            for job in jobs:
                if isinstance(job, Job):
                    tasks.start_soon(_repeat, metrics, job.kind, await job.start(resources), job.seconds)
                else:
                    bell = Wakeup()
                    listen = partial(_listen, job.changes(store), bell)
                    tasks.start_soon(_repeat, metrics, "listen", listen, 1.0)
                    tasks.start_soon(_work_off, job.kind, await job.start(resources), bell)


async def _work_off(kind: str, do_one: Callable[[], Awaitable[bool]], bell: "Wakeup") -> None:
    """Do what is due of one kind, piece after piece, for ever."""
    while True:
        found = False
        with _going_on(kind):
            found = await do_one()
        if not found:
            await bell.wait(EVERY_FEW_SECONDS)


@contextmanager
def _going_on(kind: str) -> Iterator[None]:
    """No piece of work ends the worker: neither a part of the service that is down, nor one record that trips our code.

    What was claimed is left to its lease, and is tried again after it.
    """
    try:
        yield
    except (Refusal, StoreError) as error:
        log.warning("work failed", work=kind, reason=type(error).__name__)
    except Exception:
        log.exception("work failed", work=kind)


class Wakeup:
    """Wakes the one who waits; a ring while nobody waits is kept."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._rung.wait()
        if self._rung.is_set():
            self._rung = anyio.Event()


async def _listen(changes: Callable[[], AsyncIterator[None]], bell: Wakeup) -> None:
    async for _ in changes():
        bell.ring()


async def _repeat(metrics: Metrics, kind: str, piece: Callable[[], Awaitable[object]], every_seconds: float) -> None:
    """Do a piece of work again and again."""
    while True:
        with _going_on(kind), metrics.measure_work(kind):
            await piece()
        await anyio.sleep(every_seconds)


async def main() -> None:
    settings = Settings.from_environment()
    configure_logging(settings.log_level)
    metrics = Metrics()
    store = open_store(settings, listeners=[metrics.mongo_listener()])
    with collapse_exception_groups():
        async with anyio.create_task_group() as tasks:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                tasks.start_soon(work, settings, store, metrics)
                async for _ in signals:
                    break
                # What is in work is left to its lease: the next worker takes it up.
                tasks.cancel_scope.cancel()
    with anyio.CancelScope(shield=True):
        await store.close()


if __name__ == "__main__":
    anyio.run(main)
