"""Store monitoring points in MongoDB."""

from collections.abc import Sequence
from typing import Any

from schema.core.pagination import Page
from schema.organisation.monitoring_points import MonitoringPoint
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, Filter, Mongo, Sort
from storage.mongodb.codecs import to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.filters import all_of, within
from storage.mongodb.records import Records

SORT: Sort = (("code", ASCENDING), ("_id", ASCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("code", ASCENDING),), {"unique": True}),
    ((("path", ASCENDING), ("code", ASCENDING)), {}),
    ((("industry", ASCENDING), ("code", ASCENDING)), {}),
    ((("monitor_ids", ASCENDING),), {}),
]


class MonitoringPoints:
    def __init__(self, mongo: Mongo) -> None:
        self._points = mongo.collection("monitoring_points")
        self._records = Records(mongo, "monitoring_points", MonitoringPoint)

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[MonitoringPoint]:
        """Return the points with these ids that match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    def read_many(self, ids: Sequence[str], visible: Filter | None = None) -> Read[list[MonitoringPoint]]:
        """Return what `many` does as a read that can run together with others."""
        return self._records.read(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    async def named(self, names: Sequence[str]) -> list[MonitoringPoint]:
        """Find the points with any of these ids or codes."""
        return await self._records.find(_named(names))

    def read_named(self, names: Sequence[str]) -> Read[list[MonitoringPoint]]:
        """Return what `named` does as a read that can run together with others."""
        return self._records.read(_named(names))

    async def page(
        self, visible: Filter, page: Page, *, below: str | None = None, industry: str | None = None
    ) -> list[MonitoringPoint]:
        """Return a page of points, sorted by code.

        `below` selects the points of a unit's subtree by the unit's path. `industry` selects the points of an industry.
        """
        filters = all_of(visible, within("path", [below]) if below else {}, {"industry": industry} if industry else {})
        return await keyset_pagination.fetch(self._records, filters, SORT, page)

    async def put_all(self, points: Sequence[MonitoringPoint]) -> None:
        """Store each point. It replaces a stored point with the same id."""
        documents = [to_document(point) for point in points]
        await self._points.upsert_many([({"_id": document["_id"]}, {"$set": document}) for document in documents])


def _named(names: Sequence[str]) -> Filter:
    listed = {"$in": list(names)}
    return {"$or": [{"_id": listed}, {"code": listed}]}
