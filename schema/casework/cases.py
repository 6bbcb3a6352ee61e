"""Cases (案件、投诉件): opened from observations, numbered per office and year, answered for by one person until another accepts.

Assignments are in `assignments.py`; deadlines, rectification and measures are nouns of their own.
"""

import enum
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.accounts.users import User
from schema.casework.follow_ups import CaseOutcome, CaseState, FollowUp
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.evidence.packs import pack_of
from schema.fieldwork.observations import Category, Observation
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit

if TYPE_CHECKING:
    from schema.casework.assignments import Assignment

MAX_OBSERVATIONS = 500
MAX_TITLE = 200
MAX_SUMMARY = 20_000
MAX_REASON = 2_000
MAX_REPLY = 20_000


S = CaseState
MOVES: dict[CaseState, frozenset[CaseState]] = {
    S.RECEIVED: frozenset({S.ACCEPTED, S.DECLINED}),
    S.ACCEPTED: frozenset({S.ASSIGNED}),
    S.DECLINED: frozenset(),
    S.ASSIGNED: frozenset({S.INVESTIGATING}),
    S.INVESTIGATING: frozenset({S.RECTIFYING, S.CLOSED}),
    S.RECTIFYING: frozenset({S.VERIFYING}),
    S.VERIFYING: frozenset({S.RECTIFYING, S.CLOSED}),
    S.CLOSED: frozenset({S.REOPENED}),
    S.REOPENED: frozenset({S.ASSIGNED}),
}
"""The case's life as the domain draws it; storage moves a case only from the states listed for its target."""

ASSIGNABLE = frozenset(S) - {S.RECEIVED, S.DECLINED, S.CLOSED}
"""States in which a case may be given to somebody: accepted first, and not over."""

OPEN = frozenset(S) - {S.DECLINED, S.CLOSED}


@strawberry.enum(description="What happened to a case.")
class CaseEventKind(enum.Enum):
    OPENED = "OPENED"
    MOVED = "MOVED"
    LINKED = "LINKED"
    UNLINKED = "UNLINKED"
    ASSIGNED = "ASSIGNED"
    HAND_OVER_ACCEPTED = "HAND_OVER_ACCEPTED"
    HANDED_ON = "HANDED_ON"
    FINISHED = "FINISHED"
    WITHDRAWN = "WITHDRAWN"


@strawberry.type(description="One entry of a case's history (办理记录).")
class CaseEvent:
    id: strawberry.ID = strawberry.field(description="evt_ and a UUIDv7.")
    kind: CaseEventKind = strawberry.field(description="What happened.")
    at: datetime = strawberry.field(description="When.")
    state: CaseState = strawberry.field(description="The case's state afterwards.")
    note: str | None = strawberry.field(description="Reason or remark.", default=None)
    by_id: strawberry.Private[str]
    about_ids: strawberry.Private[tuple[str, ...]] = ()
    sent_sha256: strawberry.Private[str | None] = None

    @strawberry.field(description="Who did it, where the viewer may know.")
    async def by(self, info: Info) -> User | None:
        return await info.context.links.user(self.by_id)


