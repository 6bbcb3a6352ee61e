"""Store the sequence of changes. It has one entry per record and topic, with a number.

An entry under a topic that its record no longer has is a tombstone. Only the worker that has the lease adds entries. If
a record changes again, its entries get new numbers at the end of the sequence. So a reader who has read up to a number
has missed no change before it, and reads a record only once even if the record changed many times.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schema.sync.changes import ChangeKind, Progress
from storage.mongodb.client import ASCENDING, Document, Filter, Mongo, Session, Sort
from storage.mongodb.errors import DuplicateError
from storage.mongodb.filters import NOTHING, any_of

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("topic", ASCENDING), ("number", ASCENDING)), {}),
    ((("record_id", ASCENDING),), {}),
    ((("gone_at", ASCENDING),), {"partialFilterExpression": {"gone_at": {"$type": "date"}}}),
]
HEAD_INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("kind", ASCENDING), ("_id", ASCENDING)), {})]
STATE = "state"
FREE = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class RecordState:
    """The state of a record: its topics, and a digest of all that readers may see of the record.

    A deleted record has no topics.
    """

    kind: ChangeKind
    id: str
    topics: frozenset[str] = frozenset()
    digest: str = ""


@dataclass(frozen=True)
class ChangeEntry:
    """An entry of the sequence, without its topic. It says that the record may have changed."""

    kind: ChangeKind
    record_id: str
    number: int


@dataclass(frozen=True)
class ChangeSequence:
    """The state of the sequence.

    `epoch` is its name, which changes if all phones must start from the beginning. `last` is the last number.
    Tombstones with numbers up to `horizon` may be deleted. All changes written before `as_of` are entered. `token` is
    the saved position in MongoDB's change stream.
    """

    epoch: str
    last: int
    horizon: int
    as_of: datetime | None
    token: Document | None


class LeaseLostError(Exception):
    """Raised if another process has the lease. Nothing was written."""


class Changes:
    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._entries = mongo.collection("changes")
        self._heads = mongo.collection("change_heads")
        self._state = mongo.collection("change_state")

    async def sequence(self) -> ChangeSequence | None:
        """Return the state of the sequence, or None if no worker has ever started the sequence."""
        state = await self._state.find_one({"_id": STATE})
        return _sequence(state) if state else None

    async def forget(self) -> None:
        """Forget the state of the sequence. The next worker starts another one, and the cursors of all phones expire."""
        await self._state.delete_many({"_id": STATE})

    async def claim(self, holder: str, now: datetime, until: datetime) -> ChangeSequence | None:
        """Take or renew the lease, until `until`. Return None if another worker has the lease."""
        filter: Filter = {"_id": STATE, "$or": [{"holder": holder}, {"until": {"$lte": now}}]}
        beginning = {"epoch": secrets.token_urlsafe(9), "last": 0, "horizon": 0, "as_of": None, "token": None}
        update: Document = {"$set": {"holder": holder, "until": until}, "$setOnInsert": beginning}
        try:
            claimed = await self._state.change_one(filter, update, upsert=True)
        except DuplicateError:
            return None
        return _sequence(claimed) if claimed else None

    async def release(self, holder: str) -> None:
        """Give up the lease, so that another worker can take it at once."""
        await self._state.update_one({"_id": STATE, "holder": holder}, {"$set": {"holder": None, "until": FREE}})

    async def restart(self, holder: str) -> None:
        """Give the sequence a new `epoch`, so that the cursors of all phones expire.

        Raise `LeaseLostError` if another worker has the lease.
        """
        renamed = {"epoch": secrets.token_urlsafe(9), "token": None}
        if not await self._state.update_one({"_id": STATE, "holder": holder}, {"$set": renamed}):
            raise LeaseLostError

    async def enter(
        self,
        holder: str,
        records: Iterable[RecordState],
        *,
        token: Document | None,
        as_of: datetime | None,
        until: datetime,
    ) -> int:
        """Add entries for the records that differ from their last entry, and save the position in the change stream.

        This is one transaction, which also renews the lease until `until`. Return how many records differed. Raise
        `LeaseLostError` if another worker has the lease.
        """
        by_id = {record.id: record for record in records}

        async def work(session: Session) -> int:
            documents = await self._heads.find({"_id": {"$in": list(by_id)}}, session=session)
            heads = {head["_id"]: head for head in documents}
            changed = [record for record in by_id.values() if _differs(record, heads.get(record.id))]
            update: Document = {"$set": {"token": token, "until": until}, "$inc": {"last": len(changed)}}
            if as_of:
                # The clocks of workers differ. If a later time is stored already, it is true and stays.
                update["$max"] = {"as_of": as_of}
            state = await self._state.change_one({"_id": STATE, "holder": holder}, update, session=session)
            if state is None:
                raise LeaseLostError
            first = state["last"] - len(changed) + 1
            entries = [
                entry
                for number, record in enumerate(changed, start=first)
                for entry in _entries(record, heads.get(record.id), number, as_of or until)
            ]
            await self._entries.upsert_many(entries, session=session)
            await self._heads.upsert_many([_head(record) for record in changed], session=session)
            return len(changed)

        return await self._mongo.transact(work)

    async def read(self, progress: Progress, topics: Sequence[str], last: int, most: int) -> list[ChangeEntry]:
        """Return the next `most` unread entries with numbers up to `last`, sorted by number.

        These are entries of `topics`, and of topics that the viewer no longer has. While this reads, an entry up to
        `last` can only get a new number after `last`. A concurrent write may be visible under one topic and not yet
        under another, but it adds only numbers after `last`.
        """
        filter = self.unread_filter(progress, topics, last)
        if filter is NOTHING:
            return []
        documents = await self._entries.find(filter, sort=[("number", ASCENDING)], limit=most)
        return [
            ChangeEntry(ChangeKind(document["kind"]), document["record_id"], document["number"])
            for document in documents
        ]

    @staticmethod
    def unread_filter(progress: Progress, topics: Sequence[str], last: int) -> Filter:
        """Return the filter of unread entries. It is one index range per topic, which MongoDB merges by number.

        Topics that are read up to `last` are left out.
        """
        read = ((topic, progress.read[topic]) for topic in topics)
        there = [_between(topic, number, last, fresh=True) for topic, number in read if number < last]
        leaving = progress.leaving_now.items()
        gone = [_between(topic, number, last) for topic, number in leaving if number < last]
        return any_of(*there, *gone)

    async def head_ids(self, kind: ChangeKind, after: str, most: int) -> list[str]:
        """Return up to `most` ids of the records of a kind in the sequence, sorted, starting after `after`."""
        filter: Filter = {"kind": kind.value, "_id": {"$gt": after}}
        documents = await self._heads.find(filter, sort=[("_id", ASCENDING)], limit=most, projection={"_id": 1})
        return [document["_id"] for document in documents]

    async def delete_tombstones(self, before: datetime, most: int = 10_000) -> int:
        """Delete up to `most` tombstones that were written before `before`, oldest first. Return how many.

        The cursors of phones that have not read the deleted tombstones expire.
        """
        filter: Filter = {"gone_at": {"$lt": before}}
        documents = await self._entries.find(
            filter, sort=[("gone_at", ASCENDING)], limit=most, projection={"number": 1}
        )
        if documents:
            # Raise the horizon first: a phone that reads between the two writes starts again, so it misses nothing.
            horizon = max(document["number"] for document in documents)
            await self._state.update_one({"_id": STATE}, {"$max": {"horizon": horizon}})
            await self._entries.delete_many({"_id": {"$in": [document["_id"] for document in documents]}, **filter})
        return len(documents)


def _sequence(state: Document) -> ChangeSequence:
    return ChangeSequence(state["epoch"], state["last"], state["horizon"], state["as_of"], state["token"])


def _between(topic: str, number: int, last: int, *, fresh: bool = False) -> Document:
    """Return a filter for a topic's entries after `number`, up to `last`.

    With `fresh` and `number` 0, tombstones are left out, because a phone that has read nothing of the topic does not
    need them.
    """
    return {"topic": topic, "number": {"$gt": number, "$lte": last}} | (
        {"gone_at": None} if fresh and not number else {}
    )


def _differs(record: RecordState, head: Mapping[str, Any] | None) -> bool:
    if head is None:
        return bool(record.topics)
    return head["digest"] != record.digest or set(head["topics"]) != record.topics


def _entries(
    record: RecordState, head: Mapping[str, Any] | None, number: int, at: datetime
) -> Iterable[tuple[Filter, Document]]:
    """Yield an entry for each topic of the record, and a tombstone for each topic that the record no longer has.

    If only the topics differ, yield none for the topics that stay: their readers see the same as before, and must not
    learn that others gained or lost the record. Each is a pair of filter and update. `head` is what was last entered for
    the record.
    """
    before = frozenset(head["topics"]) if head else frozenset()
    is_same = head is not None and head["digest"] == record.digest
    for topic in sorted(record.topics ^ before if is_same else record.topics | before):
        entry = {
            "topic": topic,
            "kind": record.kind.value,
            "record_id": record.id,
            "number": number,
            "gone_at": None if topic in record.topics else at,
        }
        yield {"_id": f"{topic} {record.id}"}, {"$set": entry}


def _head(record: RecordState) -> tuple[Filter, Document]:
    head = {"kind": record.kind.value, "digest": record.digest, "topics": sorted(record.topics)}
    return {"_id": record.id}, {"$set": head}
