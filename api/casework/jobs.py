"""Run the background work of casework."""

from api.casework.deadlines import recount_deadlines
from api.casework.held_answers import sweep_answers
from api.graphql.context import clock
from api.jobs.job import EVERY_MINUTE, Job, Resources, Run


async def _apply_held_answers(resources: Resources) -> Run:
    return lambda: sweep_answers(resources.store, clock())


async def _recount_deadlines(resources: Resources) -> Run:
    return lambda: recount_deadlines(resources.store, clock())


JOBS = (
    Job("answers", EVERY_MINUTE, _apply_held_answers),
    Job("deadlines", EVERY_MINUTE, _recount_deadlines),
)
