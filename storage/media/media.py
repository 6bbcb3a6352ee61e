"""Store the records of media in MongoDB. Their bytes are in the object store.

Each change of a medium's state is one conditional update.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schema.media.media import ARRIVED, MOVES, Media, MediaRejection, MediaState, Thumbnail
from schema.media.media_facts import MediaFacts
from schema.media.object_keys import next_key
from storage.checks import queue
from storage.media import verification
from storage.mongodb.client import ASCENDING, Document, Filter, InsertResult, Mongo, Session, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.errors import DuplicateError
from storage.mongodb.records import Records

_HASHED = "is_likeness_taken"
"""Field that is true after the worker tried to compute the likeness of a medium (perceptual hashes and keypoints).

It is absent in media that were verified before likenesses existed. `Media` does not have this field.
"""

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    *verification.INDEXES,
    ((("observation_id", ASCENDING),), {}),
    # The uploader comes first, so that the time of a query doesn't depend on how many other people have the same bytes.
    ((("uploader_id", ASCENDING), ("sha256", ASCENDING)), {}),
    ((("uploader_id", ASCENDING), ("uploaded_at", ASCENDING)), {"partialFilterExpression": {"is_copy": True}}),
    ((("upload_used_at", ASCENDING),), {"partialFilterExpression": {"upload_id": {"$type": "string"}}}),
    ((("unnamed_since", ASCENDING),), {"partialFilterExpression": {"unnamed_since": {"$exists": True}}}),
    queue.index(queue.UPLOADER),
    # Covers only media that are not hashed yet, so it is usually empty.
    (((_HASHED, ASCENDING), ("_id", ASCENDING)), {"partialFilterExpression": {_HASHED: None, "state": "READY"}}),
]
ACCESS_INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("media_id", ASCENDING), ("at", ASCENDING)), {})]

UNNAMED = "unnamed_since"
UNARRIVED = [state.value for state in MediaState if state not in ARRIVED]
_HAVE_ARRIVED = [state.value for state in ARRIVED]
_HAS_OWN_BYTES: Document = {"$or": [{"state": "READY"}, {"state": "UPLOADED", "is_copy": {"$ne": True}}]}
"""Filter for media whose bytes are in the object store under the medium's own key."""


@dataclass(frozen=True)
class KnownBytes:
    """What one person has sent before, and how much of it was copied since some time.

    `counts` is the number of media by (SHA-256, size in bytes). A pair is absent if no medium with these bytes has an
    object of its own in the object store. `copies` and `copied_bytes` count copies of any bytes.
    """

    counts: Mapping[tuple[str, int], int]
    copies: int = 0
    copied_bytes: int = 0


