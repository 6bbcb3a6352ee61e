"""Store redactions in MongoDB. The copies themselves are in the object store.

Each step of a redaction is one conditional update, which also appends the step to the history. A worker claims a
redaction for the time of a lease.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from schema.core.pagination import Page
from schema.publication.redactions import (
    MOVES,
    WORK,
    FaceDetection,
    Redaction,
    RedactionBox,
    RedactionEvent,
    RedactionRendering,
    RedactionState,
    states_before,
)
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Document, Filter, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.filters import all_of, one_of
from storage.mongodb.keyset_pagination import time_and_id
from storage.mongodb.records import Records

SORT: Sort = (("requested_at", DESCENDING), ("_id", DESCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("office_path", ASCENDING), *SORT), {}),
    ((("media_id", ASCENDING), ("requested_at", ASCENDING)), {}),
    ((("state", ASCENDING), ("due_at", ASCENDING)), {}),
]
_WORK = sorted(str(state.value) for state in WORK)


class Redactions:
    def __init__(self, mongo: Mongo) -> None:
        self._redactions = mongo.collection("redactions")
        self._records = Records(mongo, "redactions", Redaction)

    async def request(self, redaction: Redaction) -> None:
        """Store a new redaction. The worker's first step is due at once. Raise `DuplicateError` if the id is taken."""
        await self._redactions.insert_one(to_document(redaction) | {"due_at": redaction.requested_at})

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Redaction]:
        """Return the redactions with these ids that match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    async def find_by_media(self, media_ids: Sequence[str], visible: Filter) -> list[Redaction]:
        """Return the media's redactions that match `visible`, oldest first."""
        of_media: Filter = {"media_id": {"$in": list(media_ids)}}
        return await self._records.find(all_of(of_media, visible), sort=[("requested_at", ASCENDING)])

    async def count_of_medium(self, media_id: str) -> int:
        """Count the redactions of a medium that are approved or may still be approved."""
        ended = one_of(state for state, targets in MOVES.items() if not targets)
        return await self._redactions.count({"media_id": media_id, "state": {"$not": ended}})

    async def count_waiting(self, user_id: str) -> int:
        """Count the redactions that the person requested and that wait for the worker."""
        return await self._redactions.count({"state": {"$in": _WORK}, "requested_by_id": user_id})

    async def page(self, filter: Filter, page: Page) -> list[Redaction]:
        """Return a page of redactions, sorted by time of request, newest first."""
        return await keyset_pagination.fetch(self._records, filter, SORT, page, read=time_and_id)

    async def correct(
        self, id: str, revision: int, boxes: Sequence[RedactionBox], event: RedactionEvent
    ) -> Redaction | None:
        """Replace the boxes and move the redaction to RENDERING.

        Return None if `revision` is no longer the latest or the redaction's state does not allow it.
        """
        fields = {
            "boxes": [to_document(box) for box in boxes],
            "revision": event.revision,
            "rendering": None,
            "due_at": event.at,
            "attempts": 0,
        }
        condition: Filter = {"revision": revision}
        update: Document = {"$addToSet": {"corrector_ids": event.by_id}}
        return await self._move(id, RedactionState.RENDERING, event, fields, condition, update)

    async def approve(self, id: str, event: RedactionEvent) -> Redaction | None:
        """Move the redaction to APPROVED.

        Return None if the event's `sha256` is not that of the current copy, or if the person requested or corrected the
        redaction.
        """
        condition: Filter = {
            "rendering.sha256": event.sha256,
            "requested_by_id": {"$ne": event.by_id},
            "corrector_ids": {"$ne": event.by_id},
        }
        return await self._move(id, RedactionState.APPROVED, event, {"decided_by_id": event.by_id}, condition)

    async def reject(self, id: str, event: RedactionEvent) -> Redaction | None:
        return await self._move(id, RedactionState.REJECTED, event, {"decided_by_id": event.by_id, "due_at": None})

    async def claim(self, now: datetime, lease: timedelta) -> Redaction | None:
        """Claim a redaction whose work is due. No other worker gets it during `lease`. Return None if none is due."""
        changed = await self._redactions.change_one(
            {"state": {"$in": _WORK}, "due_at": {"$lte": now}},
            {"$set": {"due_at": now + lease}, "$inc": {"attempts": 1}},
            sort=[("due_at", ASCENDING)],
        )
        return from_document(Redaction, changed) if changed else None

    async def renew_lease(self, claim: Redaction, until: datetime) -> bool:
        """Set the time when the lease of a claimed redaction ends, and its work is due again.

        Return False if the work is done or another worker has claimed the redaction.
        """
        claimed: Filter = {"_id": claim.id, "attempts": claim.attempts, **_unchanged(claim)}
        return await self._redactions.update_one(claimed, {"$set": {"due_at": until}})

    async def propose(
        self, claim: Redaction, detection: FaceDetection, faces: Sequence[RedactionBox], event: RedactionEvent
    ) -> Redaction | None:
        """Store the detected faces and move REQUESTED to PROPOSED. Return None if a person rejected it meanwhile."""
        proposed = [to_document(face) for face in faces]
        fields = {"face_detection": detection.value, "faces": proposed, "boxes": proposed, "due_at": None}
        return await self._move(claim.id, RedactionState.PROPOSED, event, fields)

    async def store_rendering(
        self, claim: Redaction, rendering: RedactionRendering, event: RedactionEvent
    ) -> Redaction | None:
        """Store the copy's data and move RENDERING to AWAITING_APPROVAL.

        Return None if a person corrected or rejected the redaction meanwhile.
        """
        fields = {"rendering": to_document(rendering), "due_at": None}
        return await self._move(claim.id, RedactionState.AWAITING_APPROVAL, event, fields, _unchanged(claim))

    async def fail(self, claim: Redaction, event: RedactionEvent) -> Redaction | None:
        """Move the redaction to FAILED. The event's note is the reason. Return None if a person acted meanwhile."""
        fields = {"failure": event.note, "due_at": None}
        return await self._move(claim.id, RedactionState.FAILED, event, fields, _unchanged(claim))

    async def watch_due(self) -> AsyncIterator[None]:
        """Yield each time there may be new work, until the change stream breaks."""
        states = {"$in": _WORK}
        changed: Document = {"$or": [{"fullDocument.state": states}, {"updateDescription.updatedFields.state": states}]}
        async with self._redactions.changes([{"$match": changed}]) as stream:
            async for _ in stream:
                yield

    async def _move(
        self,
        id: str,
        to: RedactionState,
        event: RedactionEvent,
        fields: Document,
        condition: Filter | None = None,
        update: Document | None = None,
    ) -> Redaction | None:
        """Change the state and append the event to the history.

        Return None if the state does not allow it, if `condition` does not match, or if the history has the event
        already.
        """
        filter = all_of(
            {"_id": id, "state": one_of(states_before(to)), "history.id": {"$ne": event.id}}, condition or {}
        )
        step: Document = {"$set": {"state": to.value, **fields}, "$push": {"history": to_document(event)}}
        changed = await self._redactions.change_one(filter, step | (update or {}))
        return from_document(Redaction, changed) if changed else None


def keyset_of(redaction: Redaction) -> tuple[str, str]:
    return redaction.requested_at.isoformat(), redaction.id


def _unchanged(claim: Redaction) -> Document:
    return {"state": claim.state.value, "revision": claim.revision}
