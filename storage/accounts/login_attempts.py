"""Count login attempts in MongoDB.

An attempt is counted before its password is compared. So many guesses sent at the same time can't exceed the limit.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schema.accounts.login_attempts import WINDOW, Bucket
from storage.mongodb.client import ASCENDING, Document, Mongo, Sort
from storage.mongodb.errors import DuplicateError

INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("expires_at", ASCENDING),), {"expireAfterSeconds": 0})]


class Attempts:
    """The counters of login attempts, called buckets. A bucket is one document.

    It has the number of attempts `count`, and the time `expires_at` when the count starts again at 0.
    """

    def __init__(self, mongo: Mongo) -> None:
        self._attempts = mongo.collection("attempts")

    async def acquire(self, buckets: Sequence[Bucket], now: datetime) -> datetime | None:
        """Count one attempt in every bucket. If a bucket is full, count nothing and return when the bucket expires."""
        counted: list[Bucket] = []
        for bucket in buckets:
            document = await self._count(bucket, now)
            if document["refused"]:
                await self.release(counted)
                opens_at: datetime = document["expires_at"]
                return opens_at
            counted.append(bucket)
        return None

    async def release(self, buckets: Sequence[Bucket]) -> None:
        """Subtract one attempt from each bucket. Call this if the attempt did not compare a password."""
        keys = [bucket.key for bucket in buckets]
        await self._attempts.update_many({"_id": {"$in": keys}, "count": {"$gt": 0}}, {"$inc": {"count": -1}})

    async def clear(self, buckets: Sequence[Bucket]) -> None:
        """After a correct password, empty the person's own buckets and subtract this attempt from the other buckets."""
        cleared = [bucket.key for bucket in buckets if bucket.cleared_by_success]
        await self._attempts.delete_many({"_id": {"$in": cleared}})
        shared = [bucket for bucket in buckets if not bucket.cleared_by_success]
        if shared:
            await self.release(shared)

    async def _count(self, bucket: Bucket, now: datetime) -> Document:
        # The index removes an expired bucket within about a minute. Until then its count is treated as zero.
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
                document = await self._attempts.change_one({"_id": bucket.key}, change, upsert=True)
            except DuplicateError:  # a concurrent attempt created the bucket
                continue
            if document is not None:
                return document
