"""Define cases (案件、投诉件).

An officer opens a case from observations. Each office numbers its cases of a year from 1. One person is responsible
for a case, until another person accepts an assignment of the case.
"""

import enum
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.access.permissions import FOLLOWERS, OFFICERS, SEEN, Row, connection
from schema.access.viewers import UNKNOWN_COVERT, UNKNOWN_OPEN, Capacity
from schema.accounts.users import User, load_named, show_time
from schema.casework.deadlines import Deadline
from schema.core.context import Info, Kind
from schema.core.nodes import Node
from schema.evidence.packs import pack_of
from schema.fieldwork.observations import Category, Observation
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit

if TYPE_CHECKING:
    from schema.casework.assignments import Assignment
    from schema.casework.notices import Notice

ASSIGNMENT: "Kind[Assignment]" = Kind("Assignment")
NOTICE: "Kind[Notice]" = Kind("Notice")

MAX_OBSERVATIONS = 500
MAX_CASES = 100
"""Maximum number of cases that one observation is evidence of. Every list of observations reads their ids."""
MAX_TITLE = 200
MAX_SUMMARY = 20_000


@strawberry.enum(description="State of a case (办理状态).")
class CaseState(enum.Enum):
    RECEIVED = strawberry.enum_value("RECEIVED", description="已接收: opened, but not accepted yet.")
    ACCEPTED = strawberry.enum_value("ACCEPTED", description="已受理: the office has accepted the case.")
    DECLINED = strawberry.enum_value(
        "DECLINED", description="不予受理. A move to this state needs a reason and a reply."
    )
    ASSIGNED = strawberry.enum_value("ASSIGNED", description="已交办: offered to a person who has not accepted yet.")
    INVESTIGATING = strawberry.enum_value(
        "INVESTIGATING", description="调查中: the assignee has accepted and investigates."
    )
    RECTIFYING = strawberry.enum_value("RECTIFYING", description="整改中: the fault is being put right.")
    VERIFYING = strawberry.enum_value(
        "VERIFYING", description="核查中: the office verifies that the fault is put right."
    )
    CLOSED = strawberry.enum_value("CLOSED", description="已办结. A move to this state needs an outcome and a reply.")
    REOPENED = strawberry.enum_value("REOPENED", description="重新办理. A move to this state needs a reason.")


@strawberry.enum(description="Outcome of a closed case (办理结果).")
class CaseOutcome(enum.Enum):
    SUBSTANTIATED = strawberry.enum_value("SUBSTANTIATED", description="属实: what was reported is true.")
    PARTLY = strawberry.enum_value("PARTLY", description="部分属实: what was reported is partly true.")
    UNFOUNDED = strawberry.enum_value("UNFOUNDED", description="不属实: what was reported is not true.")
    TRANSFERRED = strawberry.enum_value("TRANSFERRED", description="移送: passed to another authority.")
    WITHDRAWN = strawberry.enum_value("WITHDRAWN", description="撤回: the matter was withdrawn.")


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
    NOTICE_ISSUED = "NOTICE_ISSUED"
    NOTICE_REPLIED = "NOTICE_REPLIED"
    NOTICE_RETURNED = "NOTICE_RETURNED"
    NOTICE_VERIFIED = "NOTICE_VERIFIED"
    NOTICE_WITHDRAWN = "NOTICE_WITHDRAWN"
    DEADLINE_COUNTED = "DEADLINE_COUNTED"


BY_ASSIGNEES = frozenset({CaseEventKind.HAND_OVER_ACCEPTED, CaseEventKind.FINISHED})
"""Events that an inspector may cause. Only supervisors and officers may cause the others."""


