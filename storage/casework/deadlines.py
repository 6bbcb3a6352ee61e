"""Find cases whose deadlines wait for a missing year of working days, and store what a new count gave."""

from collections.abc import Sequence

from schema.casework.cases import Case, CaseEvent
from schema.casework.deadlines import Deadline
from storage.mongodb.client import Document, Filter, Mongo
from storage.mongodb.codecs import to_document
from storage.mongodb.filters import all_of
from storage.mongodb.records import Records


class CaseDeadlines:
    def __init__(self, mongo: Mongo) -> None:
        self._cases = mongo.collection("cases")
        self._records = Records(mongo, "cases", Case)

    async def waited_for(self) -> list[int]:
        """Return the missing years that deadlines of cases wait for."""
        return sorted(await self._cases.distinct("deadlines.waits_for", {"deadlines.waits_for": {"$gt": 0}}))

    async def waiting(self, years: Sequence[int], without: Sequence[str], limit: int) -> list[Case]:
        """Return cases with a deadline that waits for one of the years, in no order, but not those of `without`."""
        waiting: Filter = {"deadlines.waits_for": {"$in": list(years)}, "_id": {"$nin": list(without)}}
        return await self._records.find(waiting, limit=limit)

    async def recount(self, case: Case, deadlines: Sequence[Deadline], event: CaseEvent) -> bool:
        """Store new deadlines of the case, and append the event to its history, whose state stays the case's own.

        Return False and change nothing if the case's state or deadlines have changed since it was read.
        """
        same: Filter = {"_id": case.id, "state": case.state.value}
        stored = {"deadlines": [to_document(each) for each in deadlines]}
        changed = await self._cases.update_one(
            all_of(same, unchanged(case.deadlines)), {"$set": stored, "$push": {"history": to_document(event)}}
        )
        return bool(changed)


def unchanged(deadlines: Sequence[Deadline]) -> Filter:
    """Match cases that have these deadlines, none more, counted and met as these are."""

    def same(name: str) -> Document:
        stored = {"$ifNull": [f"$deadlines.{name}", []]}
        return {"$eq": [stored, {"$literal": [getattr(deadline, name) for deadline in deadlines]}]}

    return {"$expr": {"$and": [same("counted_at"), same("met_at")]}}
