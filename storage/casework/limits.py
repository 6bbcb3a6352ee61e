"""Store limits. A stored limit is never changed. A new limit is stored as a new document."""

from typing import Any

from schema.casework.limits import DEFAULTS, Limit, LimitStep
from schema.organisation.units import paths_above
from storage.mongodb.client import ASCENDING, Filter, Mongo, Sort
from storage.mongodb.codecs import to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.records import Records

INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("path", ASCENDING), ("step", ASCENDING)), {})]
SORT: Sort = (("valid_from", ASCENDING), ("set_at", ASCENDING), ("_id", ASCENDING))


class Limits:
    def __init__(self, mongo: Mongo) -> None:
        self._limits = mongo.collection("limits")
        self._records = Records(mongo, "limits", Limit)

    async def begin(self) -> None:
        """Store the default limits of a new installation. Limits that are already stored are not changed."""
        await self._limits.insert_many([to_document(limit) for limit in DEFAULTS])

    async def set(self, limit: Limit) -> None:
        """Store a limit. Raise `DuplicateError` if the id is taken."""
        await self._limits.insert_one(to_document(limit))

    async def one(self, id: str) -> Limit | None:
        return await self._records.find_one({"_id": id})

    async def count(self, path: str, step: LimitStep) -> int:
        """Return how many limits of this step the unit at `path` has."""
        return await self._limits.count({"path": path, "step": step.value})

    async def above(self, path: str) -> list[Limit]:
        """Return all limits of the unit at `path` and of the units above it, sorted by start of validity."""
        return await self._records.find(_above(path), sort=SORT)

    def read_above(self, path: str) -> Read[list[Limit]]:
        """Return what `above` does as a read that can run together with others, which does not keep the order."""
        return self._records.read(_above(path))


def _above(path: str) -> Filter:
    return {"path": {"$in": paths_above(path)}}
