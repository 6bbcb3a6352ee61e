"""The worker process: media are verified, observations checked, redactions made, phones woken; any number may run.

`python -m api.server.worker`. Work is a state in a record, so that nothing is lost with the process; it is woken by
a change stream and
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

from api.casework.held_answers import sweep_answers
from api.checks.backfill import Backlog
from api.checks.runner import CheckWork
from api.connections import open_store
from api.fieldwork.placement import place_known
from api.graphql.context import clock
from api.media.announcements import sweep_unnamed
from api.media.upload_cleanup import sweep_uploads
from api.media.verification import MediaWork
from api.notifications.outbound_http import Outgoing, caller
from api.notifications.push_gateways import gateways, push_caller
from api.notifications.push_worker import NoticeWork, WakingWork
from api.notifications.webhook_worker import WebhookWork
from api.notifications.webhooks import rules_of
from api.publication.redaction_worker import RedactionWork
from api.server.bucket_setup import BucketCare
from api.settings import Settings
from api.sync.change_feed_worker import ChangeWork
from api.telemetry.logs import configure
from api.telemetry.metrics import Metrics
from schema.core.refusals import Refusal
from storage.formats.sandbox import Decoder
from storage.mongodb.errors import StoreFault
from storage.processes.scratch_folders import workplace
from storage.store import Store

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
