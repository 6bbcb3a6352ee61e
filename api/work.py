"""The worker process: media are verified, redactions made, sweeps run, for as long as the process lives; any number may run.

`python -m api.work`. Work is a state in a record, so that nothing is lost with the process; it is woken by a change stream and
looks by itself every few seconds besides.
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import anyio
import structlog

from api.context import clock
from api.logs import configure
from api.metrics import Metrics
from api.placement import place_known
from api.redaction_work import RedactionWork
from api.settings import Settings
from api.verification import MediaWork
from api.wiring import open_store
from schema.refusals import Refusal
from storage.decoding import Decoder
from storage.mongo import StoreFault
from storage.store import Store
from storage.workplaces import workplace

LOOK_EVERY_SECONDS = 5.0
SWEEP_EVERY_SECONDS = 60.0
log = structlog.get_logger()


async def work(settings: Settings, store: Store, metrics: Metrics) -> None:
    """Work until cancelled."""
    with workplace(settings.data / "work") as folder:
        async with Decoder() as decoder, anyio.create_task_group() as tasks:
            media = MediaWork(store, decoder, folder, clock, measured=metrics.work)
            redactions = RedactionWork(store, folder, clock, measured=metrics.work)
            tasks.start_soon(_for_ever, metrics, "place", lambda: place_known(store), SWEEP_EVERY_SECONDS)
            for kind, do_one, changes in (
                ("media", media.do_one, store.media.uploaded),
                ("redaction", redactions.do_one, store.redactions.due),
            ):
                bell = Bell()
                tasks.start_soon(_for_ever, metrics, "listen", partial(_listen, changes, bell), 1.0)
                tasks.start_soon(_work_off, kind, do_one, bell)


async def _work_off(kind: str, do_one: Callable[[], Awaitable[bool]], bell: "Bell") -> None:
    """Do what is due of one kind, piece after piece, for ever."""
    while True:
        try:
            found = await do_one()
        except (Refusal, StoreFault) as error:
            log.warning("work failed", work=kind, reason=type(error).__name__)
            found = False
        if not found:
            await bell.wait(LOOK_EVERY_SECONDS)


class Bell:
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


async def _listen(changes: Callable[[], AsyncIterator[None]], bell: Bell) -> None:
    async for _ in changes():
        bell.ring()


async def _for_ever(metrics: Metrics, kind: str, piece: Callable[[], Awaitable[object]], every_seconds: float) -> None:
    """Do a piece of work again and again; a part of the service that is down does not end the worker."""
    while True:
        try:
            with metrics.work(kind):
                await piece()
        except (Refusal, StoreFault) as error:
            log.warning("work failed", work=kind, reason=type(error).__name__)
        await anyio.sleep(every_seconds)


async def main() -> None:
    settings = Settings.from_environment()
    configure(settings.log_level)
    metrics = Metrics()
    store = open_store(settings, listeners=[metrics.listener()])
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
