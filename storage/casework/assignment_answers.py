"""Answers to assignments in MongoDB: stored before anything is done with them, settled by single conditional updates.

What they are done to is in `assignments.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schema.casework.assignment_answers import AnswerState, StoredAnswer
from schema.core.refusals import Refusal
from storage.mongodb.client import ASCENDING, Document, Filter, Inserted, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("assignment_id", ASCENDING), ("state", ASCENDING)), {}),
    ((("user_id", ASCENDING), ("state", ASCENDING), ("received_at", ASCENDING)), {}),
    ((("state", ASCENDING), ("_id", ASCENDING)), {"partialFilterExpression": {"state": "HELD"}}),
]


class AssignmentAnswers:
    def __init__(self, mongo: Mongo) -> None:
        self._answers = mongo.collection("assignment_answers")

    async def add(self, answers: Sequence[StoredAnswer]) -> Inserted:
        """Store each as held; one whose id is taken is left out and named in the answer."""
        return await self._answers.insert_many([_document(each) for each in answers])

    async def many(self, ids: Sequence[str]) -> list[StoredAnswer]:
        """Those of `ids` that there are, in no order."""
        return await self._read({"_id": {"$in": list(ids)}}, limit=0)

    async def held_for(self, assignment_ids: Sequence[str]) -> list[StoredAnswer]:
        return await self._read({"assignment_id": {"$in": list(assignment_ids)}, "state": "HELD"}, limit=0)

    async def count_held(self, user_id: str) -> int:
        return await self._answers.count({"user_id": user_id, "state": "HELD"})

    async def held_after(self, id: str, most: int) -> list[StoredAnswer]:
        """All that is held, by id from `id` on."""
        return await self._read({"state": "HELD", "_id": {"$gt": id}}, limit=most, sort=[("_id", ASCENDING)])

    async def of_person(self, user_id: str, refused_since: datetime, most: int) -> list[StoredAnswer]:
        """What is held of a person, and what was refused after it was held; the longest held first."""
        late: Filter = {"state": "REFUSED", "was_held": True, "settled_at": {"$gt": refused_since}}
        wanted: Filter = {"user_id": user_id, "$or": [{"state": "HELD"}, late]}
        return await self._read(wanted, limit=most, sort=[("received_at", ASCENDING), ("_id", ASCENDING)])

    async def settle(self, answer: StoredAnswer, now: datetime, refusal: Refusal | None = None) -> bool:
        """HELD to SETTLED, or to REFUSED; False where that was done already."""
        state = AnswerState.REFUSED if refusal else AnswerState.SETTLED
        fields: Document = {"state": state.value, "settled_at": now, "was_held": answer.received_at != now}
        if refusal:
            fields |= {"refused_as": refusal.code.value, "reason": refusal.message}
        return await self._answers.update_one({"_id": answer.id, "state": "HELD"}, {"$set": fields})

    async def _read(self, filter: Filter, *, limit: int, sort: Sort | None = None) -> list[StoredAnswer]:
        found = await self._answers.find(filter, limit=limit, sort=sort)
        return [from_document(StoredAnswer, each | {"id": each["_id"]}) for each in found]


def _document(answer: StoredAnswer) -> Document:
    document = to_document(answer)
    return {"_id": document.pop("id"), **document}
