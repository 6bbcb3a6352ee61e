"""Store the catalogue in MongoDB: one entry per unit, kind, code and first day of validity.

An entry is never deleted. It ends when it gets a last day of validity.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from schema.catalogue.entries import DEFAULTS, CatalogueEntry, CatalogueKind
from schema.core.pagination import Page
from schema.organisation.units import paths_above
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, Filter, Mongo, Sort
from storage.mongodb.codecs import stored_day, to_document
from storage.mongodb.filters import all_of
from storage.mongodb.records import Records

SORT: Sort = (("kind", ASCENDING), ("code", ASCENDING), ("_id", ASCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    (SORT, {}),
    ((("path", ASCENDING), *SORT), {}),
    (
        (("unit_id", ASCENDING), ("kind", ASCENDING), ("code", ASCENDING), ("valid_from", ASCENDING)),
        {"unique": True},
    ),
]


class Catalogue:
    def __init__(self, mongo: Mongo) -> None:
        self._entries = mongo.collection("catalogue")
        self._records = Records(mongo, "catalogue", CatalogueEntry)

    async def begin(self) -> None:
        """Store the default entries of a new installation. Entries that are already stored are not changed."""
        await self._entries.insert_many([to_document(entry) for entry in DEFAULTS])

    async def many(self, ids: Sequence[str], visible: Filter) -> list[CatalogueEntry]:
        """Return the entries with these ids that match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible))

    async def page(self, filter: Filter, page: Page) -> list[CatalogueEntry]:
        """Return a page of entries, sorted by kind and code."""
        return await keyset_pagination.fetch(self._records, filter, SORT, page)

    async def grades_above(self, path: str) -> list[CatalogueEntry]:
        """Return all rating grades of the unit at `path` and of the units above it, also grades that have expired."""
        return await self._records.find({"path": {"$in": paths_above(path)}, "kind": CatalogueKind.RATING_GRADE.value})

    async def of_units(self, unit_ids: Sequence[str]) -> list[CatalogueEntry]:
        """Return all entries of these units, also entries that have expired."""
        return await self._records.find({"unit_id": {"$in": list(unit_ids)}})

    async def put_all(self, entries: Sequence[CatalogueEntry]) -> None:
        """Store each entry. It replaces a stored entry with the same id."""
        documents = [to_document(entry) for entry in entries]
        await self._entries.upsert_many([({"_id": document["_id"]}, {"$set": document}) for document in documents])


def not_expired(day: date) -> Filter:
    """Match entries whose validity does not end before `day`."""
    return {"$or": [{"valid_to": None}, {"valid_to": {"$gte": stored_day(day)}}]}


def valid_on(day: date) -> Filter:
    """Match entries that are valid on `day`."""
    return {"valid_from": {"$lte": stored_day(day)}, **not_expired(day)}


def keyset_of(entry: CatalogueEntry) -> tuple[str, str, str]:
    return str(entry.kind.value), entry.code, entry.id
