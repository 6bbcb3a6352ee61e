"""Store flags. Each flag is stored once. A review is appended by a conditional update."""

from collections.abc import Sequence
from typing import Any

from schema.checks.flags import Flag, FlagReview
from schema.core.pagination import Page
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Filter, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.filters import all_of
from storage.mongodb.keyset_pagination import time_and_id

SORT: Sort = (("raised_at", DESCENDING), ("_id", DESCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("office_path", ASCENDING), *SORT), {}),
    ((("observation_id", ASCENDING), *SORT), {}),
    ((("state", ASCENDING), *SORT), {}),
]


class Flags:
    def __init__(self, mongo: Mongo) -> None:
        self._flags = mongo.collection("flags")

    async def raise_all(self, flags: Sequence[Flag]) -> None:
        """Store new flags. A flag that is already stored is not changed and keeps its reviews."""
        await self._flags.insert_many([to_document(flag) for flag in flags])

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Flag]:
        """Return the flags that exist and match `visible`, in any order."""
        documents = await self._flags.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))
        return [from_document(Flag, document) for document in documents]

    async def of_observations(self, ids: Sequence[str], visible: Filter) -> list[Flag]:
        """Return the observations' flags that match `visible`, oldest first."""
        filter = all_of({"observation_id": {"$in": list(ids)}}, visible)
        documents = await self._flags.find(filter, sort=[("raised_at", ASCENDING), ("_id", ASCENDING)])
        return [from_document(Flag, document) for document in documents]

    async def page(self, filter: Filter, page: Page) -> list[Flag]:
        """Return a page of flags, sorted by the time when they were raised, newest first."""
        found = await keyset_pagination.fetch(self._flags, filter, SORT, page, read=time_and_id)
        return [from_document(Flag, document) for document in found]

    async def review(self, id: str, review: FlagReview, instead_of: str | None) -> Flag | None:
        """Append a review, which becomes the flag's current review.

        `instead_of` is the id of the review that it replaces, or None if it is the first review. Return None if this is
        not the flag's current review, or if the review is already stored.
        """
        standing: Filter = {"state": "OPEN"} if instead_of is None else {"standing": instead_of}
        changed = await self._flags.change_one(
            all_of({"_id": id, "reviews.id": {"$ne": review.id}}, standing),
            {
                "$set": {"state": "REVIEWED", "verdict": review.verdict.value, "standing": review.id},
                "$push": {"reviews": to_document(review)},
            },
        )
        return from_document(Flag, changed) if changed else None


def keyset_of(flag: Flag) -> tuple[str, str]:
    return flag.raised_at.isoformat(), flag.id
