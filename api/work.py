"""The worker process: media are verified, observations checked, redactions made, phones woken; any number may run.

`python -m api.work`. Work is a state in a record, so that nothing is lost with the process; it is woken by a change stream and
looks by itself every few seconds besides.
"""

import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import anyio
import structlog

from api.announcements import sweep_unnamed
from api.backlog import Backlog
from api.buckets import BucketCare
from api.change_work import ChangeWork
from api.checks import CheckWork
from api.context import clock
from api.held_answers import sweep_answers
from api.logs import configure
from api.metrics import Metrics
from api.outgoing import Outgoing, caller
from api.placement import place_known
from api.push_gateways import gateways, push_caller
from api.redaction_work import RedactionWork
from api.settings import Settings
from api.upload_sweeps import sweep_uploads
from api.verification import MediaWork
from api.waking import NoticeWork, WakingWork
from api.webhook_work import WebhookWork
from api.webhooks import rules_of
from api.wiring import open_store
from schema.refusals import Refusal
from storage.decoding import Decoder
from storage.faults import StoreFault
from storage.store import Store
from storage.workplaces import workplace

LOOK_EVERY_SECONDS = 5.0
FOLLOW_AGAIN_SECONDS = 2.0
WAKE_EVERY_SECONDS = 1.0
SWEEP_EVERY_SECONDS = 60.0
SWEEP_LONG_EVERY_SECONDS = 3600.0
log = structlog.get_logger()


async def work(settings: Settings, store: Store, metrics: Metrics) -> None:
    """Work until cancelled."""
    with workplace(settings.data / "work") as folder:
        async with push_caller() as client, caller() as free, Decoder() as decoder, anyio.create_task_group() as tasks:
            given_up = timedelta(days=settings.upload_abandoned_days)
            media = MediaWork(store, decoder, folder, clock, give_up_after=given_up, measured=metrics.work)
            redactions = RedactionWork(store, folder, clock, measured=metrics.work)
            tasks.start_soon(BucketCare(store.objects, settings).take)
            following = ChangeWork(store, secrets.token_urlsafe(9), clock)
            tasks.start_soon(_for_ever, metrics, "follow", following.follow, FOLLOW_AGAIN_SECONDS)
            tasks.start_soon(_for_ever, metrics, "forget", following.forget, SWEEP_LONG_EVERY_SECONDS)
            tasks.start_soon(_for_ever, metrics, "check", CheckWork(store, clock).do_all, LOOK_EVERY_SECONDS)
            tasks.start_soon(_for_ever, metrics, "place", lambda: place_known(store), SWEEP_EVERY_SECONDS)
            backlog = Backlog(store, decoder, folder, clock)
            tasks.start_soon(_for_ever, metrics, "backlog", backlog.sweep, SWEEP_EVERY_SECONDS)
            tasks.start_soon(_for_ever, metrics, "time", store.observations.know_shown_times, SWEEP_EVERY_SECONDS)
            tasks.start_soon(_for_ever, metrics, "answers", lambda: sweep_answers(store, clock()), SWEEP_EVERY_SECONDS)
            forget = partial(_sweep_unnamed, store, metrics)
            tasks.start_soon(_for_ever, metrics, "sweep", forget, SWEEP_LONG_EVERY_SECONDS)
            sweep = partial(_sweep_uploads, store, settings.upload_unused_for)
            tasks.start_soon(_for_ever, metrics, "sweep", sweep, SWEEP_LONG_EVERY_SECONDS)
            tasks.start_soon(_for_ever, metrics, "hear", NoticeWork(store, clock).run, 1.0)
            waking = WakingWork(store, gateways(settings, client), clock)
            webhooks = WebhookWork(store, Outgoing(rules_of(settings), free), clock)
            tasks.start_soon(_for_ever, metrics, "tell", webhooks.do_all, WAKE_EVERY_SECONDS)
            tasks.start_soon(_for_ever, metrics, "wake", waking.do_all, WAKE_EVERY_SECONDS)
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
        found = False
        with _going_on(kind):
            found = await do_one()
        if not found:
            await bell.wait(LOOK_EVERY_SECONDS)


@contextmanager
def _going_on(kind: str) -> Iterator[None]:
    """No piece of work ends the worker: neither a part of the service that is down, nor one record that trips our code.

    What was claimed is left to its lease, and is tried again after it.
    """
    try:
        yield
    except (Refusal, StoreFault) as error:
        log.warning("work failed", work=kind, reason=type(error).__name__)
    except Exception:
        log.exception("work failed", work=kind)


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


async def _sweep_uploads(store: Store, unused_for: timedelta) -> None:
    await sweep_uploads(store, clock(), unused_for=unused_for)


async def _sweep_unnamed(store: Store, metrics: Metrics) -> None:
    await sweep_unnamed(store, clock(), metrics.work)


async def _for_ever(metrics: Metrics, kind: str, piece: Callable[[], Awaitable[object]], every_seconds: float) -> None:
    """Do a piece of work again and again."""
    while True:
        with _going_on(kind), metrics.work(kind):
            await piece()
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
