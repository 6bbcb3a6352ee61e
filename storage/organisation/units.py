"""Store the tree of units in MongoDB. Each unit has a path, so the units of a subtree are one range of paths."""

from collections.abc import Sequence
from typing import Any

from schema.core.pagination import Page
from schema.organisation.units import Unit
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, Filter, Mongo, Sort
from storage.mongodb.codecs import to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.filters import all_of, within
from storage.mongodb.records import Records

SORT: Sort = (("code", ASCENDING), ("_id", ASCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("path", ASCENDING), ("code", ASCENDING)), {}),
    ((("code", ASCENDING),), {"unique": True}),
    ((("former_names.code", ASCENDING),), {}),
    ((("parent_id", ASCENDING),), {}),
]


class Units:
    def __init__(self, mongo: Mongo) -> None:
        self._units = mongo.collection("units")
        self._records = Records(mongo, "units", Unit)

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Unit]:
        """Return the units with these ids that match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    def read_many(self, ids: Sequence[str], visible: Filter | None = None) -> Read[list[Unit]]:
        """Return what `many` does as a read that can run together with others."""
        return self._records.read(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    async def named(self, names: Sequence[str]) -> list[Unit]:
        """Return the units with any of these ids, codes or former codes.

        A name may be the code of one unit and the former code of another. The caller must then prefer the first unit.
        """
        return await self._records.find(_named(names))

    def read_named(self, names: Sequence[str]) -> Read[list[Unit]]:
        """Return what `named` does as a read that can run together with others."""
        return self._records.read(_named(names))

    async def children(self, ids: Sequence[str]) -> list[Unit]:
        """Return the units directly below any of the units `ids`, in any order."""
        return await self._records.find({"parent_id": {"$in": list(ids)}})

    async def page(
        self, visible: Filter, page: Page, *, below: str | None = None, level: str | None = None
    ) -> list[Unit]:
        """Return a page of units, sorted by code.

        `below` selects the units of a subtree by the path of its top unit. `level` selects the units of a level.
        """
        filters = all_of(visible, within("path", [below]) if below else {}, {"level": level} if level else {})
        return await keyset_pagination.fetch(self._records, filters, SORT, page)

    async def put_all(self, units: Sequence[Unit]) -> None:
        """Store each unit. It replaces a stored unit with the same id. The caller must not change a unit's path."""
        documents = [to_document(unit) for unit in units]
        await self._units.upsert_many([({"_id": document["_id"]}, {"$set": document}) for document in documents])


def _named(names: Sequence[str]) -> Filter:
    listed = {"$in": list(names)}
    return {"$or": [{"_id": listed}, {"code": listed}, {"former_names.code": listed}]}
