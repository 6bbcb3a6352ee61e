"""Run the background work of media."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from api.graphql.context import clock
from api.jobs.job import EVERY_FEW_SECONDS, EVERY_HOUR, Job, Queue, Resources, Run
from api.media.announcements import sweep_unnamed
from api.media.upload_cleanup import sweep_uploads
from api.media.verification import MediaVerifier
from storage.formats.sandbox import Decoder

FIRST_SECONDS = 5.0
"""Time for the first examination of a file. A file that takes longer is examined again, beside the other files."""


async def _verify(resources: Resources) -> Callable[[], Awaitable[bool]]:
    decoder = await resources.exits.enter_async_context(Decoder(seconds=FIRST_SECONDS))
    return _verifier(resources, decoder, again=False).do_one


async def _verify_again(resources: Resources) -> Run:
    do_one = _verifier(resources, resources.decoder, again=True).do_one

    async def do_all() -> None:
        while await do_one():
            pass

    return do_all


def _verifier(resources: Resources, decoder: Decoder, *, again: bool) -> MediaVerifier:
    return MediaVerifier(
        resources.store,
        decoder,
        resources.folder,
        clock,
        give_up_after=timedelta(days=resources.settings.upload_abandoned_days),
        measured=resources.metrics.measure_work,
        again=again,
    )


async def _sweep_unnamed(resources: Resources) -> Run:
    return lambda: sweep_unnamed(resources.store, clock(), resources.metrics.measure_work)


async def _sweep_uploads(resources: Resources) -> Run:
    return lambda: sweep_uploads(resources.store, clock(), unused_for=resources.settings.upload_unused_for)


JOBS = (
    Queue("media", _verify, lambda store: store.media.watch_uploaded),
    Job("again", EVERY_FEW_SECONDS, _verify_again),
    Job("sweep", EVERY_HOUR, _sweep_unnamed),
    Job("sweep", EVERY_HOUR, _sweep_uploads, frees_space=True),
)