@strawberry.type(description="A matter that must get a reply and an outcome (案件).")
class Case(Node):
    number: str = strawberry.field(description="Such as 360703-XNB-2026-0017: office, year, running number (编号).")
    year: int = strawberry.field(description="Year of the number, Beijing time.")
    sequence: int = strawberry.field(description="Running number of the office in that year, without gaps.")
    title: str = strawberry.field(description="Title (标题).")
    summary: str = strawberry.field(description="Summary (摘要).")
    category: Category = strawberry.field(description="What it is about (问题类别).")
    state: CaseState = strawberry.field(description="How far it has come (办理状态).")
    opened_at: datetime = strawberry.field(description="When it was opened (立案时间).")
    closed_at: datetime | None = strawberry.field(description="When it was closed (办结时间).", default=None)
    outcome: CaseOutcome | None = strawberry.field(description="What it came to (办理结果).", default=None)
    reply: str | None = strawberry.field(description="What whoever raised it was told (答复).", default=None)
    history: list[CaseEvent] = strawberry.field(description="What happened to it, the first first (办理记录).")
    office_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    first_responder_id: strawberry.Private[str]
    responsible_id: strawberry.Private[str]
    opening_sha256: strawberry.Private[str]
    unit_id: strawberry.Private[str | None] = None
    unit_path: strawberry.Private[str | None] = None
    monitoring_point_id: strawberry.Private[str | None] = None

    @strawberry.field(description="The office that runs it (承办机构).")
    async def office(self, info: Info) -> Unit | None:
        return await info.context.links.unit(self.office_id)

    @strawberry.field(description="The unit that it is about (涉及单位).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.links.unit(self.unit_id) if self.unit_id else None

    @strawberry.field(description="The monitoring point that it came from (监测点).")
    async def monitoring_point(self, info: Info) -> MonitoringPoint | None:
        return await info.context.links.monitoring_point(self.monitoring_point_id) if self.monitoring_point_id else None

    @strawberry.field(description="Who first received it (首问责任人).")
    async def first_responder(self, info: Info) -> User | None:
        return await info.context.links.user(self.first_responder_id)

    @strawberry.field(description="Who answers for it now: the first responder until another accepts (现责任人).")
    async def responsible(self, info: Info) -> User | None:
        return await info.context.links.user(self.responsible_id)

    @strawberry.field(description="The observations that it rests on, at most 500, oldest first.")
    async def observations(self, info: Info) -> list[Observation]:
        return await info.context.links.observations_of_case(self.id)

    @strawberry.field(description="To whom it was given, oldest first (交办).")
    async def assignments(
        self, info: Info
    ) -> list[Annotated["Assignment", strawberry.lazy("schema.casework.assignments")]]:
        return await info.context.links.assignments_of_case(self.id)

    @strawberry.field(description="Other cases of the same unit or monitoring point, newest first, at most 20.")
    async def related_cases(self, info: Info) -> list[Annotated["Case", strawberry.lazy("schema.casework.cases")]]:
        found = await info.context.links.cases_about(self.unit_id, self.monitoring_point_id)
        return [case for case in found if case.id != self.id][:20]

    def is_about(self, unit_id: str | None, monitoring_point_id: str | None) -> bool:
        """Whether it is of that unit or monitoring point."""
        same_unit = unit_id is not None and self.unit_id == unit_id
        return same_unit or (monitoring_point_id is not None and self.monitoring_point_id == monitoring_point_id)

    def follow_up(self) -> FollowUp:
        """What whoever raised it is told."""
        return FollowUp(
            case_number=self.number,
            state=self.state,
            outcome=self.outcome,
            reply=self.reply,
            closed_at=self.closed_at,
        )

    pack = strawberry.field(
        resolver=pack_of,
        description="An evidence pack of it and all it rests on: a ZIP of originals, data, pages and a signed manifest (证据包).",
    )


def case_number(office_code: str, year: int, sequence: int) -> str:
    """`360703-XNB-2026-0017`."""
    return f"{office_code}-{year}-{sequence:04d}"


def states_before(target: CaseState) -> frozenset[CaseState]:
    """From which states a case may come to `target`."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)


def check_move(target: CaseState, *, reason: str | None, outcome: CaseOutcome | None, reply: str | None) -> None:
    """What a move must bring along (rule 1): raises `Refusal(BAD_INPUT)` naming what is missing or too long."""
    for field, text, most in (("reason", reason, MAX_REASON), ("reply", reply, MAX_REPLY)):
        if text is not None and len(text) > most:
            raise Refusal(RefusalCode.BAD_INPUT, f"At most {most} characters.", field=field)
    reason, reply = (reason or "").strip(), (reply or "").strip()
    needs: dict[CaseState, tuple[tuple[str, object, str], ...]] = {
        CaseState.DECLINED: (("reason", reason, "a reason"), ("reply", reply, "a reply to whoever raised it")),
        CaseState.CLOSED: (("outcome", outcome, "an outcome"), ("reply", reply, "a reply to whoever raised it")),
        CaseState.REOPENED: (("reason", reason, "a reason"),),
    }
    for field, given, wording in needs.get(target, ()):
        if not given:
            raise Refusal(RefusalCode.BAD_INPUT, f"{target.value} needs {wording}.", field=field)
