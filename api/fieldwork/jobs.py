"""Run the background work of fieldwork."""

from datetime import timedelta

from api.fieldwork.placement import place_known
from api.graphql.context import clock
from api.jobs.job import EVERY_DAY, EVERY_HOUR, EVERY_MINUTE, Job, Resources, Run

PLACED_WITHIN = {
    EVERY_MINUTE: timedelta(minutes=10),
    EVERY_HOUR: timedelta(days=1),
    EVERY_DAY: timedelta(days=30),
}
"""How old the unplaced observations are at most that a job looks at, by the seconds between two looks.

An observation is looked at about 64 times by these jobs. After that, it is looked at when units, points or people are
loaded.
"""


def _place(seconds: float) -> Job:
    async def start(resources: Resources) -> Run:
        return lambda: place_known(resources.store, clock() - PLACED_WITHIN[seconds])

    return Job("place", seconds, start)


async def _fill_shown_times(resources: Resources) -> Run:
    return resources.store.observations.backfill_shown_times


async def _name_places(resources: Resources) -> Run:
    return resources.store.observations.name_places


JOBS = (
    *map(_place, PLACED_WITHIN),
    Job("time", EVERY_MINUTE, _fill_shown_times),
    Job("map", EVERY_DAY, _name_places),  # reads all observations, and changes those of earlier versions only
)
