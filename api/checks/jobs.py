"""Define the background jobs of checks."""

from api.checks.backfill import CheckBackfill
from api.checks.runner import CheckRunner
from api.graphql.context import clock
from api.jobs.job import EVERY_FEW_SECONDS, EVERY_MINUTE, Job, Resources, Run


async def _check(resources: Resources) -> Run:
    return CheckRunner(resources.store, clock).do_all


async def _check_backlog(resources: Resources) -> Run:
    return CheckBackfill(resources.store, resources.decoder, resources.folder, clock).sweep


JOBS = (Job("check", EVERY_FEW_SECONDS, _check), Job("backlog", EVERY_MINUTE, _check_backlog))
