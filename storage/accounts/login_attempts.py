"""Count login attempts in MongoDB.

An attempt takes up room before its password is compared. So many guesses sent at the same time can't exceed the limit.
Only a wrong password is counted for good.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schema.accounts.login_attempts import WINDOW, Bucket, Denial
from storage.mongodb.client import ASCENDING, Document, Mongo, Sort
from storage.mongodb.errors import DuplicateError

INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("expires_at", ASCENDING),), {"expireAfterSeconds": 0})]


class Attempts:
    """The counters of login attempts, called buckets. A bucket is one document.

    It has the number of failures `count`, the number of attempts `open` whose password is being compared, and the time
    `expires_at` when both start again at 0. An attempt whose process dies stays open until then.
    """

    def __init__(self, mongo: Mongo) -> None:
        self._attempts = mongo.collection("attempts")

    async def begin(self, buckets: Sequence[Bucket], now: datetime) -> Denial | None:
        """Open an attempt in every bucket. If a bucket has no room, open none and say why.

        End the attempt with `succeed`, `fail` or `release`.
        """
        opened: list[Bucket] = []
        for bucket in buckets:
            document = await self._open(bucket, now)
            if document["refused"]:
                await self.release(opened)
                return Denial(document["expires_at"] if document["count"] >= bucket.limit else None)
            opened.append(bucket)
        return None

    async def succeed(self, buckets: Sequence[Bucket]) -> None:
        """End an attempt with a right password. It counts nowhere, and clears the person's own buckets of failures."""
        cleared = [bucket.key for bucket in buckets if bucket.cleared_by_success]
        await self._end(buckets, {"$cond": [{"$in": ["$_id", cleared]}, 0, "$count"]})

    async def fail(self, buckets: Sequence[Bucket]) -> None:
        """End an attempt with a wrong password. It counts in every bucket."""
        await self._end(buckets, {"$add": ["$count", 1]})

    async def release(self, buckets: Sequence[Bucket]) -> None:
        """End an attempt that compared no password. It counts nowhere."""
        await self._end(buckets, "$count")

    async def _end(self, buckets: Sequence[Bucket], count: Any) -> None:
        still_open = {"$max": [{"$subtract": [{"$ifNull": ["$open", 0]}, 1]}, 0]}
        keys = [bucket.key for bucket in buckets]
        await self._attempts.update_many({"_id": {"$in": keys}}, [{"$set": {"count": count, "open": still_open}}])

    async def _open(self, bucket: Bucket, now: datetime) -> Document:
        # The index removes an expired bucket within about a minute. Until then its count is treated as zero.
        is_over = {"$lte": [{"$ifNull": ["$expires_at", now]}, now]}
        change: list[Document] = [
            {
                "$set": {
                    "count": {"$cond": [is_over, 0, "$count"]},
                    "open": {"$cond": [is_over, 0, {"$ifNull": ["$open", 0]}]},
                    "expires_at": {"$cond": [is_over, now + WINDOW, "$expires_at"]},
                }
            },
            {"$set": {"refused": {"$gte": [{"$add": ["$count", "$open"]}, bucket.limit]}}},
            {"$set": {"open": {"$cond": ["$refused", "$open", {"$add": ["$open", 1]}]}}},
        ]
        while True:
            try:
                document = await self._attempts.change_one({"_id": bucket.key}, change, upsert=True)
            except DuplicateError:  # a concurrent attempt created the bucket
                continue
            if document is not None:
                return document
