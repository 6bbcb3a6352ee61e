"""Store rectification notices. Each step changes the notice and the history of its case in one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from schema.casework.cases import CaseState
from schema.casework.notices import OPEN, Notice, NoticeEvent, NoticeState, states_before
from schema.core.pagination import Page
from schema.media.media import Media
from storage.casework.cases import Cases, UndoneError, transact_or_undo
from storage.casework.numbers import Numbers
from storage.media.media import MediaRecords
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Document, Filter, Mongo, Session, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.filters import all_of, one_of
from storage.mongodb.keyset_pagination import time_and_id
from storage.mongodb.records import Records

SORT: Sort = (("issued_at", DESCENDING), ("_id", DESCENDING))
BY_ISSUE: Sort = (("issued_at", ASCENDING), ("_id", ASCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("office_path", ASCENDING), *SORT), {}),
    ((("unit_path", ASCENDING), *SORT), {}),
    ((("case_id", ASCENDING), *BY_ISSUE), {}),
    ((("office_id", ASCENDING), ("year", ASCENDING), ("sequence", ASCENDING)), {"unique": True}),
]
ISSUABLE = frozenset({CaseState.INVESTIGATING, CaseState.RECTIFYING, CaseState.VERIFYING})
"""States of a case in which a notice may be issued: the matter has been looked into, and has not ended."""
ON_ISSUE = {CaseState.INVESTIGATING: CaseState.RECTIFYING, CaseState.VERIFYING: CaseState.RECTIFYING}
ON_LAST_REPLY = {CaseState.RECTIFYING: CaseState.VERIFYING}
ANSWERED = frozenset({NoticeState.REPLIED, NoticeState.VERIFIED})
ON_RETURN = {CaseState.VERIFYING: CaseState.RECTIFYING}


class Notices:
    def __init__(self, mongo: Mongo, cases: Cases, media: MediaRecords) -> None:
        self._mongo = mongo
        self._notices = mongo.collection("notices")
        self._records = Records(mongo, "notices", Notice)
        self._numbers = Numbers(mongo)
        self._cases = cases
        self._media = media

    async def issue(
        self,
        office_id: str,
        year: int,
        build_notice: Callable[[int], Notice],
        event: Document,
        office: Filter,
        most: int,
    ) -> Notice | None:
        """Take the office's next number of the year, store `build_notice(number)`, and move its case to RECTIFYING.

        Do nothing and return None if the case's state allows no notice, if the case does not match `office`, or if it
        would have more than `most` notices. Raise `DuplicateError` if the notice's id is taken.
        """

        async def work(session: Session) -> Notice:
            notice = build_notice(await self._numbers.take("notices", office_id, year, session))
            await self._notices.insert_one(to_document(notice), session=session)
            if not await self._cases.append_history(
                notice.case_id, event, session, moves=ON_ISSUE, fields={}, within=ISSUABLE, office=office
            ):
                raise UndoneError
            of_case = {"$match": {"case_id": notice.case_id}}
            if len(await self._notices.aggregate([of_case, {"$project": {"_id": 1}}], session=session)) > most:
                raise UndoneError
            return notice

        return await transact_or_undo(self._mongo, work)

    async def step(
        self,
        id: str,
        event: NoticeEvent,
        fields: Document,
        condition: Filter,
        case_event: Document | None,
        evidence: Sequence[Media],
        sweep_at: datetime,
    ) -> Notice | None:
        """Move the notice to the event's state, and append `case_event`, if given, to the history of its case.

        The case is in VERIFYING when a notice of it has a reply and no other waits for one, and back in RECTIFYING when
        a reply is returned. `evidence` are new media that the event names. They are stored only together with it.

        Return None if the notice's state forbids the step, if it does not match `condition`, or if the history already
        has the event. Raise `DuplicateError` if the id of a medium is taken.
        """
        before: Filter = {
            "_id": id,
            "state": one_of(states_before(event.state)),
            "history.id": {"$ne": event.id},
        }
        update: Document = {
            "$set": {"state": event.state.value, **fields},
            "$push": {"history": to_document(event)},
            "$inc": {"returns": int(event.state is NoticeState.RETURNED)},
        }

        async def work(session: Session = None) -> Notice | None:
            changed = await self._notices.change_one(all_of(before, condition), update, session=session)
            if changed is None:
                return None
            notice = from_document(Notice, changed)
            if evidence:
                await self._media.insert_named(evidence, sweep_at, session)
            if case_event is not None:
                moves = await self._moves(notice, session)
                if not await self._cases.append_history(notice.case_id, case_event, session, moves=moves, fields={}):
                    raise UndoneError
            return notice

        return await work() if case_event is None else await transact_or_undo(self._mongo, work)

    async def _moves(self, notice: Notice, session: Session) -> dict[CaseState, CaseState]:
        """Return the moves of the case that follow from the notice's new state."""
        if notice.state is NoticeState.RETURNED:
            return ON_RETURN
        others = await self._notices.find({"case_id": notice.case_id}, projection={"state": 1}, session=session)
        states = {NoticeState(other["state"]) for other in others}
        is_answered = not states.isdisjoint(ANSWERED) and states.isdisjoint(OPEN - ANSWERED)
        return ON_LAST_REPLY if is_answered else {}

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Notice]:
        """Return the notices that exist and match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    def read_many(self, ids: Sequence[str], visible: Filter) -> Read[list[Notice]]:
        """Return what `many` does as a read that can run together with others."""
        return self._records.read(all_of({"_id": {"$in": list(ids)}}, visible))

    def read_of_cases(self, case_ids: Sequence[str]) -> Read[list[Notice]]:
        """Return a read of all notices of the cases, oldest first."""
        return self._records.read({"case_id": {"$in": list(case_ids)}}, sort=BY_ISSUE)

    async def page(self, filter: Filter, page: Page) -> list[Notice]:
        """Return a page of notices, sorted by time of issue, newest first."""
        return await keyset_pagination.fetch(self._records, filter, SORT, page, read=time_and_id)


def keyset_of(notice: Notice) -> tuple[str, str]:
    return notice.issued_at.isoformat(), notice.id
