"""Find the records that may look different to phones after the writes in MongoDB's change stream."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection as Many
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schema.casework.assignments import Assignment
from schema.casework.cases import Case
from schema.catalogue.entries import CatalogueEntry
from schema.fieldwork.observations import Observation
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit
from schema.sync.changes import ChangeKind, topics_of_people, topics_of_place, topics_of_point
from storage.access.visibility import OPENS_CASE
from storage.mongodb.client import ASCENDING, Document, Mongo
from storage.mongodb.codecs import from_document, to_document
from storage.sync.changes import RecordState

COLLECTIONS: dict[ChangeKind, str] = {
    ChangeKind.UNIT: "units",
    ChangeKind.MONITORING_POINT: "monitoring_points",
    ChangeKind.CATALOGUE_ENTRY: "catalogue",
    ChangeKind.ASSIGNMENT: "assignments",
    ChangeKind.CASE: "cases",
    ChangeKind.OBSERVATION: "observations",
}
KINDS = {name: kind for kind, name in COLLECTIONS.items()}
_WRITTEN = {"operationType": {"$in": ["insert", "update", "replace", "delete"]}}
_OF_MEDIA: Document = {
    "ns.coll": "media",
    # Phones don't see leases and attempts of workers.
    "$or": [{"operationType": "insert"}, {"updateDescription.updatedFields.state": {"$exists": True}}],
}
PIPELINE: list[Document] = [
    {"$match": {**_WRITTEN, "$or": [{"ns.coll": {"$in": list(KINDS)}}, _OF_MEDIA]}},
    {"$project": {"ns.coll": 1, "documentKey": 1, "clusterTime": 1}},
]

_CAPACITIES = frozenset({"by_capacity", "assignee_capacity", "offered_by_capacity"})

Ids = Mapping[ChangeKind, Many[str]]


class ChangeSources:
    def __init__(self, mongo: Mongo) -> None:
        self._collections = {kind: mongo.collection(name) for kind, name in COLLECTIONS.items()}
        self._media = mongo.collection("media")

    async def affected_records(self, events: Iterable[Document]) -> Ids:
        """Return the ids of all records that may look different after these writes.

        A written assignment also affects its case, because the assignment decides who sees the case. A written case or
        medium also affects its observations, because observations show the state of both.
        """
        written: dict[str, set[str]] = defaultdict(set)
        for event in events:
            written[event["ns"]["coll"]].add(event["documentKey"]["_id"])
        ids: dict[ChangeKind, set[str]] = {kind: written[name] for name, kind in KINDS.items()}
        assigned_cases = await self._values(
            ChangeKind.ASSIGNMENT, {"_id": {"$in": list(ids[ChangeKind.ASSIGNMENT])}}, "case_id"
        )
        of_cases = await self._values(ChangeKind.OBSERVATION, {"case_ids": {"$in": list(ids[ChangeKind.CASE])}}, "_id")
        of_media = await self._media.find({"_id": {"$in": list(written["media"])}}, projection={"observation_id": 1})
        ids[ChangeKind.CASE] |= assigned_cases
        ids[ChangeKind.OBSERVATION] |= of_cases | {seen for medium in of_media if (seen := medium["observation_id"])}
        return ids

    async def read_states(self, ids: Ids) -> list[RecordState]:
        """Return the current state of the records. Records that no longer exist are included, without topics."""
        return [state for kind, wanted in ids.items() if wanted for state in await self._read_states(kind, wanted)]

    async def ids(self, kind: ChangeKind, after: str, most: int) -> list[str]:
        """Return up to `most` ids of the records of a kind, sorted, starting after `after`."""
        documents = await self._collections[kind].find(
            {"_id": {"$gt": after}}, sort=[("_id", ASCENDING)], limit=most, projection={"_id": 1}
        )
        return [document["_id"] for document in documents]

    async def _read_states(self, kind: ChangeKind, ids: Many[str]) -> list[RecordState]:
        # A correction shows in the content and the number of revisions.
        projection = {"revisions": {"$slice": 1}} if kind is ChangeKind.OBSERVATION else None
        documents = await self._collections[kind].find({"_id": {"$in": list(ids)}}, projection=projection)
        by_id = {document["_id"]: document for document in documents}
        if kind is ChangeKind.UNIT:
            states = [self._state(kind, unit, topics_of_place(kind, unit.path)) for unit in _read(Unit, documents)]
        elif kind is ChangeKind.CATALOGUE_ENTRY:
            entries = _read(CatalogueEntry, documents)
            states = [self._state(kind, entry, topics_of_place(kind, entry.path)) for entry in entries]
        elif kind is ChangeKind.MONITORING_POINT:
            states = [self._state(kind, point, topics_of_point(point)) for point in _read(MonitoringPoint, documents)]
        elif kind is ChangeKind.ASSIGNMENT:
            assignments = _read(Assignment, documents)
            states = [
                self._state(kind, assignment, topics_of_people(kind, [assignment.assignee_id]))
                for assignment in assignments
            ]
        elif kind is ChangeKind.CASE:
            people = await self._followers(list(by_id))
            cases = _read(Case, documents)
            states = [self._state(kind, case, topics_of_people(kind, people[str(case.id)])) for case in cases]
        else:
            states = await self._observation_states(_read(Observation, documents))
        return [*states, *(RecordState(kind, id) for id in ids if id not in by_id)]

    async def _observation_states(self, observations: Sequence[Observation]) -> list[RecordState]:
        kind = ChangeKind.OBSERVATION
        media_ids = {id for observation in observations for id in observation.content.media_ids}
        media = await self._media.find({"_id": {"$in": list(media_ids)}}, projection={"state": 1, "rejection": 1})
        states = {document["_id"]: [document["state"], document.get("rejection")] for document in media}
        case_ids = {id for observation in observations for id in observation.case_ids}
        cases = await self._collections[ChangeKind.CASE].find({"_id": {"$in": list(case_ids)}})
        follow_ups = {str(case.id): to_document(case.follow_up()) for case in _read(Case, cases)}
        return [
            self._state(
                kind,
                observation,
                topics_of_people(kind, [observation.author_id]),
                [states.get(id) for id in observation.content.media_ids],
                [follow_ups.get(id) for id in observation.case_ids],
            )
            for observation in observations
        ]

    async def _followers(self, case_ids: Sequence[str]) -> Mapping[str, set[str]]:
        """Return the ids of the people who may follow each case, keyed by case id.

        These are the people to whom an assignment opens the case, also a finished one.
        """
        filter = {"case_id": {"$in": list(case_ids)}, **OPENS_CASE}
        people: dict[str, set[str]] = defaultdict(set)
        for document in await self._collections[ChangeKind.ASSIGNMENT].find(filter):
            people[document["case_id"]].add(document["assignee_id"])
        return people

    async def _values(self, kind: ChangeKind, filter: Document, field: str) -> set[str]:
        documents = await self._collections[kind].find(filter, projection={field: 1})
        return {document[field] for document in documents if document.get(field)}

    @staticmethod
    def _state(kind: ChangeKind, record: Any, topics: Iterable[str], *more: Any) -> RecordState:
        """Return the state of a record.

        The digest leaves out the fields that only workers use, such as leases, and fields that readers never see.
        """
        document = _without_capacities(to_document(record))
        document.pop("monitor_ids", None)  # who reports from a point is covert
        return RecordState(kind, str(record.id), frozenset(topics), _digest(document, *more))


def _without_capacities(value: Any) -> Any:
    """Leave out in which capacity people acted, at any depth."""
    if isinstance(value, dict):
        shown = {name: item for name, item in value.items() if name not in _CAPACITIES}
        return {name: _without_capacities(item) for name, item in shown.items()}
    return [_without_capacities(item) for item in value] if isinstance(value, list) else value


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _read(kind: type[Any], documents: Iterable[Document]) -> list[Any]:
    return [from_document(kind, document) for document in documents]
