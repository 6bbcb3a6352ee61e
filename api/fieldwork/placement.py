"""Place observations: find the units and monitoring points that their content names.

This is done when an observation arrives, and again for all unplaced observations when units, points or people are
loaded. A job repeats it too, because an observation may arrive during the load: often at first, and then less and less.
The content of an observation is never changed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from schema.access.viewers import Viewer
from schema.fieldwork.observations import Observation, ObservationContent, Placement
from schema.fieldwork.placement import Directory, PlacementAuthor
from storage.mongodb.codecs import to_document
from storage.mongodb.combined_reads import run_together
from storage.store import Store

BATCH = 500
EVER = datetime(1, 1, 1, tzinfo=UTC)


class DirectoryReads:
    """The reads of every unit and point that `contents` name."""

    def __init__(self, store: Store, contents: Sequence[ObservationContent]) -> None:
        units = sorted({content.claimed_unit for content in contents if content.claimed_unit})
        points = sorted({content.claimed_monitoring_point for content in contents if content.claimed_monitoring_point})
        self._units, self._points = store.units.read_named(units), store.monitoring_points.read_named(points)
        self.reads = (self._units, self._points)

    @property
    def directory(self) -> Directory:
        return Directory(self._units.result, self._points.result)


async def directory_for(store: Store, contents: Sequence[ObservationContent]) -> Directory:
    """Load every unit and point that `contents` name, by one command."""
    reads = DirectoryReads(store, contents)
    await run_together(store.mongo, reads.reads)
    return reads.directory


def placement_author(viewer: Viewer) -> PlacementAuthor:
    return PlacementAuthor(viewer.user_id, viewer.roles, viewer.scopes)


async def place_known(store: Store, since: datetime = EVER) -> int:
    """Try to place every unplaced observation that was received at or after `since`. Return how many were placed."""
    placed, after = 0, None
    while batch := await store.observations.unplaced(since, after, BATCH):
        after = batch[-1]
        placed += await _place(store, batch)
    return placed


async def _place(store: Store, batch: Sequence[Observation]) -> int:
    directory = await directory_for(store, [observation.content for observation in batch])
    authors = {str(user.id): user for user in await store.users.many([observation.author_id for observation in batch])}
    count = 0
    for observation in batch:
        user = authors.get(observation.author_id)
        author = PlacementAuthor(observation.author_id, user.roles if user else (), user.scope_paths if user else ())
        placement = directory.resolve(observation.content, author)
        if placement.placement is Placement.PLACED:
            count += await store.observations.set_placement(
                observation.id, observation.revision, to_document(placement)
            )
    return count
