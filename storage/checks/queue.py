"""What is to be checked, in MongoDB: a time in the observation or the medium itself, claimed by one conditional update.

It is written with what makes the check due, so that no process can be killed between the two. What is checked is left to
`api/checks/runner.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schema.fieldwork.observations import Observation
from schema.media.media import Media
from storage.mongodb.client import ASCENDING, Document, Mongo, Sort
from storage.mongodb.codecs import from_document

DUE = "check_due_at"
"""When the check is due, or the lease of the worker at it ends; null once done. Unknown to the records."""
ROUND = "check_round"
"""Which request for a check it is: one that comes during a check is not ended by it."""

_WAITING = {"$type": "date"}
INDEX: tuple[Sort, dict[str, Any]] = (((DUE, ASCENDING),), {"partialFilterExpression": {DUE: _WAITING}})
"""For observations and for media: of what is due alone, so that it stays small."""

UNASKED: tuple[Sort, dict[str, Any]] = (
    ((ROUND, ASCENDING), ("_id", ASCENDING)),
    {"partialFilterExpression": {ROUND: None}},
)
"""For observations: of those that no check was ever asked for, and so empty most of the time."""


def due(at: datetime) -> Document:
    """Fields of a document that is stored for the first time."""
    return {DUE: at, ROUND: 1}


@dataclass(frozen=True)
class Claim:
    """An observation to be checked; `medium_id` where it is because of one medium alone."""

    observation_id: str
    round: int
    medium_id: str | None = None


class Checks:
    def __init__(self, mongo: Mongo) -> None:
        self._observations = mongo.collection("observations")
        self._media = mongo.collection("media")

    async def claim(self, now: datetime, lease: timedelta) -> Claim | None:
        """One that is due, for this worker alone until `lease` has passed; None when nothing is due.

        A worker that dies leaves it to the next; a check made twice finds the same.
        """
        waiting, claiming = {DUE: {**_WAITING, "$lte": now}}, {"$set": {DUE: now + lease}}
        if seen := await self._observations.change_one(waiting, claiming, sort=[(DUE, ASCENDING)]):
            return Claim(seen["_id"], seen.get(ROUND, 0))
        if medium := await self._media.change_one(waiting, claiming, sort=[(DUE, ASCENDING)]):
            return Claim(medium["observation_id"], medium.get(ROUND, 0), medium["_id"])
        return None

    async def done(self, claim: Claim) -> None:
        """Nothing where a further check was asked for meanwhile."""
        of = self._media if claim.medium_id else self._observations
        id = claim.medium_id or claim.observation_id
        await of.update_one({"_id": id, ROUND: claim.round}, {"$set": {DUE: None}})

    async def ask_for_unasked(self, now: datetime, most: int) -> int:
        """Have observations checked that are older than checks are; of how many that was asked, 0 when none is left."""
        found = await self._observations.find(
            {ROUND: None}, projection={"_id": 1}, sort=[("_id", ASCENDING)], limit=most
        )
        ids = [each["_id"] for each in found]
        return (
            await self._observations.update_many({"_id": {"$in": ids}, ROUND: None}, {"$set": due(now)}) if ids else 0
        )

    async def same_files(self, digests: Sequence[str], observation_id: str) -> list[Media]:
        """READY media of other observations that are byte for byte one of those."""
        found = await self._media.find(
            {"sha256": {"$in": list(digests)}, "state": "READY", "observation_id": {"$ne": observation_id}},
            limit=1_000,
        )
        return [from_document(Media, document) for document in found]

    async def stops_beside(self, observation: Observation) -> list[Observation]:
        """The device's observations with a usable position right before and right after this one, by its own clock."""
        at = observation.content.captured_at
        beside = []
        for step, order in (("$lte", -1), ("$gte", 1)):
            found = await self._observations.find(
                {
                    "device_id": observation.device_id,
                    "content.captured_at": {step: at},
                    "location": {"$ne": None},
                    "_id": {"$ne": observation.id},
                },
                sort=[("content.captured_at", order)],
                limit=1,
            )
            beside += [from_document(Observation, document) for document in found]
        return beside
