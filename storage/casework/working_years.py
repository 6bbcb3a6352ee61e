"""Store working years. A stored record is never changed. A correction of a year is stored as a new document."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from schema.casework.working_years import WorkingYear
from storage.casework.known_years import known_years
from storage.mongodb.client import ASCENDING, Document, Filter, Mongo, Sort
from storage.mongodb.codecs import to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.records import Records

SORT: Sort = (("year", ASCENDING), ("effective_from", ASCENDING), ("entered_at", ASCENDING), ("_id", ASCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [(SORT, {})]


class WorkingYears:
    def __init__(self, mongo: Mongo) -> None:
        self._years = mongo.collection("working_years")
        self._records = Records(mongo, "working_years", WorkingYear)

    async def begin(self) -> None:
        """Store the years that this version knows. Records that are already stored are not changed."""
        await self._years.insert_many(_known_documents())

    async def add(self, year: WorkingYear) -> None:
        """Store a record. Raise `DuplicateError` if the id is taken."""
        await self._years.insert_one(to_document(year))

    async def add_all(self, years: Iterable[WorkingYear]) -> None:
        """Store records. Those whose ids are taken are left out."""
        await self._years.insert_many([to_document(year) for year in years])

    async def one(self, id: str) -> WorkingYear | None:
        return await self._records.find_one({"_id": id})

    async def all(self) -> list[WorkingYear]:
        """Return all records, by year, then by the time from which they count."""
        return await self._records.find({}, sort=SORT)

    async def of_years(self, years: Iterable[int]) -> list[WorkingYear]:
        """Return the records of these years."""
        return await self._records.find({"year": {"$in": sorted(set(years))}}, sort=SORT)

    async def loaded(self, years: Iterable[int], at: datetime) -> list[int]:
        """Return those of the years that have a record that counts at `at`."""
        counting: Filter = {"year": {"$in": sorted(set(years))}, "effective_from": {"$lte": at}}
        return sorted({document["year"] for document in await self._years.find(counting, projection={"year": 1})})

    def read_from(self, year: int) -> Read[list[WorkingYear]]:
        """Return a read of the records of this year and all later ones, in any order."""
        return self._records.read({"year": {"$gte": year}})


@cache
def _known_documents() -> list[Document]:
    return [to_document(year) for year in known_years()]
