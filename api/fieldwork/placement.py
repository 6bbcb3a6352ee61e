"""Look up the units and points that phones named, on arrival and again when they may have become known.

The content of an observation is never changed.
"""

from collections.abc import Sequence

from schema.fieldwork.observations import Observation, ObservationContent, Placement
from schema.fieldwork.placement import Directory
from storage.mongodb.codecs import to_document
from storage.store import Store

BATCH = 500


async def directory_for(store: Store, contents: Sequence[ObservationContent]) -> Directory:
    """Load every unit and point that `contents` name, by one command each."""
    unit_names = sorted({each.claimed_unit for each in contents if each.claimed_unit})
    point_names = sorted({each.claimed_monitoring_point for each in contents if each.claimed_monitoring_point})
    units = await store.units.named(unit_names) if unit_names else []
    points = await store.monitoring_points.named(point_names) if point_names else []
    return Directory(units, points)


async def place_known(store: Store) -> int:
    """Try to place every unplaced observation. Return how many were placed."""
    placed, after = 0, ""
    while batch := await store.observations.unplaced(after, BATCH):
        after = batch[-1].id
        placed += await _place(store, batch)
    return placed


async def _place(store: Store, batch: Sequence[Observation]) -> int:
    directory = await directory_for(store, [each.content for each in batch])
    authors = {str(user.id): user for user in await store.users.many([each.author_id for each in batch])}
    count = 0
    for each in batch:
        scopes = authors[each.author_id].scope_paths if each.author_id in authors else ()
        found = directory.place(each.content, scopes=scopes, author_id=each.author_id)
        if found.placement is Placement.PLACED:
            count += await store.observations.place(each.id, each.revision, to_document(found))
    return count
