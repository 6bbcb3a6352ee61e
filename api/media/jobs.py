"""Run the background work of media."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from api.graphql.context import clock
from api.jobs.job import EVERY_HOUR, Job, Queue, Resources, Run
from api.media.announcements import sweep_unnamed
from api.media.upload_cleanup import sweep_uploads
from api.media.verification import MediaVerifier


async def _verify(resources: Resources) -> Callable[[], Awaitable[bool]]:
    days = timedelta(days=resources.settings.upload_abandoned_days)
    measured = resources.metrics.measure_work
    return MediaVerifier(
        resources.store, resources.decoder, resources.folder, clock, give_up_after=days, measured=measured
    ).do_one


async def _sweep_unnamed(resources: Resources) -> Run:
    return lambda: sweep_unnamed(resources.store, clock(), resources.metrics.measure_work)


async def _sweep_uploads(resources: Resources) -> Run:
    return lambda: sweep_uploads(resources.store, clock(), unused_for=resources.settings.upload_unused_for)


JOBS = (
    Queue("media", _verify, lambda store: store.media.watch_uploaded),
    Job("sweep", EVERY_HOUR, _sweep_unnamed),
    Job("sweep", EVERY_HOUR, _sweep_uploads),
)
