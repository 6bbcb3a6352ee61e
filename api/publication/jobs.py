"""Run the background work of publication."""

from collections.abc import Awaitable, Callable

from api.graphql.context import clock
from api.jobs.job import Queue, Resources
from api.publication.redaction_worker import RedactionWorker


async def _render(resources: Resources) -> Callable[[], Awaitable[bool]]:
    return RedactionWorker(resources.store, resources.folder, clock, measured=resources.metrics.measure_work).do_one


JOBS = (Queue("redaction", _render, lambda store: store.redactions.watch_due),)
