"""Units in MongoDB: the tree, looked up by id, code or former code, and walked by ranges of paths."""

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
        """Those of `ids` that there are, in no order."""
        found = await self._units.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))
        return [from_document(Unit, document) for document in found]

    async def named(self, names: Sequence[str]) -> list[Unit]:
        """Units known by any of `names`: ids, codes or former codes; a unit's present code wins where both match."""
        wanted = list(names)
        ways = ({"_id": {"$in": wanted}}, {"code": {"$in": wanted}}, {"former_names.code": {"$in": wanted}})
        return [from_document(Unit, document) for document in await self._units.find({"$or": list(ways)})]

    async def children(self, ids: Sequence[str]) -> list[Unit]:
        """Those directly below any of `ids`, in no order."""
        found = await self._units.find({"parent_id": {"$in": list(ids)}})
        return [from_document(Unit, document) for document in found]

    async def page(
        self, visible: Filter, page: Page, *, below: str | None = None, level: str | None = None
    ) -> list[Unit]:
        """By code, in the subtree at the path `below`."""
        filters = all_of(visible, within("path", [below]) if below else {}, {"level": level} if level else {})
        return [
            from_document(Unit, document)
            for document in await keyset_pagination.fetch(self._units, filters, SORT, page)
        ]

    async def put_all(self, units: Sequence[Unit]) -> None:
        """Store each, replacing what stood under its id; paths of existing units are the caller's to keep."""
        documents = [to_document(unit) for unit in units]
        await self._units.upsert_many([({"_id": document["_id"]}, {"$set": document}) for document in documents])
