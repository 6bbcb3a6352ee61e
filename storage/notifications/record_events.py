"""Read which assignments, cases and accounts changed, in the order of MongoDB's change stream.

An event has no content of the record. Each receiver reads the record again, as far as its viewer may see it.
"""

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from storage.access.visibility import OPENS_CASE
from storage.mongodb.change_stream import gather_batch
from storage.mongodb.client import Document, Mongo

FACTS = ("office_path", "assignee_id", "case_id", "state")
LOOK_MILLISECONDS = 500
"""How long MongoDB waits for a change before it answers."""
MAX_IN_BATCH = 500


class EventKind(enum.Enum):
    """The kind of the changed record. The values are the names of the MongoDB collections."""

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
    """One change of one record.

    `position` is the resume token of the change stream, in its hexadecimal form. Compared as text, positions give the
    order of events. They are the same in every process and after restarts. A token has a second part only if a
    document's id needs it. Our ids are strings, which never need it. `granted` holds the users to whom the case, or the
    assignment's case, is open by an assignment. `state` is the state of the record when the event was read.
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
    """Events in order, possibly none. No event between the previous batch and `position` is missing."""

    events: Sequence[RecordEvent]
    position: str


class EventReader(Protocol):
    async def next(self) -> Batch:
        """Read the events since the last batch.

        Wait at most half a second for the first event, and collect further events for at most one second.
        """


class RecordEventLog(Protocol):
    """The history of record changes. It can be read from any position that MongoDB still has."""

    def open_reader(self, after: str | None) -> AbstractAsyncContextManager[EventReader]:
        """Return a reader of the events after the position `after`, or after now if it is None.

        The block raises `HistoryLostError` if MongoDB's history no longer reaches back to the position.
        """

    async def write_heartbeat(self) -> None:
        """Write to the database, so that readers learn the current position soon.

        While nobody writes, readers learn the position only after up to ten seconds.
        """


class RecordEvents:
    """Implements `RecordEventLog`. Also stores the last position of each named reader."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._assignments = mongo.collection("assignments")
        self._positions = mongo.collection("places")

    @asynccontextmanager
    async def open_reader(self, after: str | None) -> AsyncIterator[EventReader]:
        options: Document = {"full_document": "updateLookup", "max_await_time_ms": LOOK_MILLISECONDS}
        if after is not None:
            options["start_after"] = {"_data": after}
        async with self._mongo.changes(PIPELINE, **options) as stream:
            yield _Reader(stream, self._add_granted)

    async def load_position(self, name: str) -> str | None:
        """Return the stored position of the named reader, or None if there is none."""
        document = await self._positions.find_one({"_id": name})
        return document["position"] if document else None

    async def save_position(self, name: str, position: str) -> None:
        """Store the position of a named reader. A later position that is already stored under this name is kept."""
        await self._positions.update_one({"_id": name}, {"$max": {"position": position}}, upsert=True)

    async def write_heartbeat(self) -> None:
        await self._positions.update_one({"_id": "stirred"}, {"$inc": {"times": 1}}, upsert=True)

    async def delete_position(self, name: str) -> None:
        """Delete the position of the named reader, so that it starts from now the next time."""
        await self._positions.delete_many({"_id": name})

    async def _add_granted(self, events: Sequence[RecordEvent]) -> list[RecordEvent]:
        """Return the events with `granted` set. This takes one command per batch, even with many subscribers."""
        case_ids = {case_id for event in events if (case_id := _case_id_of(event))}
        assignees: dict[str, set[str]] = {}
        if case_ids:
            current: Document = {"case_id": {"$in": sorted(case_ids)}, **OPENS_CASE}
            for assignment in await self._assignments.find(current, projection={"case_id": 1, "assignee_id": 1}):
                assignees.setdefault(assignment["case_id"], set()).add(assignment["assignee_id"])
        return [replace(event, granted=frozenset(assignees.get(_case_id_of(event) or "", ()))) for event in events]


class _Reader:
    def __init__(self, stream: Any, complete: Callable[[Sequence[RecordEvent]], Awaitable[list[RecordEvent]]]) -> None:
        self._stream = stream
        self._complete = complete

    async def next(self) -> Batch:
        changes = await gather_batch(self._stream, MAX_IN_BATCH)
        position = self._stream.resume_token["_data"]
        return Batch(await self._complete([_event_of(change) for change in changes.events]), position)


def _event_of(change: Document) -> RecordEvent:
    document = change.get("fullDocument") or {}
    at = change["clusterTime"].as_datetime()  # whole seconds
    facts: dict[str, Any] = {name: document.get(name) for name in FACTS}
    return RecordEvent(
        change["_id"]["_data"], EventKind(change["ns"]["coll"]), change["documentKey"]["_id"], at=at, **facts
    )


def _case_id_of(event: RecordEvent) -> str | None:
    return event.id if event.kind is EventKind.CASE else event.case_id