class MediaRecords:
    def __init__(self, mongo: Mongo) -> None:
        self._media = mongo.collection("media")
        self._records = Records(mongo, "media", Media)
        self._accesses = mongo.collection("media_accesses")

    async def insert_expected(
        self, media: Sequence[Media], *, sweep_at: datetime, unnamed_since: datetime | None = None
    ) -> InsertResult:
        """Insert media in state EXPECTED. At `sweep_at` the worker looks for their bytes even if nobody confirmed them.

        Pass `unnamed_since` if no observation names the media yet.
        """
        fields: Document = {"due_at": sweep_at} | ({UNNAMED: unnamed_since} if unnamed_since else {})
        return await self._media.insert_many([to_document(medium) | fields for medium in media])

    async def insert_named(self, media: Sequence[Media], sweep_at: datetime, session: Session) -> None:
        """Insert media in state EXPECTED, in the transaction that stores the record that names them.

        Raise `DuplicateError` if an id is taken.
        """
        documents = [to_document(medium) | {"due_at": sweep_at} for medium in media]
        if (await self._media.insert_many(documents, session=session)).duplicate_ids:
            raise DuplicateError(("_id",))

    async def mark_named(self, ids: Sequence[str]) -> None:
        """Record that an observation names these media or is about to name them. No sweep deletes them any more."""
        await self._media.update_many(
            {"_id": {"$in": list(ids)}, UNNAMED: {"$exists": True}}, {"$unset": {UNNAMED: ""}}
        )

    async def count_unnamed(self, uploader_id: str) -> int:
        return await self._media.count({"uploader_id": uploader_id, UNNAMED: {"$exists": True}})

    async def find_unnamed(self, before: datetime, limit: int) -> list[Media]:
        """Find up to `limit` media that became unnamed before `before`, oldest first."""
        return await self._records.find({UNNAMED: {"$lt": before}}, sort=[(UNNAMED, ASCENDING)], limit=limit)

    async def delete_unnamed(self, id: str, before: datetime) -> bool:
        """Delete a medium that became unnamed before `before`. Return False if an observation names it by now."""
        return await self._media.delete_many({"_id": id, UNNAMED: {"$lt": before}}) == 1

    async def many(self, ids: Sequence[str]) -> list[Media]:
        return await self._records.find({"_id": {"$in": list(ids)}})

    def read_many(self, ids: Sequence[str]) -> Read[list[Media]]:
        """Return what `many` does as a read that can run together with others."""
        return self._records.read({"_id": {"$in": list(ids)}})

    async def confirm(self, id: str, now: datetime) -> Media | None:
        """Mark a medium in state EXPECTED or REJECTED as UPLOADED, because its bytes are in the object store.

        Return None if the medium is in another state. The count of attempts restarts at 0, because the attempts so far
        were to find the bytes, and the next ones are to verify them.
        """
        return await self._move(
            id,
            MediaState.UPLOADED,
            _upload_fields(now) | {"is_copy": False},
        )

    def count_known_bytes(self, uploader_id: str, digests: Collection[str], since: datetime) -> Read[KnownBytes]:
        """Count the uploader's media that are UPLOADED or READY, and the copies among all of them since `since`."""
        mine: Filter = {"uploader_id": uploader_id, "sha256": {"$in": sorted(digests)}, "state": {"$in": _HAVE_ARRIVED}}
        has_own_bytes = {"$or": [{"$eq": ["$state", "READY"]}, {"$ne": ["$is_copy", True]}]}
        by_content = {
            "_id": {"sha256": "$sha256", "byte_size": "$byte_size"},
            "count": {"$sum": 1},
            "stored": {"$sum": {"$cond": [has_own_bytes, 1, 0]}},
        }
        recent: Filter = {"uploader_id": uploader_id, "is_copy": True, "uploaded_at": {"$gte": since}}
        copies = [
            {"$match": recent},
            {"$group": {"_id": None, "copies": {"$sum": 1}, "bytes": {"$sum": "$byte_size"}}},
        ]
        union = {"$unionWith": {"coll": "media", "pipeline": copies}}
        return Read("media", [{"$match": mine}, {"$group": by_content}, union], _known_bytes)

    async def mark_copies(self, ids: Sequence[str], now: datetime) -> None:
        """Mark media in state EXPECTED or REJECTED as UPLOADED. The worker then copies their bytes from a duplicate.

        Media whose copy failed before are skipped.
        """
        filter: Filter = {"_id": {"$in": list(ids)}, "state": {"$in": UNARRIVED}, "copy_failed": {"$ne": True}}
        await self._media.update_many(filter, {"$set": {"state": "UPLOADED", "is_copy": True, **_upload_fields(now)}})

    async def find_duplicate(self, media: Media) -> Media | None:
        """Find another medium, READY or UPLOADED, of the same uploader with the same bytes. READY ones come first."""
        same: Document = {"uploader_id": media.uploader_id, "sha256": media.sha256, "byte_size": media.byte_size}
        filter = same | _HAS_OWN_BYTES | {"_id": {"$ne": media.id}}
        return await self._records.find_one(filter, sort=[("state", ASCENDING)])  # READY, UPLOADED

    async def reschedule_expected(self, ids: Sequence[str], *, sweep_at: datetime) -> None:
        """Let the worker look at `sweep_at` for the bytes of media that a phone declares again.

        The worker may have stopped looking for them. This counts as an attempt, so that a worker that is about to stop
        looking notices the change.
        """
        filter: Filter = {"_id": {"$in": list(ids)}, "state": "EXPECTED"}
        if ids:
            await self._media.update_many(filter, {"$set": {"due_at": sweep_at}, "$inc": {"attempts": 1}})

    async def store_upload(self, media: Media, upload_id: str, part_bytes: int, now: datetime) -> bool:
        """Set the multipart upload of a medium. Return False if the medium was changed since `media` was read."""
        filter = {"_id": media.id, "key": media.key, "upload_id": media.upload_id, "state": {"$in": UNARRIVED}}
        fields = {"upload_id": upload_id, "upload_part_bytes": part_bytes, "upload_used_at": now}
        return await self._media.update_one(filter, {"$set": fields})

    async def touch_upload(self, media: Media, now: datetime) -> bool:
        """Record that slots of the open multipart upload are issued now.

        Return False if the upload was aborted or the medium arrived since `media` was read.
        """
        filter = {"_id": media.id, "upload_id": media.upload_id, "state": {"$in": UNARRIVED}}
        return await self._media.update_one(filter, {"$set": {"upload_used_at": now}})

    async def clear_upload(self, media: Media) -> bool:
        """Remove the multipart upload from the medium's record.

        Return False if slots were issued, the upload was replaced, or the medium arrived since `media` was read.
        """
        filter = {"_id": media.id, "upload_id": media.upload_id, "upload_used_at": media.upload_used_at}
        return await self._media.update_one(
            filter | {"state": {"$in": UNARRIVED}}, {"$set": {"upload_id": None, "upload_used_at": None}}
        )

    async def find_unused_uploads(self, since: datetime, limit: int) -> list[Media]:
        """Find media with an open multipart upload for which no slot was issued after `since`. Longest unused first."""
        filter: Filter = {
            "upload_id": {"$type": "string"},
            "state": {"$in": UNARRIVED},
            "upload_used_at": {"$lte": since},
        }
        return await self._records.find(filter, sort=[("upload_used_at", ASCENDING)], limit=limit)

    async def mark_ready(
        self,
        id: str,
        now: datetime,
        facts: MediaFacts | None,
        thumbnails: Sequence[Thumbnail],
        *,
        key: str | None = None,
    ) -> Media | None:
        """Mark an UPLOADED medium as READY and store the facts and thumbnails of its bytes.

        `key` is the object whose bytes were verified. Return None if the medium's state or key has changed meanwhile.
        """
        fields = {
            "ready_at": now,
            "facts": to_document(facts) if facts else None,
            "thumbnails": [to_document(thumbnail) for thumbnail in thumbnails],
            "due_at": None,
            "upload_id": None,
            "upload_used_at": None,
            _HASHED: True,
            **queue.due(now),
        }
        return await self._move(id, MediaState.READY, fields, {"key": key} if key else None)

    async def find_unhashed(self, after_id: str, limit: int) -> list[Media]:
        """Find up to `limit` READY media whose likeness was never computed, sorted by id, starting after `after_id`."""
        filter: Filter = {_HASHED: None, "state": "READY", "_id": {"$gt": after_id}}
        return await self._records.find(filter, sort=[("_id", ASCENDING)], limit=limit)

    async def mark_hashed(self, media: Media, now: datetime) -> bool:
        """Record that the likeness is stored, and queue a check. Return False if another worker has done so already."""
        update = {"$set": {_HASHED: True, queue.DUE: now}, "$inc": {queue.ROUND: 1}}
        return await self._media.update_one({"_id": media.id, _HASHED: None}, update)

    async def reject(self, media: Media, why: MediaRejection) -> Media | None:
        """Mark an UPLOADED medium as REJECTED, because the bytes at its key are wrong.

        The next upload gets another key.

        Return None if the medium is in another state, or if another worker has already rejected these bytes.
        """
        fields: Document = {"rejection": why.value, "due_at": None, "upload_id": None, "upload_used_at": None}
        fields |= {"key": next_key(media.key), "copy_failed": media.is_copy or media.copy_failed}
        return await self._move(media.id, MediaState.REJECTED, fields, {"key": media.key})

    async def mark_lost(self, id: str, look_at: datetime) -> Media | None:
        """Move an UPLOADED medium back to EXPECTED, because the object store does not have its bytes.

        The worker looks for the bytes again at `look_at`.
        """
        return await self._move(id, MediaState.EXPECTED, {"uploaded_at": None, "due_at": look_at})

    async def watch_uploaded(self) -> AsyncIterator[None]:
        """Yield each time a medium becomes UPLOADED, until the change stream breaks."""
        pipeline = [{"$match": {"updateDescription.updatedFields.state": "UPLOADED"}}]
        async with self._media.changes(pipeline) as stream:
            async for _ in stream:
                yield

    async def log_accesses(self, accesses: Sequence[Document]) -> None:
        """Store the accesses: who gets a link to which medium. Call this before a link is issued."""
        await self._accesses.insert_many(accesses)

    async def find_accesses(self, media_id: str) -> list[Document]:
        return await self._accesses.find({"media_id": media_id}, sort=[("at", ASCENDING)])

    async def was_link_issued(self, media_id: str, redaction_id: str, sha256: str, user_id: str) -> bool:
        """Return whether the person ever got a link to exactly this redacted copy of the medium.

        `redaction_id` and `sha256` identify the copy.
        """
        filter: Filter = {"media_id": media_id, "redaction_id": redaction_id, "sha256": sha256, "user_id": user_id}
        return await self._accesses.find_one(filter, projection={"_id": 1}) is not None

    async def _move(self, id: str, to: MediaState, fields: Document, condition: Filter | None = None) -> Media | None:
        sources = [state.value for state, targets in MOVES.items() if to in targets]
        filter: Filter = {"_id": id, "state": {"$in": sources}, **(condition or {})}
        changed = await self._media.change_one(filter, {"$set": {"state": to.value, **fields}})
        return from_document(Media, changed) if changed else None


def _known_bytes(groups: Sequence[Document]) -> KnownBytes:
    counts = {
        (group["_id"]["sha256"], group["_id"]["byte_size"]): group["count"] for group in groups if group.get("stored")
    }
    total = next((group for group in groups if group["_id"] is None), {})
    return KnownBytes(counts, total.get("copies", 0), total.get("bytes", 0))


def _upload_fields(now: datetime) -> Document:
    return {"uploaded_at": now, "due_at": now, "rejection": None, "attempts": 0, "decoding_failures": 0}
