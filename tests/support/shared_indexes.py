"""Make indexes once for each database of this process, however many worlds are built in it.

Asking for indexes takes a hundred round trips even if they exist. That is longer than most tests take.
"""

import asyncio

from storage.casework.limits import Limits
from storage.casework.working_years import WorkingYears
from storage.catalogue.entries import Catalogue
from storage.checks.thresholds import Thresholds
from storage.indexes import ensure_indexes
from storage.mongodb.client import Mongo

_STANDING: set[str] = set()


async def prepare(mongo: Mongo) -> None:
    """Make indexes and the initial data of an installation, as `ensure_indexes` does."""
    if mongo.name in _STANDING:
        await asyncio.gather(
            Thresholds(mongo).begin(), Catalogue(mongo).begin(), WorkingYears(mongo).begin(), Limits(mongo).begin()
        )
    else:
        await ensure_indexes(mongo)
        _STANDING.add(mongo.name)
