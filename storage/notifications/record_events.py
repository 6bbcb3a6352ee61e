"""Notices: which assignments, cases and accounts changed, in the order of the database's own history (change streams).

A notice holds no content: whoever hears of it reads the record anew, with the hearer's own visibility. Who hears of what
is left to `api`.
"""

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from storage.mongodb.change_stream import gather_batch
from storage.mongodb.client import Document, Mongo

FACTS = ("office_path", "assignee_id", "case_id", "state")
LOOK_MILLISECONDS = 500
"""How long the server holds an answer back for news."""
MAX_IN_BATCH = 500


class EventKind(enum.Enum):
    """Of what a notice tells; the values are the names of the collections."""

    ASSIGNMENT = "assignments"
    CASE = "cases"
    USER = "users"


PIPELINE: list[Document] = [
    {
        "$match": {
            "ns.coll": {"$in": [kind.value for kind in EventKind]},
            "operationType": {"$in": ["insert", "update", "replace"]},
        }
    },
    {"$project": {"ns.coll": 1, "documentKey": 1, "clusterTime": 1, **{f"fullDocument.{name}": 1 for name in FACTS}}},
]


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """One change of one record. Positions are ordered as texts are, the same for every process and after restarts.

    They are the resume tokens of change streams, whose hexadecimal form is made for that; our ids are texts, so that a token
    has no second part. `granted` are the people whom the case, or the assignment's case, is given to; `state` is the
    record's own, now.
    """

    position: str
    kind: EventKind
    id: str
    office_path: str | None = None
    assignee_id: str | None = None
    case_id: str | None = None
    state: str | None = None
    granted: frozenset[str] = frozenset()
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Notices in order, and the position up to which there are no others; at times none at all."""

    notices: Sequence[RecordEvent]
    position: str


class EventReader(Protocol):
    async def next(self) -> Batch:
        """What came since the last batch; waits for news no longer than half a second, and gathers no longer than one."""


class RecordEventLog(Protocol):
    """What those who hear of changes need of a store."""

    def reading(self, after: str | None) -> AbstractAsyncContextManager[EventReader]:
        """A reader of what comes after a position, or after now. The block raises `HistoryLostError` where that is no more."""

    async def write_heartbeat(self) -> None:
        """Write something: where nothing is written, the history's end does not show for up to ten seconds."""


class Notices:
    """Implements `RecordEventLog`."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._assignments = mongo.collection("assignments")
        self._places = mongo.collection("places")

    @asynccontextmanager
    async def reading(self, after: str | None) -> AsyncIterator[EventReader]:
        options: Document = {"full_document": "updateLookup", "max_await_time_ms": LOOK_MILLISECONDS}
        if after is not None:
            options["start_after"] = {"_data": after}
        async with self._mongo.changes(PIPELINE, **options) as stream:
            yield _Reader(stream, self._granted)

    async def place(self, name: str) -> str | None:
        """How far a reader of that name had come."""
        found = await self._places.find_one({"_id": name})
        return found["position"] if found else None

    async def keep(self, name: str, position: str) -> None:
        """Keep how far a reader has come; of several of one name, who came furthest."""
        await self._places.update_one({"_id": name}, {"$max": {"position": position}}, upsert=True)

    async def write_heartbeat(self) -> None:
        await self._places.update_one({"_id": "stirred"}, {"$inc": {"times": 1}}, upsert=True)

    async def leave(self, name: str) -> None:
        """Begin anew from now on."""
        await self._places.delete_many({"_id": name})

    async def _granted(self, notices: Sequence[RecordEvent]) -> list[RecordEvent]:
        """Name whom the cases are given to: one command a batch, whoever subscribes."""
        cases = {case_id for notice in notices if (case_id := _case_of(notice))}
        people: dict[str, set[str]] = {}
        if cases:
            given: Document = {"case_id": {"$in": sorted(cases)}, "state": {"$ne": "WITHDRAWN"}}
            for found in await self._assignments.find(given, projection={"case_id": 1, "assignee_id": 1}):
                people.setdefault(found["case_id"], set()).add(found["assignee_id"])
        return [replace(notice, granted=frozenset(people.get(_case_of(notice) or "", ()))) for notice in notices]


class _Reader:
    def __init__(self, stream: Any, told: Callable[[Sequence[RecordEvent]], Awaitable[list[RecordEvent]]]) -> None:
        self._stream = stream
        self._told = told

    async def next(self) -> Batch:
        changed = await gather_batch(self._stream, MAX_IN_BATCH)
        position = self._stream.resume_token["_data"]
        return Batch(await self._told([_notice(each) for each in changed.events]), position)


def _notice(change: Document) -> RecordEvent:
    facts = change.get("fullDocument") or {}
    at = change["clusterTime"].as_datetime()  # whole seconds
    known: dict[str, Any] = {name: facts.get(name) for name in FACTS}
    return RecordEvent(
        change["_id"]["_data"], EventKind(change["ns"]["coll"]), change["documentKey"]["_id"], at=at, **known
    )


def _case_of(notice: RecordEvent) -> str | None:
    return notice.id if notice.kind is EventKind.CASE else notice.case_id
