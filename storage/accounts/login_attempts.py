"""Attempts in MongoDB: counted before a password is looked at, so that guesses sent at once can't outrun the limit.

What counts where is decided by `schema/accounts/login_attempts.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schema.accounts.login_attempts import WINDOW, Bucket
from storage.mongodb.client import ASCENDING, Document, Mongo, Sort
from storage.mongodb.errors import DuplicateError

INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("expires_at", ASCENDING),), {"expireAfterSeconds": 0})]


class Attempts:
    """A bucket is one document: `count` and, from its first attempt, `expires_at`."""

    def __init__(self, mongo: Mongo) -> None:
        self._attempts = mongo.collection("attempts")

    async def take(self, buckets: Sequence[Bucket], now: datetime) -> datetime | None:
        """Count one attempt in every bucket; or in none where one is full: then return when that one opens again."""
        taken: list[Bucket] = []
        for bucket in buckets:
            counted = await self._count(bucket, now)
            if counted["refused"]:
                await self.give_back(taken)
                opens_at: datetime = counted["expires_at"]
                return opens_at
            taken.append(bucket)
        return None

    async def give_back(self, buckets: Sequence[Bucket]) -> None:
        """Undo one attempt of each: no password was compared."""
        keys = [bucket.key for bucket in buckets]
        await self._attempts.update_many({"_id": {"$in": keys}, "count": {"$gt": 0}}, {"$inc": {"count": -1}})

    async def succeed(self, buckets: Sequence[Bucket]) -> None:
        """The password was right: forget the failures of this person from here, and this attempt elsewhere."""
        await self._attempts.delete_many({"_id": {"$in": [each.key for each in buckets if each.cleared_by_success]}})
        kept = [each for each in buckets if not each.cleared_by_success]
        if kept:
            await self.give_back(kept)

    async def _count(self, bucket: Bucket, now: datetime) -> Document:
        # The index removes what has expired within a minute or so; until then it counts as gone.
        is_over = {"$lte": [{"$ifNull": ["$expires_at", now]}, now]}
        change: list[Document] = [
            {
                "$set": {
                    "count": {"$cond": [is_over, 0, "$count"]},
                    "expires_at": {"$cond": [is_over, now + WINDOW, "$expires_at"]},
                }
            },
            {"$set": {"refused": {"$gte": ["$count", bucket.limit]}}},
            {"$set": {"count": {"$cond": ["$refused", "$count", {"$add": ["$count", 1]}]}}},
        ]
        while True:
            try:
                counted = await self._attempts.change_one({"_id": bucket.key}, change, upsert=True)
            except DuplicateError:  # two first attempts at once: the other one made the bucket
                continue
            if counted is not None:
                return counted
