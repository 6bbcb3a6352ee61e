"""Run the background work of fieldwork."""

from functools import partial

from api.fieldwork.placement import place_known
from api.jobs.job import EVERY_MINUTE, Job, Resources, Run


async def _place(resources: Resources) -> Run:
    return partial(place_known, resources.store)


async def _fill_shown_times(resources: Resources) -> Run:
    return resources.store.observations.backfill_shown_times


JOBS = (Job("place", EVERY_MINUTE, _place), Job("time", EVERY_MINUTE, _fill_shown_times))
