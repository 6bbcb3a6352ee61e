"""Indexes that stand: made once for each database of this process, however many worlds are built in it one after another.

Making what stands already takes a hundred round trips, longer than most tests do.
"""

import asyncio

from storage.catalogue.entries import Catalogue
from storage.checks.thresholds import Thresholds
from storage.indexes import ensure_indexes
from storage.mongodb.client import Mongo

_STANDING: set[str] = set()


async def prepare(mongo: Mongo) -> None:
    """As `ensure_indexes`: indexes, and the data that a new installation begins with."""
    if mongo.name in _STANDING:
        await asyncio.gather(Thresholds(mongo).begin(), Catalogue(mongo).begin())
    else:
        await ensure_indexes(mongo)
        _STANDING.add(mongo.name)
