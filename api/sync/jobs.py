"""Run the background work of sync."""

import secrets

from api.graphql.context import clock
from api.jobs.job import EVERY_HOUR, Job, Resources, Run
from api.sync.change_feed_worker import ChangeFeedWorker


async def _follow(resources: Resources) -> Run:
    return ChangeFeedWorker(resources.store, secrets.token_urlsafe(9), clock).follow


async def _forget(resources: Resources) -> Run:
    return ChangeFeedWorker(resources.store, secrets.token_urlsafe(9), clock).delete_tombstones


JOBS = (Job("follow", 2.0, _follow), Job("forget", EVERY_HOUR, _forget))
