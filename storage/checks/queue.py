"""Queue the checks of observations. The document of the observation or medium has the time when its check is due.

This time is written together with the change that makes the check necessary, so a killed process can't lose a check. A
worker claims a check by one conditional update.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schema.fieldwork.observations import Observation
from schema.media.media import Media
from storage.checks.observation_records import SHORT, observation_records
from storage.mongodb.client import ASCENDING, Document, Mongo, Sort
from storage.mongodb.records import Records

DUE = "check_due_at"
"""Field with the time when the check is due, or when the lease of its worker ends. Null if no check is due.

The record classes do not have this field.
"""
ROUND = "check_round"
"""Field that counts the requests for a check.

A check marks a request as done only if this number is unchanged. So a request that arrives during a check is not lost.
"""
MAX_SAME = 20
"""Maximum number of media with the same bytes to look at. People need a few, and nobody reads more."""

_WAITING = {"$type": "date"}
AUTHOR, UPLOADER = "author_id", "uploader_id"
"""Fields with the person whose observation or medium it is. People take turns."""


def index(person: str) -> tuple[Sort, dict[str, Any]]:
    """Return the index of a queue. It covers only documents with a due check, so that it stays small."""
    return ((person, ASCENDING), (DUE, ASCENDING)), {"partialFilterExpression": {DUE: _WAITING}}


UNREQUESTED_INDEX: tuple[Sort, dict[str, Any]] = (
    ((ROUND, ASCENDING), ("_id", ASCENDING)),
    {"partialFilterExpression": {ROUND: None}},
)
"""Index for observations whose check was never requested. It is usually empty."""


def due(at: datetime) -> Document:
    """Return the queue's fields for a new document whose check is due at `at`."""
    return {DUE: at, ROUND: 1}


@dataclass(frozen=True)
class Claim:
    """A claimed check of an observation. `medium_id` is set if only one of its media must be checked.

    `observation_id` is None if the medium belongs to no observation. Nothing is checked then.
    """

    observation_id: str | None
    round: int
    medium_id: str | None = None


def _due(now: datetime) -> Document:
    return {DUE: {**_WAITING, "$lte": now}}


class Checks:
    def __init__(self, mongo: Mongo) -> None:
        self._observations = mongo.collection("observations")
        self._media = mongo.collection("media")
        self._observation_records = observation_records(mongo)
        self._media_records = Records(mongo, "media", Media)

    async def find_waiting(self, now: datetime) -> list[str]:
        """Return the ids of the people whose observations or media have a check that is due.

        The indexes have each person's together, so this reads two keys for each person.
        """
        anybody = {"$gt": ""}  # a bound lets the database use the index
        authors = await self._observations.distinct(AUTHOR, _due(now) | {AUTHOR: anybody})
        uploaders = await self._media.distinct(UPLOADER, _due(now) | {UPLOADER: anybody})
        return list(dict.fromkeys([*authors, *uploaders]))

    async def claim(self, now: datetime, lease: timedelta, person: str) -> Claim | None:
        """Claim the person's check that is due first. No other worker gets it during `lease`.

        Return None if no check of this person is due. If the worker dies, another worker claims the check after the
        lease. A repeated check finds the same flags.
        """
        claiming, first = {"$set": {DUE: now + lease}}, [(DUE, ASCENDING)]
        if seen := await self._observations.change_one(_due(now) | {AUTHOR: person}, claiming, sort=first):
            return Claim(seen["_id"], seen.get(ROUND, 0))
        if medium := await self._media.change_one(_due(now) | {UPLOADER: person}, claiming, sort=first):
            return Claim(medium["observation_id"], medium.get(ROUND, 0), medium["_id"])
        return None

    async def finish(self, claim: Claim) -> None:
        """Mark the check as done, unless another check was requested meanwhile."""
        of = self._media if claim.medium_id else self._observations
        id = claim.medium_id or claim.observation_id
        await of.update_one({"_id": id, ROUND: claim.round}, {"$set": {DUE: None}})

    async def request_missing(self, now: datetime, most: int) -> int:
        """Request checks of up to `most` old observations that were stored before checks existed.

        Return how many were requested. 0 means that no observation without a request is left.
        """
        documents = await self._observations.find(
            {ROUND: None}, projection={"_id": 1}, sort=[("_id", ASCENDING)], limit=most
        )
        ids = [document["_id"] for document in documents]
        return (
            await self._observations.update_many({"_id": {"$in": ids}, ROUND: None}, {"$set": due(now)}) if ids else 0
        )

    async def same_files(self, digests: Sequence[str], observation_id: str) -> list[Media]:
        """Return READY media of other observations whose SHA-256 is one of `digests`, at most `MAX_SAME` of each."""
        pipelines: list[list[Document]] = [
            [
                {"$match": {"sha256": digest, "state": "READY", "observation_id": {"$nin": [observation_id, None]}}},
                {"$limit": MAX_SAME},
            ]
            for digest in digests
        ]
        unions: list[Document] = [{"$unionWith": {"coll": "media", "pipeline": each}} for each in pipelines[1:]]
        return await self._media_records.aggregate([*pipelines[0], *unions])

    async def stops_beside(self, observation: Observation) -> list[Observation]:
        """Return the author's last observation by this device before this one and the first one after, by its clock.

        Observations of other people with the same device do not count: people share phones, and a flag must not link
        two people. Only observations with a position count. There may be fewer than two.
        """
        at = observation.content.captured_at
        beside: list[Observation] = []
        for step, order in (("$lte", -1), ("$gte", 1)):
            beside += await self._observation_records.find(
                {
                    "device_id": observation.device_id,
                    "author_id": observation.author_id,
                    "content.captured_at": {step: at},
                    "location": {"$ne": None},
                    "_id": {"$ne": observation.id},
                },
                sort=[("content.captured_at", order)],
                limit=1,
                projection=SHORT,
            )
        return beside
