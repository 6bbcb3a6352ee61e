"""Store assignments. Each step changes the assignment and, if it has one, its case in one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schema.casework.assignment_notes import MAX_EDITS_KEPT, NoteEdit
from schema.casework.assignments import Assignment, AssignmentState, states_before
from schema.casework.case_moves import ASSIGNABLE
from schema.casework.cases import CaseState
from schema.core.pagination import Page
from storage.access.visibility import OPENS_CASE
from storage.casework.cases import Cases, UndoneError, transact_or_undo
from storage.casework.standing import Acting, StandingLostError
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Document, Filter, Mongo, Session, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.filters import all_of, one_of
from storage.mongodb.keyset_pagination import time_and_id
from storage.mongodb.records import Records

SORT: Sort = (("offered_at", DESCENDING), ("_id", DESCENDING))
BY_OFFER: Sort = (("offered_at", ASCENDING),)
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("assignee_id", ASCENDING), *SORT), {}),
    ((("office_path", ASCENDING), *SORT), {}),
    ((("case_id", ASCENDING), ("offered_at", ASCENDING)), {}),
    # Covers `select_granted_cases`.
    ((("assignee_id", ASCENDING), ("state", ASCENDING), ("case_id", ASCENDING)), {}),
    ((("note_edits.id", ASCENDING),), {"partialFilterExpression": {"note_edits.id": {"$exists": True}}}),
]
ON_OFFER = {CaseState.ACCEPTED: CaseState.ASSIGNED, CaseState.REOPENED: CaseState.ASSIGNED}
ON_ACCEPTANCE = {CaseState.ASSIGNED: CaseState.INVESTIGATING}


class Assignments:
    def __init__(self, mongo: Mongo, cases: Cases) -> None:
        self._mongo = mongo
        self._assignments = mongo.collection("assignments")
        self._records = Records(mongo, "assignments", Assignment)
        self._cases = cases

    async def offer(self, assignment: Assignment, event: Document, acting: Acting) -> Assignment | None:
        """Store an offer and append `event` to the case's history. Return None if the case's state forbids assignment.

        Raise `DuplicateError` if the id is taken, and `StandingLostError` if the person who offers does not hold the
        assignment that the offer hands on.
        """

        async def work(session: Session) -> Assignment:
            if acting.holder_id:
                await self._hold(assignment.handed_on_from_id, acting.holder_id, session)
            await self._assignments.insert_one(to_document(assignment), session=session)
            if assignment.case_id:
                await self._append_history(
                    assignment.case_id, event, session, moves=ON_OFFER, fields={}, office=acting.office
                )
            return assignment

        return await transact_or_undo(self._mongo, work)

    async def accept(self, id: str, now: datetime, event: Document) -> Assignment | None:
        """Move OFFERED to ACCEPTED, and make the assignee responsible for the case.

        If the offer hands on an earlier assignment, the earlier assignment ends. Return None if the offer is not
        OFFERED, if the earlier assignment has already ended, or if the case has ended. An accepted assignment may have
        several open offers to hand it on. Only one of these offers can be accepted.
        """

        async def work(session: Session) -> Assignment | None:
            fields: Document = {"accepted_at": now}
            capacity = event.get("by_capacity")
            if capacity and capacity["is_covert"]:  # the assignee may have become covert since the offer
                fields["assignee_capacity"] = capacity
            accepted = await self._move(id, AssignmentState.ACCEPTED, fields, session)
            if accepted is None:
                return None
            before = accepted.handed_on_from_id
            if before and not await self._move(before, AssignmentState.HANDED_ON, {"ended_at": now}, session):
                raise UndoneError
            if accepted.case_id:
                responsible = {"responsible_id": accepted.assignee_id}
                await self._append_history(
                    accepted.case_id, event, session, moves=ON_ACCEPTANCE, fields=responsible, office={}
                )
            return accepted

        return await transact_or_undo(self._mongo, work)

    async def finish(self, id: str, now: datetime, event: Document, *, result: str) -> Assignment | None:
        """Move the assignment to FINISHED. Return None if the assignment's state does not allow this."""

        async def work(session: Session) -> Assignment | None:
            ended = await self._move(id, AssignmentState.FINISHED, {"ended_at": now, "result": result}, session)
            if ended and ended.case_id:
                await self._cases.append_history(ended.case_id, event, session, moves={}, fields={})
            return ended

        return await self._mongo.transact(work)

    async def withdraw(self, id: str, now: datetime, event: Document, acting: Acting) -> Assignment | None:
        """Move the assignment to WITHDRAWN. Return None if the assignment's state does not allow this.

        Raise `StandingLostError` if a holder withdraws something else than an offer to hand on what the holder holds.
        """

        async def work(session: Session) -> Assignment | None:
            ended = await self._move(id, AssignmentState.WITHDRAWN, {"ended_at": now}, session, acting.office)
            if ended and acting.holder_id:
                await self._hold(ended.handed_on_from_id, acting.holder_id, session)
            if ended and ended.case_id:
                await self._cases.append_history(ended.case_id, event, session, moves={}, fields={})
            return ended

        return await self._mongo.transact(work)

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Assignment]:
        """Return the assignments that exist and match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    def read_many(self, ids: Sequence[str], visible: Filter) -> Read[list[Assignment]]:
        """Return what `many` does as a read that can run together with others."""
        return self._records.read(all_of({"_id": {"$in": list(ids)}}, visible))

    async def of_cases(self, case_ids: Sequence[str], visible: Filter) -> list[Assignment]:
        """Return the assignments of the cases that match `visible`, oldest first."""
        of_cases: Filter = {"case_id": {"$in": list(case_ids)}}
        return await self._records.find(all_of(of_cases, visible), sort=BY_OFFER)

    def read_of_cases(self, case_ids: Sequence[str]) -> Read[list[Assignment]]:
        """Return a read of all assignments of the cases."""
        return self._records.read({"case_id": {"$in": list(case_ids)}}, sort=BY_OFFER)

    async def by_edit(self, edit_ids: Sequence[str], visible: Filter) -> dict[str, Assignment]:
        """Return the assignments that contain these edits, as a dict from edit id to assignment."""
        assignments = await self._records.find(all_of({"note_edits.id": {"$in": list(edit_ids)}}, visible))
        return {
            edit.id: assignment for assignment in assignments for edit in assignment.note_edits if edit.id in edit_ids
        }

    async def append_edit(self, id: str, edit: NoteEdit, visible: Filter) -> Assignment | None:
        """Append an edit to an assignment. Return None if nothing was appended.

        That is so if the assignment already contains the edit, has too many edits, or does not match `visible`.
        """
        free: Filter = {
            "_id": id,
            "note_edits.id": {"$ne": edit.id},
            f"note_edits.{MAX_EDITS_KEPT - 1}": {"$exists": False},
        }
        changed = await self._assignments.change_one(
            all_of(free, visible), {"$push": {"note_edits": to_document(edit)}}
        )
        return from_document(Assignment, changed) if changed else None

    def read_granted_cases(self, user_id: str) -> Read[list[str]]:
        """Return a read of the ids of the cases that an assignment opens to the person."""
        opening: Filter = {"assignee_id": user_id, "case_id": {"$ne": None}, **OPENS_CASE}
        return self._records.read_values("case_id", opening)

    async def page(self, filter: Filter, page: Page) -> list[Assignment]:
        """Return a page of assignments, sorted by time of offer, newest first."""
        return await keyset_pagination.fetch(self._records, filter, SORT, page, read=time_and_id)

    async def _append_history(
        self,
        case_id: str,
        event: Document,
        session: Session,
        *,
        moves: dict[CaseState, CaseState],
        fields: Document,
        office: Filter,
    ) -> None:
        """Append to the case's history. Raise `UndoneError` if the case's state forbids assignment."""
        if not await self._cases.append_history(
            case_id, event, session, moves=moves, fields=fields, within=ASSIGNABLE, office=office
        ):
            raise UndoneError

    async def _hold(self, id: str | None, holder_id: str, session: Session) -> None:
        """Raise `StandingLostError` if the person does not hold this assignment.

        The count is written so that this transaction and one that ends the assignment can't both commit.
        """
        held: Filter = {"_id": id, "assignee_id": holder_id, "state": AssignmentState.ACCEPTED.value}
        if not await self._assignments.update_one(held, {"$inc": {"holder_steps": 1}}, session=session):
            raise StandingLostError

    async def _move(
        self, id: str, to: AssignmentState, fields: Document, session: Session, office: Filter | None = None
    ) -> Assignment | None:
        before: Filter = {"_id": id, "state": one_of(states_before(to))}
        changed = await self._assignments.change_one(
            all_of(before, office or {}), {"$set": {"state": to.value, **fields}}, session=session
        )
        return from_document(Assignment, changed) if changed else None


def keyset_of(assignment: Assignment) -> tuple[str, str]:
    return assignment.offered_at.isoformat(), assignment.id