@strawberry.type(description="One entry of a case's history (办理记录).")
class CaseEvent:
    id: strawberry.ID = strawberry.field(description="Id of the entry: `evt_` and a UUIDv7.")
    kind: CaseEventKind = strawberry.field(description="What happened.")
    at: strawberry.Private[datetime]
    state: CaseState = strawberry.field(description="State of the case after this event.")
    note: str | None = strawberry.field(
        description="Text that was given with the event: a reason, an instruction or a result.", default=None
    )
    by_id: strawberry.Private[str]
    about_ids: strawberry.Private[tuple[str, ...]] = ()
    sent_sha256: strawberry.Private[str | None] = None
    by_capacity: strawberry.Private[Capacity | None] = None
    """None for events that are older than this field."""

    @property
    def capacity(self) -> Capacity:
        """In which capacity the person caused the event."""
        return self.by_capacity or (UNKNOWN_COVERT if self.kind in BY_ASSIGNEES else UNKNOWN_OPEN)

    @strawberry.field(name="at", description="When it happened.")
    def shown_at(self, info: Info) -> datetime:
        return show_time(info, self.at, self.by_id, self.capacity)

    @strawberry.field(description="The person who caused the event. Null if the viewer must not know this person.")
    async def by(self, info: Info) -> User | None:
        return await load_named(info, self.by_id, self.capacity)


@strawberry.type(
    description="What became of an observation: number, state, outcome and reply of a case that is based on it "
    "(办理情况)."
)
class FollowUp:
    case_number: str = strawberry.field(description="Number of the case (编号).")
    state: CaseState = strawberry.field(description="State of the case (办理状态).")
    outcome: CaseOutcome | None = strawberry.field(
        description="Outcome of the case. Null unless the case is closed (办理结果).", default=None
    )
    reply: str | None = strawberry.field(description="Reply to the person who raised the matter (答复).", default=None)
    closed_at: datetime | None = strawberry.field(
        description="When the case was closed. Null unless the case is closed.", default=None
    )


