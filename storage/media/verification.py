"""Queue the verification of media, and the search for media that nobody confirmed. One conditional update claims a piece.

The queue is the media themselves: their state, and the time `due_at` when their work is due.
"""

from datetime import datetime, timedelta
from typing import Any

from schema.media.media import Media
from schema.media.media_facts import MediaDamage
from storage.mongodb.client import ASCENDING, DESCENDING, Document, Filter, Mongo, Sort
from storage.mongodb.codecs import from_document
from storage.mongodb.records import Records

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("state", ASCENDING), ("decoding_failures", ASCENDING), ("uploader_id", ASCENDING), ("due_at", ASCENDING)), {}),
    ((("sha256", ASCENDING), ("state", ASCENDING), ("decoding_failures", DESCENDING)), {}),
]
_OVERRUNS = [damage.value for damage in (MediaDamage.TIMED_OUT, MediaDamage.CRASHED, MediaDamage.OUT_OF_MEMORY)]
"""Damage of files whose examination exceeded a limit or crashed."""


class VerificationQueue:
    """The media whose verification or search is due.

    `again` chooses among them: True for media whose examination has failed before, False for the others, None for all.
    """

    def __init__(self, mongo: Mongo) -> None:
        self._media = mongo.collection("media")
        self._records = Records(mongo, "media", Media)

    async def find_waiting(self, now: datetime, *, again: bool | None = None) -> list[str]:
        """Return the ids of the people who uploaded or announced the media that are due.

        The index has them together, so this reads one key of the index for each person.
        """
        people: list[str] = await self._media.distinct("uploader_id", _due(now, again))
        return people

    async def claim(
        self, now: datetime, lease: timedelta, uploader_id: str, *, again: bool | None = None
    ) -> Media | None:
        """Claim the uploader's medium that is due first. No other worker gets it during `lease`.

        Return None if no work of this uploader is due.
        """
        changed = await self._media.change_one(
            {**_due(now, again), "uploader_id": uploader_id},
            {"$set": {"due_at": now + lease}, "$inc": {"attempts": 1}},
            sort=[("due_at", ASCENDING)],
        )
        return from_document(Media, changed) if changed else None

    async def renew_lease(self, media: Media, until: datetime) -> bool:
        """Extend the lease of a claimed medium. Return False if the work is done or another worker has claimed it."""
        return await self._media.update_one(_claimed(media), {"$set": {"due_at": until}})

    async def postpone(self, media: Media, until: datetime) -> None:
        """Release a claimed medium. Its work is due again at `until`.

        Change nothing if a phone or another worker has changed the medium since the claim.
        """
        await self._media.update_one(_claimed(media), {"$set": {"due_at": until}})

    async def give_up(self, media: Media) -> bool:
        """Stop looking for the bytes of a claimed medium. Return False if it was declared again or has arrived."""
        return await self._media.update_one(_claimed(media), {"$set": {"due_at": None}})

    async def record_failures(self, media: Media, until: datetime, failures: int) -> None:
        """Release a claimed medium until `until`. `failures` is how often the examination of these bytes has failed.

        `attempts` can't be this count, because it counts every claim and so also grows when the object store fails.
        """
        await self._media.update_one(_claimed(media), {"$set": {"due_at": until, "decoding_failures": failures}})

    async def mark_copy_failed(self, media: Media, look_at: datetime) -> None:
        """Move the medium back to EXPECTED, because its bytes could not be copied from a duplicate.

        The phone must send the bytes. The worker looks for them at `look_at`. Change nothing if the medium was changed
        since this worker claimed it.
        """
        fields = {"state": "EXPECTED", "uploaded_at": None, "due_at": look_at, "is_copy": False, "copy_failed": True}
        await self._media.update_one(_claimed(media), {"$set": fields})

    async def find_examined(self, media: Media, since: datetime) -> Media | None:
        """Find another medium with the same bytes that was examined since `since`, or whose examination has failed.

        Other people's media count only if their examination failed. So the time that a verification takes does not
        show whether somebody else has the same picture. READY media come first, then those that failed most often.
        """
        examined = {"state": "READY", "ready_at": {"$gte": since}, "facts": {"$ne": None}}
        results: list[Document] = [
            {**examined, "$or": [{"uploader_id": media.uploader_id}, {"facts.damage": {"$in": _OVERRUNS}}]},
            {"state": "UPLOADED", "decoding_failures": {"$gt": 0}},
        ]
        same: Filter = {"sha256": media.sha256, "byte_size": media.byte_size, "_id": {"$ne": media.id}}
        return await self._records.find_one(
            {**same, "state": {"$in": ["READY", "UPLOADED"]}, "$or": results},
            sort=[("state", ASCENDING), ("decoding_failures", DESCENDING)],
        )


def _due(now: datetime, again: bool | None) -> Document:
    failed = {"$gt": 0}
    # `$not` also matches documents that are older than the field.
    lane = {} if again is None else {"decoding_failures": failed if again else {"$not": failed}}
    return {"state": {"$in": ["UPLOADED", "EXPECTED"]}, **lane, "due_at": {"$lte": now}}


def _claimed(media: Media) -> Filter:
    return {"_id": media.id, "state": media.state.value, "attempts": media.attempts}
