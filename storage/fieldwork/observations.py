"""Store observations. A correction appends a revision.

The link between an observation and a case is stored in the observation only, so that linking is one write.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from schema.core.pagination import Page
from schema.fieldwork.observations import Observation, ObservationRevision
from storage.checks import queue
from storage.checks.observation_records import SHORT, observation_records
from storage.fieldwork import places
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Document, Filter, InsertResult, Mongo, Session, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.filters import all_of
from storage.mongodb.keyset_pagination import time_and_id

SORT: Sort = (("received_at", DESCENDING), ("_id", DESCENDING))
OLDEST: Sort = (("received_at", ASCENDING),)
SHOWN = "shown_at"
"""Field that stores the shown time for filters.

`Observation` lacks this field, because it computes the time on each read.
"""
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    (SORT, {}),
    ((("author_id", ASCENDING), *SORT), {}),
    ((("office_path", ASCENDING), *SORT), {}),
    *places.indexes(SORT),
    ((("monitoring_point_id", ASCENDING), *SORT), {}),
    ((("content.category", ASCENDING), *SORT), {}),
    ((("content.captured_at", DESCENDING), ("_id", DESCENDING)), {}),
    (((SHOWN, DESCENDING), ("_id", DESCENDING)), {}),
    ((("case_ids", ASCENDING), ("received_at", ASCENDING)), {}),
    ((("location", "2dsphere"),), {}),
    ((("received_at", ASCENDING), ("_id", ASCENDING)), {"partialFilterExpression": {"placement": "UNPLACED"}}),
    ((("device_id", ASCENDING), ("content.captured_at", ASCENDING)), {}),
    ((("author_id", ASCENDING), ("device_id", ASCENDING), ("revisions.content.device_sequence", ASCENDING)), {}),
    queue.index(queue.AUTHOR),
    queue.UNREQUESTED_INDEX,
]
SET_ASIDE_INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("by", ASCENDING), ("received_at", ASCENDING)), {})]


class Observations:
    """The observations. Except for `whole`, all methods that read return observations with their first revision only."""

    def __init__(self, mongo: Mongo) -> None:
        self._observations = mongo.collection("observations")
        self._records = observation_records(mongo)
        self._set_aside = mongo.collection("set_aside")

    async def add(self, observations: Sequence[Observation]) -> InsertResult:
        """Store new observations. The result lists the ids that were already taken."""
        return await self._observations.insert_many([observation_document(observation) for observation in observations])

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Observation]:
        """Return the observations that exist and match `visible`, in any order."""
        filter = all_of({"_id": {"$in": list(ids)}}, visible or {})
        return await self._records.find(filter, projection=SHORT)

    def read_many(self, ids: Sequence[str], visible: Filter | None = None) -> Read[list[Observation]]:
        """Return what `many` does as a read that can run together with others."""
        return self._records.read(all_of({"_id": {"$in": list(ids)}}, visible or {}), projection=SHORT)

    async def whole(self, id: str, visible: Filter | None = None) -> Observation | None:
        """Return the observation with all its revisions, or None if it does not exist or does not match `visible`."""
        return await self._records.find_one(all_of({"_id": id}, visible or {}))

    async def revisions(self, ids: Sequence[str]) -> Mapping[str, list[ObservationRevision]]:
        """Return all revisions of the observations, oldest first, keyed by the observation's id."""
        documents = await self._observations.find({"_id": {"$in": list(ids)}}, projection={"revisions": 1})
        return {
            document["_id"]: [from_document(ObservationRevision, revision) for revision in document["revisions"]]
            for document in documents
        }

    async def has_medium(self, id: str, media_id: str) -> bool:
        """Return whether the observation exists and names the medium. A revision keeps all earlier media."""
        document = await self._observations.find_one({"_id": id, "content.media_ids": media_id}, projection={"_id": 1})
        return document is not None

    async def sequences(self, author_id: str, device_id: str, numbers: Sequence[int]) -> set[int]:
        """Return those of the sequence numbers that the author's observations from this device use.

        The result may have more numbers, of other revisions of these observations.
        """
        sequence = "revisions.content.device_sequence"
        # A range would examine all numbers above or below it, because an observation has a number in each revision.
        filter: Filter = {"author_id": author_id, "device_id": device_id, sequence: {"$in": list(numbers)}}
        # Only the index of these numbers has this order, so that MongoDB never reads all observations of the author.
        order = [("author_id", ASCENDING), ("device_id", ASCENDING)]
        documents = await self._observations.find(filter, sort=order, projection={sequence: 1})
        return {revision["content"]["device_sequence"] for document in documents for revision in document["revisions"]}

    async def of_cases(self, case_ids: Sequence[str], visible: Filter, most: int) -> list[Observation]:
        """Return up to `most` observations that are linked to any of the cases and match `visible`, oldest first."""
        return await self._records.find(_of_cases(case_ids, visible), sort=OLDEST, limit=most, projection=SHORT)

    def read_of_cases(self, case_ids: Sequence[str], visible: Filter, most: int) -> Read[list[Observation]]:
        """Return what `of_cases` does as a read that can run together with others."""
        return self._records.read(_of_cases(case_ids, visible), sort=OLDEST, limit=most, projection=SHORT)

    def read_other_of_cases(self, case_ids: Sequence[str], visible: Filter) -> Read[list[str]]:
        """Return a read of the id of one observation of the cases that does not match `visible`, if there is one."""
        return self._records.read_ids(_of_cases(case_ids, {"$nor": [visible]}), limit=1)

    async def page(self, filter: Filter, page: Page) -> list[Observation]:
        """Return a page of observations by time of receipt, newest first. New observations never shift a page."""
        return await keyset_pagination.fetch(self._records, filter, SORT, page, read=time_and_id, projection=SHORT)

    async def revise(
        self, known: Observation, revision: ObservationRevision, placement: Document, session: Session = None
    ) -> Observation | None:
        """Append a revision to the observation `known`.

        Return None if another revision was stored meanwhile, if this revision is already stored, or if the observation
        was linked to a case or unlinked meanwhile. `placement` has the placement fields that follow from the new
        content.
        """
        document = to_document(revision)
        in_cases: Filter = {"case_ids": list(known.case_ids)} if known.case_ids else {"case_ids.0": {"$exists": False}}
        changed = await self._observations.change_one(
            {"_id": known.id, "revision": revision.number - 1, "revisions.id": {"$ne": revision.id}, **in_cases},
            {
                "$set": {
                    "revision": revision.number,
                    "content": document["content"],
                    **places.location(document["content"]),
                    SHOWN: known.shown_time(revision.content).at,
                    **placement,
                    **places.of_unit(placement),
                    queue.DUE: revision.recorded_at,
                },
                "$unset": places.without_unit(placement),
                "$push": {"revisions": document},
                "$inc": {queue.ROUND: 1},
            },
            session=session,
        )
        return from_document(Observation, changed) if changed else None

    async def link(self, ids: Sequence[str], case_id: str, evidence: Filter, session: Session) -> int:
        """Link those observations that match `evidence` to a case. Return how many were linked.

        Those that are already linked are skipped.
        """
        free: Filter = {"_id": {"$in": list(ids)}, "case_ids": {"$ne": case_id}}
        return await self._observations.update_many(
            all_of(free, evidence), {"$push": {"case_ids": case_id}}, session=session
        )

    async def unlink(self, ids: Sequence[str], case_id: str, evidence: Filter, session: Session) -> int:
        linked: Filter = {"_id": {"$in": list(ids)}, "case_ids": case_id}
        return await self._observations.update_many(
            all_of(linked, evidence), {"$pull": {"case_ids": case_id}}, session=session
        )

    async def count_of_case(self, case_id: str, session: Session) -> int:
        documents = await self._observations.find({"case_ids": case_id}, projection={"_id": 1}, session=session)
        return len(documents)

    async def unplaced(self, since: datetime, after: Observation | None, most: int) -> list[Observation]:
        """Return up to `most` UNPLACED observations by time of receipt, oldest first.

        They begin after the observation `after`, or with those received at `since`.
        """
        sort = [("received_at", ASCENDING), ("_id", ASCENDING)]
        start: Filter = (
            keyset_pagination.after(sort, (after.received_at, after.id)) if after else {"received_at": {"$gte": since}}
        )
        filter: Filter = {"placement": "UNPLACED", **start}
        return await self._records.find(filter, sort=sort, limit=most, projection=SHORT)

    async def set_placement(self, id: str, revision: int, placement: Document) -> bool:
        """Place an UNPLACED observation. Change nothing and return False if `revision` is not the latest any more."""
        filter: Filter = {"_id": id, "placement": "UNPLACED", "revision": revision}
        fields = placement | places.of_unit(placement)
        update = {"$set": fields, "$currentDate": {queue.DUE: True}, "$inc": {queue.ROUND: 1}}
        return await self._observations.update_one(filter, update)

    async def backfill_shown_times(self) -> None:
        """Store the shown time in observations that lack it, because they were stored before this field existed."""
        while batch := await self._records.find({SHOWN: None}, limit=500, projection=SHORT):
            for observation in batch:
                filter: Filter = {"_id": observation.id, "revision": observation.revision}
                await self._observations.update_one(
                    filter, {"$set": {SHOWN: observation.shown_time(observation.content).at}}
                )

    async def name_places(self) -> None:
        """Store the subtrees and cells of observations that lack them, or that an earlier version gave another unit."""
        last, fields = "", {"unit_path": 1, "location": 1, "content.position": 1, "revision": 1}
        while batch := await self._observations.find(
            all_of({"_id": {"$gt": last}}, places.WITH_WRONG_NAMES),
            sort=[("_id", ASCENDING)],
            limit=50,
            projection=fields,
        ):
            last = batch[-1]["_id"]
            await asyncio.gather(*map(self._name_places, batch))

    async def _name_places(self, found: Document) -> None:
        same: Filter = {"_id": found["_id"], "revision": found["revision"], "unit_path": found.get("unit_path")}
        named = places.of_unit(found) | places.location(found["content"])
        await self._observations.update_one(same, {"$set": named, "$unset": places.without_unit(found)})

    async def store_conflicts(
        self, newcomers: Sequence[tuple[str, str, Any]], by: str, now: datetime, most: int
    ) -> set[str]:
        """Store items whose id is taken by another item. The same item is stored only once.

        `newcomers` are tuples (id, digest, content). `by` is the sender. Return the digests of the items that are
        stored now. About `most` items per person and day are stored, so that nobody can fill the database with unwanted
        data.
        """
        if not newcomers:
            return set()
        named = {f"{of}:{digest}": (of, digest, sent) for of, digest, sent in newcomers}
        known = {
            document["_id"]
            for document in await self._set_aside.find({"_id": {"$in": list(named)}}, projection={"_id": 1})
        }
        room = most - await self._set_aside.count({"by": by, "received_at": {"$gt": now - timedelta(days=1)}})
        fresh = [id for id in named if id not in known][: max(room, 0)]
        await self._set_aside.insert_many(
            [
                {"_id": id, "of": of, "sent": sent, "by": by, "received_at": now}
                for id in fresh
                for of, _, sent in [named[id]]
            ]
        )
        return {named[id][1] for id in (*known, *fresh)}


def keyset_of(observation: Observation) -> tuple[str, str]:
    return observation.received_at.isoformat(), observation.id


def _of_cases(case_ids: Sequence[str], visible: Filter) -> Filter:
    return all_of({"case_ids": {"$in": list(case_ids)}}, visible)


def observation_document(observation: Observation) -> Document:
    """Return the document of a new observation. Its check is due at once."""
    document = to_document(observation)
    shown = {SHOWN: observation.shown_time(observation.content).at}
    place = places.location(document["content"]) | places.of_unit(document)
    return document | place | shown | queue.due(observation.received_at)
