"""Store the tree of units in MongoDB. A subtree is one range of paths."""

from collections.abc import Sequence
from typing import Any

from schema.core.pagination import Page
from schema.organisation.units import Unit
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, Filter, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.filters import all_of, within

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

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Unit]:
        """Find the units with these ids, in no order."""
        documents = await self._units.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))
        return [from_document(Unit, document) for document in documents]

    async def named(self, names: Sequence[str]) -> list[Unit]:
        """Find the units with any of these ids, codes or former codes.

        The caller must prefer a current code to a former one.
        """
        listed = {"$in": list(names)}
        documents = await self._units.find({"$or": [{"_id": listed}, {"code": listed}, {"former_names.code": listed}]})
        return [from_document(Unit, document) for document in documents]

    async def children(self, ids: Sequence[str]) -> list[Unit]:
        """Find the units directly below any of `ids`, in no order."""
        documents = await self._units.find({"parent_id": {"$in": list(ids)}})
        return [from_document(Unit, document) for document in documents]

    async def page(
        self, visible: Filter, page: Page, *, below: str | None = None, level: str | None = None
    ) -> list[Unit]:
        """Return units by code, in the subtree at the path `below`."""
        filters = all_of(visible, within("path", [below]) if below else {}, {"level": level} if level else {})
        return [
            from_document(Unit, document)
            for document in await keyset_pagination.fetch(self._units, filters, SORT, page)
        ]

    async def put_all(self, units: Sequence[Unit]) -> None:
        """Store each unit, replacing the one with its id. The caller must not change the path of an existing unit."""
        documents = [to_document(unit) for unit in units]
        await self._units.upsert_many([({"_id": document["_id"]}, {"$set": document}) for document in documents])
