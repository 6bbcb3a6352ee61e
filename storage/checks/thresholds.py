"""Store thresholds. A stored threshold is never changed. A new setting is stored as a new document."""

from collections.abc import Sequence
from typing import Any

from schema.checks.thresholds import DEFAULTS, Threshold, ThresholdKind
from schema.organisation.units import paths_above
from storage.mongodb.client import ASCENDING, Mongo, Sort
from storage.mongodb.codecs import to_document
from storage.mongodb.records import Records

INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("path", ASCENDING), ("valid_from", ASCENDING)), {})]


class Thresholds:
    def __init__(self, mongo: Mongo) -> None:
        self._thresholds = mongo.collection("thresholds")
        self._records = Records(mongo, "thresholds", Threshold)

    async def begin(self) -> None:
        """Store the default thresholds of a new installation. Thresholds that are already stored are not changed."""
        await self._thresholds.insert_many([to_document(threshold) for threshold in DEFAULTS])

    async def set(self, threshold: Threshold) -> None:
        """Store a threshold. Raise `DuplicateError` if the id is taken."""
        await self._thresholds.insert_one(to_document(threshold))

    async def one(self, id: str) -> Threshold | None:
        return await self._records.find_one({"_id": id})

    async def count(self, path: str, kind: ThresholdKind) -> int:
        """Return how many settings of this kind the unit at `path` has."""
        return await self._thresholds.count({"path": path, "kind": kind.value})

    async def above(self, *paths: str) -> list[Threshold]:
        """Return all thresholds of the units at `paths` and of the units above them, sorted by start of validity."""
        tree_paths: Sequence[str] = sorted({above for path in paths for above in paths_above(path)})
        return await self._records.find(
            {"path": {"$in": tree_paths}}, sort=[("valid_from", ASCENDING), ("set_at", ASCENDING), ("_id", ASCENDING)]
        )
