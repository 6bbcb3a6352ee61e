"""Media in MongoDB: expected before their observation is stored, moved from state to state by single conditional updates.

Their bytes are in the object store; what the bytes say of themselves is read by the worker.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from schema.media.media import ARRIVED, MOVES, Media, MediaRejection, MediaState, Thumbnail
from schema.media.media_facts import MediaFacts
from schema.media.object_keys import next_key
from storage.checks import queue
from storage.mongodb.client import ASCENDING, Document, Filter, InsertResult, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document

_HASHED = "is_likeness_taken"
"""Absent in media that were verified before likeness was taken. Unknown to the records."""

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("state", ASCENDING), ("due_at", ASCENDING)), {}),
    ((("observation_id", ASCENDING),), {}),
    ((("sha256", ASCENDING),), {}),
    # The uploader first: how many others have the same bytes costs nobody time.
    ((("uploader_id", ASCENDING), ("sha256", ASCENDING)), {}),
    ((("upload_used_at", ASCENDING),), {"partialFilterExpression": {"upload_id": {"$type": "string"}}}),
    ((("unnamed_since", ASCENDING),), {"partialFilterExpression": {"unnamed_since": {"$exists": True}}}),
    queue.INDEX,
    # Of what is left to be hashed alone, and so empty most of the time.
    (((_HASHED, ASCENDING), ("_id", ASCENDING)), {"partialFilterExpression": {_HASHED: None, "state": "READY"}}),
]
ACCESS_INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("media_id", ASCENDING), ("at", ASCENDING)), {})]

UNNAMED = "unnamed_since"
UNARRIVED = [state.value for state in MediaState if state not in ARRIVED]
_HAVE_ARRIVED = [state.value for state in ARRIVED]
_THERE: Document = {"$or": [{"state": "READY"}, {"state": "UPLOADED", "is_copy": {"$ne": True}}]}
"""Their own bytes are at their own keys."""


class MediaRecords:
    def __init__(self, mongo: Mongo) -> None:
        self._media = mongo.collection("media")
        self._accesses = mongo.collection("media_accesses")

    async def insert_expected(
        self, media: Sequence[Media], *, sweep_at: datetime, unnamed_since: datetime | None = None
    ) -> InsertResult:
        """Record what is to come; `sweep_at` is when the worker looks for it by itself.

        `unnamed_since` is given for what no observation names yet.
        """
        more: Document = {"due_at": sweep_at} | ({UNNAMED: unnamed_since} if unnamed_since else {})
        return await self._media.insert_many([to_document(each) | more for each in media])

    async def mark_named(self, ids: Sequence[str]) -> None:
        """An observation is about to name these, or does: no sweep takes them any more."""
        await self._media.update_many(
            {"_id": {"$in": list(ids)}, UNNAMED: {"$exists": True}}, {"$unset": {UNNAMED: ""}}
        )

    async def count_unnamed(self, uploader_id: str) -> int:
        return await self._media.count({"uploader_id": uploader_id, UNNAMED: {"$exists": True}})

    async def find_unnamed(self, before: datetime, most: int) -> list[Media]:
        """Those that no observation has named since before then, the oldest first."""
        found = await self._media.find({UNNAMED: {"$lt": before}}, sort=[(UNNAMED, ASCENDING)], limit=most)
        return [from_document(Media, document) for document in found]

    async def delete_unnamed(self, id: str, before: datetime) -> bool:
        """Forget one of them; False where an observation has come to name it."""
        return await self._media.delete_many({"_id": id, UNNAMED: {"$lt": before}}) == 1

    async def many(self, ids: Sequence[str]) -> list[Media]:
        found = await self._media.find({"_id": {"$in": list(ids)}})
        return [from_document(Media, document) for document in found]

    async def confirm(self, id: str, now: datetime) -> Media | None:
        """EXPECTED or REJECTED to UPLOADED: the bytes are in the store and wait for a worker; None when not in those.

        Attempts begin anew: those at finding the bytes say nothing of reading them.
        """
        return await self._move(
            id,
            MediaState.UPLOADED,
            _arrived(now) | {"is_copy": False},
        )

    async def count_known_bytes(self, uploader_id: str, digests: Collection[str]) -> dict[tuple[str, int], int]:
        """SHA-256 and size of those that the store has as originals of that person's, with how many media are of them."""
        if not digests:
            return {}
        mine: Filter = {"uploader_id": uploader_id, "sha256": {"$in": sorted(digests)}, "state": {"$in": _HAVE_ARRIVED}}
        is_there = {"$or": [{"$eq": ["$state", "READY"]}, {"$ne": ["$is_copy", True]}]}
        grouped = {
            "_id": {"sha256": "$sha256", "byte_size": "$byte_size"},
            "count": {"$sum": 1},
            "there": {"$sum": {"$cond": [is_there, 1, 0]}},
        }
        found = await self._media.aggregate([{"$match": mine}, {"$group": grouped}])
        return {(each["_id"]["sha256"], each["_id"]["byte_size"]): each["count"] for each in found if each["there"]}

    async def mark_copies(self, ids: Sequence[str], now: datetime) -> None:
        """EXPECTED or REJECTED to UPLOADED, their bytes to be copied; nothing where that failed before."""
        wanted: Filter = {"_id": {"$in": list(ids)}, "state": {"$in": UNARRIVED}, "copy_failed": {"$ne": True}}
        await self._media.update_many(wanted, {"$set": {"state": "UPLOADED", "is_copy": True, **_arrived(now)}})

    async def find_duplicate(self, media: Media) -> Media | None:
        """Another medium of the same uploader's with the same bytes, which are in the store; a verified one before others."""
        same: Document = {"uploader_id": media.uploader_id, "sha256": media.sha256, "byte_size": media.byte_size}
        wanted = same | _THERE | {"_id": {"$ne": media.id}}
        found = await self._media.find_one(wanted, sort=[("state", ASCENDING)])  # READY, UPLOADED
        return from_document(Media, found) if found else None

    async def mark_copy_failed(self, media: Media, look_at: datetime) -> None:
        """A claimed copy back to EXPECTED: its bytes are to be sent after all; at `look_at` the store is asked for them."""
        fields = {"state": "EXPECTED", "uploaded_at": None, "due_at": look_at, "is_copy": False, "copy_failed": True}
        await self._media.update_one(_claimed(media), {"$set": fields})

    async def reschedule_expected(self, ids: Sequence[str], *, sweep_at: datetime) -> None:
        """Look again for media that are announced once more, were they given up in the meantime.

        The attempt counts, so that a worker that is about to give one up finds that it changed.
        """
        wanted: Filter = {"_id": {"$in": list(ids)}, "state": "EXPECTED"}
        if ids:
            await self._media.update_many(wanted, {"$set": {"due_at": sweep_at}, "$inc": {"attempts": 1}})

    async def store_upload(self, media: Media, upload_id: str, part_bytes: int, now: datetime) -> bool:
        """Remember a multipart upload in place of the one that is known; False when it changed meanwhile."""
        wanted = {"_id": media.id, "key": media.key, "upload_id": media.upload_id, "state": {"$in": UNARRIVED}}
        opened = {"upload_id": upload_id, "upload_part_bytes": part_bytes, "upload_used_at": now}
        return await self._media.update_one(wanted, {"$set": opened})

    async def touch_upload(self, media: Media, now: datetime) -> bool:
        """Slots of the open upload are given out; False when it was given up or has arrived meanwhile."""
        wanted = {"_id": media.id, "upload_id": media.upload_id, "state": {"$in": UNARRIVED}}
        return await self._media.update_one(wanted, {"$set": {"upload_used_at": now}})

    async def clear_upload(self, media: Media) -> bool:
        """Name the upload no more; False when its slots were given out anew, or it changed or arrived meanwhile."""
        wanted = {"_id": media.id, "upload_id": media.upload_id, "upload_used_at": media.upload_used_at}
        return await self._media.update_one(
            wanted | {"state": {"$in": UNARRIVED}}, {"$set": {"upload_id": None, "upload_used_at": None}}
        )

    async def find_unused_uploads(self, since: datetime, most: int) -> list[Media]:
        """Media with an open upload of which no slot was given out after `since`, the longest unused first."""
        wanted: Filter = {
            "upload_id": {"$type": "string"},
            "state": {"$in": UNARRIVED},
            "upload_used_at": {"$lte": since},
        }
        found = await self._media.find(wanted, sort=[("upload_used_at", ASCENDING)], limit=most)
        return [from_document(Media, document) for document in found]

    async def claim(self, now: datetime, lease: timedelta) -> Media | None:
        """One medium whose work is due, for this worker alone until `lease` has passed; None when nothing is due."""
        changed = await self._media.change_one(
            {"state": {"$in": ["UPLOADED", "EXPECTED"]}, "due_at": {"$lte": now}},
            {"$set": {"due_at": now + lease}, "$inc": {"attempts": 1}},
            sort=[("due_at", ASCENDING)],
        )
        return from_document(Media, changed) if changed else None

    async def renew_lease(self, media: Media, until: datetime) -> bool:
        """Prolong the lease of a claim; False when the work is done, or is another worker's by now."""
        return await self._media.update_one(_claimed(media), {"$set": {"due_at": until}})

    async def postpone(self, media: Media, until: datetime) -> None:
        """Give a claim back, to look again at `until`; nothing where a phone or another worker has come between."""
        await self._media.update_one(_claimed(media), {"$set": {"due_at": until}})

    async def give_up(self, media: Media) -> bool:
        """Look for a claimed medium no more; False where it was announced again, or came, in between."""
        return await self._media.update_one(_claimed(media), {"$set": {"due_at": None}})

    async def record_decoding_failure(self, media: Media, until: datetime) -> None:
        """As `postpone`, and count that the decoder failed: what kept the store from answering is counted elsewhere."""
        await self._media.update_one(_claimed(media), {"$set": {"due_at": until}, "$inc": {"decoding_failures": 1}})

    async def mark_ready(
        self,
        id: str,
        now: datetime,
        facts: MediaFacts | None,
        thumbnails: Sequence[Thumbnail],
        *,
        key: str | None = None,
    ) -> Media | None:
        """UPLOADED to READY, with what the bytes at `key` say; None when it is in another state, or lies elsewhere by now."""
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

    async def find_unhashed(self, after_id: str, most: int) -> list[Media]:
        """READY media whose likeness was never taken, by id from `after_id` on."""
        wanted: Filter = {_HASHED: None, "state": "READY", "_id": {"$gt": after_id}}
        found = await self._media.find(wanted, sort=[("_id", ASCENDING)], limit=most)
        return [from_document(Media, document) for document in found]

    async def mark_hashed(self, media: Media, now: datetime) -> bool:
        """Its likeness is kept, so that it is due for a check; False where another worker was faster."""
        update = {"$set": {_HASHED: True, queue.DUE: now}, "$inc": {queue.ROUND: 1}}
        return await self._media.update_one({"_id": media.id, _HASHED: None}, update)

    async def reject(self, media: Media, why: MediaRejection) -> Media | None:
        """UPLOADED to REJECTED: the bytes at its key are wrong, and the next come under another key.

        None when it is in another state, or a worker that was faster has rejected these bytes already.
        """
        fields: Document = {"rejection": why.value, "due_at": None, "upload_id": None, "upload_used_at": None}
        fields |= {"key": next_key(media.key), "copy_failed": media.is_copy or media.copy_failed}
        return await self._move(media.id, MediaState.REJECTED, fields, {"key": media.key})

    async def mark_lost(self, id: str, look_at: datetime) -> Media | None:
        """UPLOADED back to EXPECTED: the store does not have the bytes (any more); at `look_at` it is asked again."""
        return await self._move(id, MediaState.EXPECTED, {"uploaded_at": None, "due_at": look_at})

    async def waiting(self) -> int:
        """How many wait for a worker."""
        return await self._media.count({"state": "UPLOADED"})

    async def watch_uploaded(self) -> AsyncIterator[None]:
        """Yields whenever a medium has come to UPLOADED, until the stream breaks."""
        pipeline = [{"$match": {"updateDescription.updatedFields.state": "UPLOADED"}}]
        async with self._media.changes(pipeline) as stream:
            async for _ in stream:
                yield

    async def log_accesses(self, accesses: Sequence[Document]) -> None:
        """Who was given a link to what; written before the link is."""
        await self._accesses.insert_many(accesses)

    async def find_accesses(self, media_id: str) -> list[Document]:
        return await self._accesses.find({"media_id": media_id}, sort=[("at", ASCENDING)])

    async def was_link_issued(self, media_id: str, redaction_id: str, sha256: str, user_id: str) -> bool:
        """Whether the person was ever given a link to that very copy of the medium."""
        given: Filter = {"media_id": media_id, "redaction_id": redaction_id, "sha256": sha256, "user_id": user_id}
        return await self._accesses.find_one(given, projection={"_id": 1}) is not None

    async def _move(self, id: str, to: MediaState, fields: Document, also: Filter | None = None) -> Media | None:
        before = [state.value for state, targets in MOVES.items() if to in targets]
        moving: Filter = {"_id": id, "state": {"$in": before}, **(also or {})}
        changed = await self._media.change_one(moving, {"$set": {"state": to.value, **fields}})
        return from_document(Media, changed) if changed else None


def _arrived(now: datetime) -> Document:
    return {"uploaded_at": now, "due_at": now, "rejection": None, "attempts": 0, "decoding_failures": 0}


def _claimed(media: Media) -> Filter:
    return {"_id": media.id, "state": media.state.value, "attempts": media.attempts}
