"""Store flags. Each finding has one flag. A review is appended by a conditional update."""

from collections.abc import Callable, Sequence
from typing import Any

from schema.checks.flags import MAX_REVIEWS, Flag, FlagReview
from schema.core.ids import compose
from schema.core.pagination import Page
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Document, Filter, Mongo, Session, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.filters import all_of
from storage.mongodb.keyset_pagination import time_and_id
from storage.mongodb.records import Records

SORT: Sort = (("raised_at", DESCENDING), ("_id", DESCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("office_path", ASCENDING), *SORT), {}),
    ((("observation_id", ASCENDING), *SORT), {}),
    ((("state", ASCENDING), *SORT), {}),
    ((("finding_key", ASCENDING),), {"unique": True, "partialFilterExpression": {"finding_key": {"$type": "string"}}}),
    ((("finding_key", ASCENDING), ("_id", ASCENDING)), {"partialFilterExpression": {"finding_key": None}}),
]
"""The last index has the flags without a key. It is usually empty."""


class Flags:
    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._flags = mongo.collection("flags")
        self._records = Records(mongo, "flags", Flag)

    async def raise_all(self, flags: Sequence[Flag]) -> None:
        """Store the flags of new findings. The flag of a known finding is not changed and keeps its reviews."""
        if not flags:
            return
        keys = [flag.finding_key for flag in flags]
        keyless = {
            document["_id"] for document in await self._flags.find({"_id": {"$in": keys}}, projection={"_id": 1})
        }
        await self._flags.insert_many([to_document(flag) for flag in flags if flag.finding_key not in keyless])

    async def replace_keys_as_ids(self, most: int, random: Callable[[int], bytes]) -> int:
        """Give random ids to up to `most` flags whose id is still the key of their finding. Return how many were left.

        `random` returns that many random bytes.
        """
        left = await self._flags.find(
            {"finding_key": None}, projection={"_id": 1}, sort=[("_id", ASCENDING)], limit=most
        )
        for document in left:
            await self._replace_key_as_id(document["_id"], random(10))
        return len(left)

    async def _replace_key_as_id(self, key: str, randomness: bytes) -> None:
        async def work(session: Session) -> None:
            document: Document | None = await self._flags.find_one({"_id": key, "finding_key": None}, session=session)
            if document is None:
                return  # another worker has replaced it
            id = compose("flg", document["raised_at"], randomness)
            await self._flags.delete_many({"_id": key}, session=session)
            await self._flags.insert_one(document | {"_id": id, "finding_key": key}, session=session)

        await self._mongo.transact(work)

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Flag]:
        """Return the flags that exist and match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    async def of_observations(self, ids: Sequence[str], visible: Filter) -> list[Flag]:
        """Return the observations' flags that match `visible`, oldest first."""
        filter = all_of({"observation_id": {"$in": list(ids)}}, visible)
        return await self._records.find(filter, sort=[("raised_at", ASCENDING), ("_id", ASCENDING)])

    async def page(self, filter: Filter, page: Page) -> list[Flag]:
        """Return a page of flags, sorted by the time when they were raised, newest first."""
        return await keyset_pagination.fetch(self._records, filter, SORT, page, read=time_and_id)

    async def review(self, id: str, review: FlagReview, instead_of: str | None) -> Flag | None:
        """Append a review, which becomes the flag's current review.

        `instead_of` is the id of the review that it replaces, or None if it is the first review. Return None if this is
        not the flag's current review, if the review is already stored, or if the flag has `MAX_REVIEWS` reviews.
        """
        standing: Filter = {"state": "OPEN"} if instead_of is None else {"standing": instead_of}
        changed = await self._flags.change_one(
            all_of(
                {"_id": id, "reviews.id": {"$ne": review.id}, f"reviews.{MAX_REVIEWS - 1}": {"$exists": False}},
                standing,
            ),
            {
                "$set": {"state": "REVIEWED", "verdict": review.verdict.value, "standing": review.id},
                "$push": {"reviews": to_document(review)},
            },
        )
        return from_document(Flag, changed) if changed else None


def keyset_of(flag: Flag) -> tuple[str, str]:
    return flag.raised_at.isoformat(), flag.id