@strawberry.type(description="A matter that needs a reply and an outcome (案件).")
class Case(Node, prefix="cas"):
    number: str = strawberry.field(
        description="Office code, year and sequence number, such as 360703-XNB-2026-0017 (编号)."
    )
    year: int = strawberry.field(description="Year in the case number. It is the year of opening, in Beijing time.")
    sequence: int = strawberry.field(
        description="Sequence number in the case number. Each office numbers its cases of a year from 1, without gaps."
    )
    title: str = strawberry.field(description="Title of the case (标题).")
    summary: str = strawberry.field(description="Summary of the case (摘要).")
    category: Category = strawberry.field(description="Category of the matter (问题类别).")
    state: CaseState = strawberry.field(description="State of the case (办理状态).")
    opened_at: datetime = strawberry.field(description="When the case was opened (立案时间).")
    closed_at: datetime | None = strawberry.field(
        description="When the case was closed. Null unless the case is closed (办结时间).", default=None
    )
    outcome: CaseOutcome | None = strawberry.field(
        description="Outcome of the case. Null unless the case is closed (办理结果).", default=None
    )
    reply: str | None = strawberry.field(description="Reply to the person who raised the matter (答复).", default=None)
    history: list[CaseEvent] = strawberry.field(description="History of the case, oldest first (办理记录).")
    office_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    first_responder_id: strawberry.Private[str]
    responsible_id: strawberry.Private[str]
    opening_sha256: strawberry.Private[str]
    unit_id: strawberry.Private[str | None] = None
    unit_path: strawberry.Private[str | None] = None
    monitoring_point_id: strawberry.Private[str | None] = None
    deadlines: list[Deadline] = strawberry.field(
        description="Deadlines of the case, oldest first: for its acceptance, and for the whole. Empty for cases that are"
        " older than deadlines (办理期限).",
        default_factory=list,
    )

    @strawberry.field(description="The office that handles the case (承办机构).")
    async def office(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.office_id)

    @strawberry.field(description="The unit that the case is about (涉及单位).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(description="The monitoring point that reported the matter (监测点).")
    async def monitoring_point(self, info: Info) -> MonitoringPoint | None:
        return await info.context.load.one(MonitoringPoint, self.monitoring_point_id)

    @strawberry.field(description="The person who received the matter and opened the case (首问责任人).")
    async def first_responder(self, info: Info) -> User | None:
        return await load_named(info, self.first_responder_id, self._capacity(CaseEventKind.OPENED))

    @strawberry.field(
        description="The person responsible now: at first the first responder, then each person who accepts an "
        "assignment of the case (现责任人)."
    )
    async def responsible(self, info: Info) -> User | None:
        capacity = self._capacity(CaseEventKind.OPENED, CaseEventKind.HAND_OVER_ACCEPTED)
        return await load_named(info, self.responsible_id, capacity)

    def _capacity(self, *kinds: CaseEventKind) -> Capacity:
        """Return in which capacity the person of the latest event of these kinds acted."""
        acts = (event.capacity for event in reversed(self.history) if event.kind in kinds)
        return next(acts, UNKNOWN_COVERT)

    @strawberry.field(
        description="The observations on which the case is based and that the viewer may see, at most 500, oldest "
        "first."
    )
    async def observations(self, info: Info) -> list[Observation]:
        return await info.context.load.related(Observation, case=self.id)

    @strawberry.field(description="Assignments of the case that the viewer may see, oldest first (交办).")
    async def assignments(
        self, info: Info
    ) -> list[Annotated["Assignment", strawberry.lazy("schema.casework.assignments")]]:
        return await info.context.load.related(ASSIGNMENT, case=self)

    @strawberry.field(description="Rectification notices of the case, at most 50, oldest first (整改督办通知书).")
    async def notices(self, info: Info) -> list[Annotated["Notice", strawberry.lazy("schema.casework.notices")]]:
        return await info.context.load.related(NOTICE, case=self.id)

    @strawberry.field(
        description="Other cases about the same unit or from the same monitoring point, at most 20, newest first."
    )
    async def related_cases(self, info: Info) -> list[Annotated["Case", strawberry.lazy("schema.casework.cases")]]:
        about = {"unit": self.unit_id, "monitoring_point": self.monitoring_point_id}
        cases = await info.context.load.related(Case, **about)
        return [case for case in cases if case.id != self.id][:20]

    def is_about(self, unit_id: str | None, monitoring_point_id: str | None) -> bool:
        """Return whether the case is about this unit or from this monitoring point."""
        same_unit = unit_id is not None and self.unit_id == unit_id
        return same_unit or (monitoring_point_id is not None and self.monitoring_point_id == monitoring_point_id)

    def follow_up(self) -> FollowUp:
        """Return what the person who raised the matter may know of the case."""
        return FollowUp(
            case_number=self.number,
            state=self.state,
            outcome=self.outcome,
            reply=self.reply,
            closed_at=self.closed_at,
        )

    pack = strawberry.field(
        resolver=pack_of,
        description="Link to the evidence pack of the case: a ZIP of original files, data, a web page, a PDF report "
        "and a signed manifest (证据包).",
    )


def case_number(office_code: str, year: int, sequence: int) -> str:
    """Return a number such as `360703-XNB-2026-0017`."""
    return f"{office_code}-{year}-{sequence:04d}"


PERMITS: tuple[Row, ...] = (
    ("Query", FOLLOWERS, "case cases"),
    ("Mutation", OFFICERS, "openCase linkObservations unlinkObservations moveCase"),
    ("CasePayload", SEEN, "case"),
    ("Case", SEEN, "id number year sequence title summary category state openedAt closedAt outcome reply history"),
    ("Case", SEEN, "office unit monitoringPoint firstResponder responsible observations assignments"),
    ("Case", SEEN, "relatedCases notices deadlines pack"),
    ("CaseEvent", SEEN, "id kind at state note by"),
    ("FollowUp", SEEN, "caseNumber state outcome reply closedAt"),
    *connection("Case"),
)
