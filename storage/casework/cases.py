"""Store cases.

The transaction that stores a new case also takes its number, so numbers have no gaps. Conditional updates move a case
from state to state. The link between a case and an observation is stored in the observation.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

from schema.casework.assignments import AssignmentState
from schema.casework.case_moves import OPEN
from schema.casework.cases import Case, CaseEvent, CaseState
from schema.casework.notices import OPEN as OPEN_NOTICE
from schema.core.pagination import Page
from schema.fieldwork.observations import Observation, ObservationRevision
from storage.casework.numbers import Numbers
from storage.casework.standing import Acting, StandingLostError
from storage.fieldwork.observations import Observations
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Document, Filter, Mongo, Session, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.filters import NOTHING, all_of, one_of
from storage.mongodb.keyset_pagination import time_and_id
from storage.mongodb.records import Records

SORT: Sort = (("opened_at", DESCENDING), ("_id", DESCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    (SORT, {}),
    ((("office_path", ASCENDING), *SORT), {}),
    ((("unit_id", ASCENDING), *SORT), {}),
    ((("unit_path", ASCENDING), *SORT), {}),
    ((("monitoring_point_id", ASCENDING), *SORT), {}),
    ((("office_id", ASCENDING), ("year", ASCENDING), ("sequence", ASCENDING)), {"unique": True}),
    ((("deadlines.waits_for", ASCENDING),), {"partialFilterExpression": {"deadlines.waits_for": {"$gt": 0}}}),
]

T = TypeVar("T")


class Cases:
    def __init__(self, mongo: Mongo, observations: Observations) -> None:
        self._mongo = mongo
        self._cases = mongo.collection("cases")
        self._records = Records(mongo, "cases", Case)
        self._numbers = Numbers(mongo)
        self._assignments = mongo.collection("assignments")
        self._notices = mongo.collection("notices")
        self._observations = observations

    async def open(
        self,
        office_id: str,
        year: int,
        build_case: Callable[[int], Case],
        observation_ids: Sequence[str],
        evidence: Filter,
    ) -> Case:
        """Take the office's next number of the year, store `build_case(number)`, and link its observations.

        All of this is one transaction. Raise `DuplicateError` if the case's id is taken, and `StandingLostError` if an
        observation does not match `evidence`. No number is used up then.
        """

        async def work(session: Session) -> Case:
            case = build_case(await self._numbers.take("cases", office_id, year, session))
            await self._cases.insert_one(to_document(case), session=session)
            if await self._observations.link(observation_ids, case.id, evidence, session) < len(observation_ids):
                raise StandingLostError
            return case

        return await self._mongo.transact(work)

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Case]:
        """Return the cases that exist and match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    def read_many(self, ids: Sequence[str], visible: Filter) -> Read[list[Case]]:
        """Return what `many` does as a read that can run together with others."""
        return self._records.read(all_of({"_id": {"$in": list(ids)}}, visible))

    async def about(
        self, unit_ids: Sequence[str], point_ids: Sequence[str], in_scope: Filter, granted: Sequence[str], most: int
    ) -> list[Case]:
        """Return cases about the given units and points, newest first.

        For each unit and each point, the result has up to `most` cases that match `in_scope`. It also has every case
        about these units and points whose case id is in `granted`. This is one command with an index range of its own
        for each unit and point. So a unit with many cases does not displace the cases of other units.
        """
        units, points = dict.fromkeys(unit_ids), dict.fromkeys(point_ids)
        subjects = {"$or": [{"unit_id": {"$in": [*units]}}, {"monitoring_point_id": {"$in": [*points]}}]}
        pipeline: list[Document] = [{"$match": all_of({"_id": {"$in": list(granted)}}, subjects)}]
        each_subject = [*({"unit_id": id} for id in units), *({"monitoring_point_id": id} for id in points)]
        for subject in each_subject if in_scope is not NOTHING else ():
            newest = [{"$match": all_of(subject, in_scope)}, {"$sort": dict(SORT)}, {"$limit": most}]
            pipeline.append({"$unionWith": {"coll": "cases", "pipeline": newest}})
        cases = {case.id: case for case in await self._records.aggregate(pipeline)}
        return sorted(cases.values(), key=lambda case: (case.opened_at, case.id), reverse=True)

    async def page(self, filter: Filter, page: Page) -> list[Case]:
        """Return a page of cases, sorted by time of opening, newest first."""
        return await keyset_pagination.fetch(self._records, filter, SORT, page, read=time_and_id)

    async def move(
        self,
        id: str,
        before: Collection[CaseState],
        event: CaseEvent,
        fields: Document,
        acting: Acting,
        condition: Filter,
    ) -> Case | None:
        """Move the case to the event's state and append the event to the history.

        Return None if the case's state is not in `before`, if the case does not match `condition`, or if the history
        already has the event. Raise `StandingLostError` if a holder does not hold the case, and `OpenNoticeError` if the
        case would be closed while it has an open notice.
        """
        closes = event.state is CaseState.CLOSED

        async def work(session: Session = None) -> Case | None:
            if acting.holder_id:
                await self._check_holder(id, acting.holder_id, session)
            if closes:
                await self._check_notices(id, session)
            in_state = {"_id": id, "state": one_of(before), "history.id": {"$ne": event.id}}
            changed = await self._cases.change_one(
                all_of(in_state, acting.office, condition),
                {"$set": {"state": event.state.value, **fields}, "$push": {"history": to_document(event)}},
                session=session,
            )
            return from_document(Case, changed) if changed else None

        return await self._mongo.transact(work) if acting.holder_id or closes else await work()

    async def revise_evidence(
        self, known: Observation, revision: ObservationRevision, placement: Document
    ) -> Observation | None:
        """Append a revision to the observation `known`. Raise `UndoneError` if a case that rests on it has ended.

        Return None if the observation has changed since it was read as `known`. The count is written so that this
        transaction and one that ends the case can't both commit.
        """

        async def work(session: Session) -> Observation | None:
            still_open: Filter = {"_id": {"$in": list(known.case_ids)}, "state": one_of(OPEN)}
            counted = await self._cases.update_many(still_open, {"$inc": {"corrections": 1}}, session=session)
            if counted < len(known.case_ids):
                raise UndoneError
            return await self._observations.revise(known, revision, placement, session)

        if not known.case_ids:
            return await self._observations.revise(known, revision, placement)
        return await self._mongo.transact(work)

    async def append_history(
        self,
        id: str,
        event: Document,
        session: Session,
        *,
        moves: dict[CaseState, CaseState],
        fields: Document,
        within: Collection[CaseState] = tuple(CaseState),
        office: Filter | None = None,
    ) -> Case | None:
        """Append an event to the case's history, within a transaction.

        If the case's state is a key of `moves`, the case moves to the state that is its value. `event` has no state.
        The case's state after the move is filled in. Return None if the case's state before the move is not in
        `within`, or if the case does not match `office`.
        """
        branches = [{"case": {"$eq": ["$state", old.value]}, "then": new.value} for old, new in moves.items()]
        state: Any = {"$switch": {"branches": branches, "default": "$state"}} if branches else "$state"
        literal = {name: {"$literal": value} for name, value in event.items()}
        changed = await self._cases.change_one(
            all_of({"_id": id, "state": one_of(within)}, office or {}),
            [
                {"$set": {"state": state, **{name: {"$literal": value} for name, value in fields.items()}}},
                {"$set": {"history": {"$concatArrays": ["$history", [{**literal, "state": "$state"}]]}}},
            ],
            session=session,
        )
        return from_document(Case, changed) if changed else None

    async def link(
        self, id: str, observation_ids: Sequence[str], event: Document, most: int, acting: Acting, evidence: Filter
    ) -> Case | None:
        """Link those observations that match `evidence`, and append to the history.

        Do nothing and return None if the case has ended or would have more than `most` observations. An event that is
        already in the history changes nothing, even if observations were linked or unlinked since. Raise
        `StandingLostError` if a holder does not hold the case.
        """

        async def work(session: Session) -> Case | None:
            if done := await self._with_event(id, event["id"], session):
                return done
            changed = await self._append_open(id, event, acting, session)
            await self._observations.link(observation_ids, id, evidence, session)
            if await self._observations.count_of_case(id, session) > most:
                raise UndoneError
            return changed

        return await transact_or_undo(self._mongo, work)

    async def unlink(
        self, id: str, observation_ids: Sequence[str], event: Document, acting: Acting, evidence: Filter
    ) -> Case | None:
        """Unlink those observations that match `evidence`, and append to the history.

        Do nothing and return None if the case has ended or would have no observation left. Raise `StandingLostError` if
        a holder does not hold the case.
        """

        async def work(session: Session) -> Case | None:
            if done := await self._with_event(id, event["id"], session):
                return done
            changed = await self._append_open(id, event, acting, session)
            await self._observations.unlink(observation_ids, id, evidence, session)
            if not await self._observations.count_of_case(id, session):
                raise UndoneError
            return changed

        return await transact_or_undo(self._mongo, work)

    async def _append_open(self, id: str, event: Document, acting: Acting, session: Session) -> Case:
        """Append to the history of a case that has not ended. Raise `UndoneError` or `StandingLostError`."""
        if acting.holder_id:
            await self._check_holder(id, acting.holder_id, session)
        changed = await self.append_history(id, event, session, moves={}, fields={}, within=OPEN, office=acting.office)
        if changed is None:
            raise UndoneError
        return changed

    async def _check_holder(self, id: str, holder_id: str, session: Session) -> None:
        """Raise `StandingLostError` if the person has no accepted assignment of the case.

        Whatever ends such an assignment writes the case too. So the transaction that takes a step, and writes the case,
        can't commit together with one that ends the assignment.
        """
        held: Filter = {"case_id": id, "assignee_id": holder_id, "state": AssignmentState.ACCEPTED.value}
        if not await self._assignments.find_one(held, projection={"_id": 1}, session=session):
            raise StandingLostError

    async def _check_notices(self, id: str, session: Session) -> None:
        """Raise `OpenNoticeError` if a notice of the case is open.

        Each step that opens a notice writes the case too. So it can't commit together with one that closes the case.
        """
        waiting: Filter = {"case_id": id, "state": one_of(OPEN_NOTICE)}
        if await self._notices.find_one(waiting, projection={"_id": 1}, session=session):
            raise OpenNoticeError

    async def _with_event(self, id: str, event_id: str, session: Session) -> Case | None:
        """Return the case if its history has the event, otherwise None."""
        return await self._records.find_one({"_id": id, "history.id": event_id}, session=session)


class OpenNoticeError(Exception):
    """A notice of the case waits for the unit or for the office. Nothing was written."""


class UndoneError(Exception):
    """Raised within a transaction to roll it back."""


async def transact_or_undo(mongo: Mongo, work: Callable[[Session], Awaitable[T]]) -> T | None:
    """Run `work` in a transaction. If it raises `UndoneError`, undo everything and return None."""
    try:
        return await mongo.transact(work)
    except UndoneError:
        return None


def keyset_of(case: Case) -> tuple[str, str]:
    return case.opened_at.isoformat(), case.id


def entry_without_state(event: CaseEvent) -> Document:
    """Return the event as a document without `state`. The update that stores the event fills in the case's state."""
    document = to_document(event)
    del document["state"]
    return document
