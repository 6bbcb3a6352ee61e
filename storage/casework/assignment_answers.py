"""Store answers to assignments.

An answer is stored as HELD before it is applied. A conditional update then moves it to SETTLED or REFUSED.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schema.casework.assignment_answers import AnswerState, StoredAnswer
from schema.core.refusals import Refusal
from storage.mongodb.client import ASCENDING, Document, Filter, InsertResult, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("assignment_id", ASCENDING), ("state", ASCENDING)), {}),
    ((("user_id", ASCENDING), ("state", ASCENDING), ("received_at", ASCENDING)), {}),
    ((("state", ASCENDING), ("_id", ASCENDING)), {"partialFilterExpression": {"state": "HELD"}}),
]


class AssignmentAnswers:
    def __init__(self, mongo: Mongo) -> None:
        self._answers = mongo.collection("assignment_answers")

    async def add(self, answers: Sequence[StoredAnswer]) -> InsertResult:
        """Store new answers as HELD. The result lists the ids that were already taken."""
        return await self._answers.insert_many([_document(answer) for answer in answers])

    async def many(self, ids: Sequence[str]) -> list[StoredAnswer]:
        """Return the answers that exist, in any order."""
        return await self._read({"_id": {"$in": list(ids)}}, limit=0)

    async def held_for(self, assignment_ids: Sequence[str]) -> list[StoredAnswer]:
        return await self._read({"assignment_id": {"$in": list(assignment_ids)}, "state": "HELD"}, limit=0)

    async def count_held(self, user_id: str) -> int:
        return await self._answers.count({"user_id": user_id, "state": "HELD"})

    async def held_after(self, id: str, most: int) -> list[StoredAnswer]:
        """Return up to `most` HELD answers of all people, sorted by id, starting after `id`."""
        return await self._read({"state": "HELD", "_id": {"$gt": id}}, limit=most, sort=[("_id", ASCENDING)])

    async def of_person(self, user_id: str, refused_since: datetime, most: int) -> list[StoredAnswer]:
        """Return a person's HELD answers, and answers that waited and were refused after `refused_since`.

        The answers are sorted by time of receipt, oldest first.
        """
        late: Filter = {"state": "REFUSED", "was_held": True, "settled_at": {"$gt": refused_since}}
        wanted: Filter = {"user_id": user_id, "$or": [{"state": "HELD"}, late]}
        return await self._read(wanted, limit=most, sort=[("received_at", ASCENDING), ("_id", ASCENDING)])

    async def settle(self, answer: StoredAnswer, now: datetime, refusal: Refusal | None = None) -> bool:
        """Move a HELD answer to SETTLED or REFUSED. Return False if it is no longer HELD."""
        state = AnswerState.REFUSED if refusal else AnswerState.SETTLED
        fields: Document = {"state": state.value, "settled_at": now, "was_held": answer.received_at != now}
        if refusal:
            fields |= {"refused_as": refusal.code.value, "reason": refusal.message}
        return await self._answers.update_one({"_id": answer.id, "state": "HELD"}, {"$set": fields})

    async def _read(self, filter: Filter, *, limit: int, sort: Sort | None = None) -> list[StoredAnswer]:
        documents = await self._answers.find(filter, limit=limit, sort=sort)
        return [from_document(StoredAnswer, document | {"id": document["_id"]}) for document in documents]


def _document(answer: StoredAnswer) -> Document:
    document = to_document(answer)
    return {"_id": document.pop("id"), **document}
