"""Read the documents of a collection as records of one class."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from storage.mongodb.client import Document, Filter, Mongo, Projection, Session, Sort
from storage.mongodb.codecs import naive_reader
from storage.mongodb.combined_reads import Read

T = TypeVar("T")


class Records(Generic[T]):
    """The records of a collection.

    The driver decodes naive times five times as fast as aware ones. The times of the documents are naive here, and the
    times of the records are aware. Only records leave this class. `prepare` changes each document before it is read.
    """

    def __init__(
        self, mongo: Mongo, name: str, kind: type[T], prepare: Callable[[Document], Document] | None = None
    ) -> None:
        self._name, read = name, naive_reader(kind)
        self._documents = mongo.collection(name, has_naive_times=True)
        self._read: Callable[[Document], T] = (lambda document: read(prepare(document))) if prepare else read

    async def find(
        self,
        filter: Filter,
        *,
        sort: Sort | None = None,
        limit: int = 0,
        projection: Projection = None,
        session: Session = None,
    ) -> list[T]:
        """Return the matching records. A `projection` may leave out only fields that have a default."""
        found = await self._documents.find(filter, sort=sort, limit=limit, projection=projection, session=session)
        return list(map(self._read, found))

    def read(
        self, filter: Filter, *, sort: Sort | None = None, limit: int = 0, projection: Projection = None
    ) -> Read[list[T]]:
        """Return what `find` does as a read that can run together with others, which does not keep the order."""
        pipeline: list[Document] = [{"$match": filter}]
        if sort:
            pipeline.append({"$sort": dict(sort)})
        if limit:
            pipeline.append({"$limit": limit})
        if projection:
            pipeline.append({"$project": projection})
        return Read(self._name, pipeline, lambda documents: list(map(self._read, documents)))

    def read_ids(self, filter: Filter, *, limit: int) -> Read[list[str]]:
        """Return a read of the ids of up to `limit` matching records."""
        pipeline: list[Document] = [{"$match": filter}, {"$limit": limit}, {"$project": {"_id": 1}}]
        return Read(self._name, pipeline, lambda documents: [str(document["_id"]) for document in documents])

    def read_values(self, field: str, filter: Filter) -> Read[list[Any]]:
        """Return a read of the different values of the field in the matching records, sorted."""
        group: Document = {"_id": None, "values": {"$addToSet": f"${field}"}}
        pipeline: list[Document] = [{"$match": filter}, {"$group": group}]
        return Read(self._name, pipeline, lambda documents: sorted(documents[0]["values"]) if documents else [])

    async def find_one(self, filter: Filter, *, sort: Sort | None = None, session: Session = None) -> T | None:
        found = await self._documents.find_one(filter, sort=sort, session=session)
        return self._read(found) if found else None

    async def aggregate(self, pipeline: Sequence[Document]) -> list[T]:
        """Return the records that the pipeline yields."""
        return list(map(self._read, await self._documents.aggregate(pipeline)))
