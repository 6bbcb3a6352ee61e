"""Define observations (巡查记录、监测反映、投诉).

An observation is evidence of one thing seen or reported. It is never edited. Instead, a correction adds a revision.
"""

import enum
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.access.guards import ExaminersOnly, IdentityOnly
from schema.access.permissions import AUTHORS, CLEARED, EXAMINERS, READERS, SEEN, Row, connection
from schema.access.viewers import Owner, Role
from schema.accounts.users import User
from schema.core.context import Info, Kind
from schema.core.nodes import Node
from schema.core.times import to_minute
from schema.evidence.packs import pack_of
from schema.fieldwork import receipts
from schema.fieldwork.receipts import Receipt
from schema.geography.positions import Datum, GeoPoint
from schema.media.media import ARRIVED, Media
from schema.media.shown_times import Clocks, ShownTime, TimeSource, time_of_observation
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit

if TYPE_CHECKING:
    from schema.casework.assignments import Assignment
    from schema.casework.cases import Case, FollowUp
    from schema.checks.flags import Flag

ASSIGNMENT: "Kind[Assignment]" = Kind("Assignment")
CASE: "Kind[Case]" = Kind("Case")
FLAG: "Kind[Flag]" = Kind("Flag")
FOLLOW_UP: "Kind[FollowUp]" = Kind("FollowUp")


@strawberry.enum(description="Method of observation (方式).")
class Method(enum.Enum):
    PATROL = strawberry.enum_value("PATROL", description="作风巡查: watch how staff work.")
    TRACKED_SERVICE = strawberry.enum_value("TRACKED_SERVICE", description="跟踪办事: follow a real applicant.")
    SIMULATED_SERVICE = strawberry.enum_value("SIMULATED_SERVICE", description="模拟办事: pose as an applicant.")
    SPECIAL_CHECK = strawberry.enum_value("SPECIAL_CHECK", description="专项检查: check one special subject.")
    MONITOR_REPORT = strawberry.enum_value("MONITOR_REPORT", description="监测反映: a report from a monitoring point.")
    COMPLAINT = strawberry.enum_value("COMPLAINT", description="投诉: a complaint by a citizen or an enterprise.")


@strawberry.enum(description="Category of what was seen (问题类别).")
class Category(enum.Enum):
    ABSENCE = strawberry.enum_value("ABSENCE", description="违反上下班纪律: staff absent or late.")
    GAMES = strawberry.enum_value("GAMES", description="上网玩游戏: playing games online at work.")
    STOCK_TRADING = strawberry.enum_value("STOCK_TRADING", description="炒股: trading stocks at work.")
    CHATTING = strawberry.enum_value("CHATTING", description="串岗聊天: leaving the post to chat.")
    INACTION = strawberry.enum_value("INACTION", description="不作为: not doing what duty requires.")
    MISCONDUCT = strawberry.enum_value("MISCONDUCT", description="乱作为: using powers wrongly.")
    SLOW = strawberry.enum_value("SLOW", description="办事效率低: slow work.")
    RUDE = strawberry.enum_value("RUDE", description="服务态度差（门难进、脸难看、话难听、事难办）")
    SOLICITING = strawberry.enum_value("SOLICITING", description="吃拿卡要: asking for meals, gifts or favours.")
    ARBITRARY_FEES = strawberry.enum_value("ARBITRARY_FEES", description="乱收费: unlawful fees.")
    ARBITRARY_FINES = strawberry.enum_value("ARBITRARY_FINES", description="乱罚款: unlawful fines.")
    ARBITRARY_INSPECTION = strawberry.enum_value("ARBITRARY_INSPECTION", description="乱检查: unlawful inspections.")
    FORCED_CONTRIBUTIONS = strawberry.enum_value("FORCED_CONTRIBUTIONS", description="乱摊派: forced payments.")
    BROKEN_PROMISE = strawberry.enum_value("BROKEN_PROMISE", description="失信失诺: a promise was not kept.")
    WITHHELD_FUNDS = strawberry.enum_value("WITHHELD_FUNDS", description="资金滞留: holding back funds that are due.")
    GOOD_PRACTICE = strawberry.enum_value("GOOD_PRACTICE", description="先进典型: a good example.")
    OTHER = strawberry.enum_value("OTHER", description="其他")


@strawberry.enum(description="Severity (严重程度).")
class Severity(enum.Enum):
    NOTE = strawberry.enum_value("NOTE", description="记录: nothing wrong, or good practice.")
    MINOR = strawberry.enum_value("MINOR", description="轻微")
    SERIOUS = strawberry.enum_value("SERIOUS", description="较重")
    GRAVE = strawberry.enum_value("GRAVE", description="严重")


@strawberry.enum(description="Whether the server knows the unit and the monitoring point that the phone named (归属).")
class Placement(enum.Enum):
    PLACED = "PLACED"
    UNPLACED = strawberry.enum_value(
        "UNPLACED", description="A name is unknown or out of the author's scope. The names are stored as sent."
    )


METHODS_OF: dict[Role, frozenset[Method]] = {
    Role.INSPECTOR: frozenset({Method.PATROL, Method.TRACKED_SERVICE, Method.SIMULATED_SERVICE, Method.SPECIAL_CHECK}),
    Role.MONITOR: frozenset({Method.MONITOR_REPORT}),
    Role.OFFICER: frozenset({Method.COMPLAINT, Method.SPECIAL_CHECK, Method.PATROL}),
}
"""Methods of observation that each role may use."""


@strawberry.type(description="Who complained (投诉人).")
class Complainant:
    name: str | None = strawberry.field(description="Name of the complainant. Null if not given.")
    contact: str | None = strawberry.field(description="Contact details of the complainant.")
    is_anonymous: bool = strawberry.field(description="True if nobody may learn the complainant's name (匿名).")


@strawberry.type(description="Content of one revision of an observation. Every revision has its complete content.")
class ObservationContent:
    method: Method = strawberry.field(description="Method of observation (方式).")
    category: Category = strawberry.field(description="Category of what was seen (问题类别).")
    severity: Severity = strawberry.field(description="Severity (严重程度).")
    text: str = strawberry.field(description="Text that the author wrote (情况描述).")
    captured_at: datetime = strawberry.field(description="Time of the observation, by the device's clock.")
    captured_offset_minutes: int = strawberry.field(description="Device's UTC offset in minutes. East is positive.")
    position: strawberry.Private[GeoPoint | None] = None
    staff_seen: str | None = strawberry.field(description="Staff seen: name, badge or looks (工作人员).", default=None)
    claimed_unit: str | None = strawberry.field(description="Unit as the phone sent it: id or code.", default=None)
    claimed_monitoring_point: str | None = strawberry.field(
        description="Monitoring point as the phone sent it: id or code.", default=None
    )
    assignment_id: strawberry.Private[str | None] = None
    device_sequence: strawberry.Private[int | None] = None
    complainant: strawberry.Private[Complainant | None] = None
    media_ids: strawberry.Private[tuple[str, ...]] = ()

    @strawberry.field(name="position", description="Where it was seen, in the requested datum (坐标).")
    def position_in(self, datum: Datum = Datum.WGS84) -> GeoPoint | None:
        return self.position.to_datum(datum) if self.position else None

    @strawberry.field(description="Photos, videos, sound recordings and documents (影像资料).")
    async def media(self, info: Info) -> list[Media]:
        return await info.context.load.many(Media, self.media_ids)


@strawberry.type(description="One version of an observation (修订).")
class ObservationRevision:
    number: int = strawberry.field(description="Number of the revision. The first version is 1.")
    id: strawberry.ID = strawberry.field(description="Id of the observation (number 1) or of the correction.")
    recorded_at: datetime = strawberry.field(
        description="When the server received this revision. Cut to the minute for viewers who must not know the author."
    )
    reason: str | None = strawberry.field(description="Reason for the correction. Null for the first version.")
    content: ObservationContent = strawberry.field(description="Complete content of this revision.")
    # Never shown: the digest covers the complainant. With all other fields, a viewer could find a phone number by trial.
    content_sha256: strawberry.Private[str]


@strawberry.type(description="One thing seen or reported, at one place and time (巡查记录、监测反映).")
class Observation(Node, prefix="obs"):
    content: ObservationContent = strawberry.field(description="Content of the latest revision.")
    received_at: strawberry.Private[datetime]
    placement: Placement = strawberry.field(description="Whether the named unit and monitoring point are known (归属).")
    revision: int = strawberry.field(description="Number of the latest revision. 1 if never corrected.")
    revisions: strawberry.Private[list[ObservationRevision]]  # in most cases only the first; the field loads the others
    author_id: strawberry.Private[str]
    device_id: strawberry.Private[str | None] = None
    clock_skew_ms: strawberry.Private[int | None] = None
    author_is_covert: strawberry.Private[bool] = True  # also of observations that are older than this field
    """Whether the author had a covert role at submission. It stays true if the author later becomes an officer."""
    office_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    unit_id: strawberry.Private[str | None] = None
    unit_path: strawberry.Private[str | None] = None
    monitoring_point_id: strawberry.Private[str | None] = None
    case_ids: strawberry.Private[tuple[str, ...]] = ()

    async def owner(self, info: Info) -> Owner:
        return Owner(self.author_id, self.office_path)

    def _is_told(self, info: Info) -> bool:
        """Return whether the viewer may know the author, and so which observations the author sent together."""
        viewer = info.context.viewer
        owner = Owner(self.author_id, self.office_path)
        return not self.author_is_covert or (viewer is not None and viewer.knows(owner))

    @strawberry.field(
        name="receivedAt",
        description="When the server received the first version (接收时间). Cut to the minute for viewers who must not know"
        " the author.",
    )
    def shown_received_at(self, info: Info) -> datetime:
        return self.received_at if self._is_told(info) else to_minute(self.received_at)

    @strawberry.field(name="revisions", description="All revisions, oldest first (修订记录).")
    async def shown_revisions(self, info: Info) -> list[ObservationRevision]:
        revisions = await info.context.load.related(ObservationRevision, observation=self)
        is_told = self._is_told(info)
        return [each if is_told else replace(each, recorded_at=to_minute(each.recorded_at)) for each in revisions]

    @strawberry.field(
        description="Who complained. For the author and viewers with clearance (投诉人).", extensions=[IdentityOnly()]
    )
    async def complainant(self) -> Complainant | None:
        return self.content.complainant

    @strawberry.field(
        description="Device's sequence number. For the author and viewers with clearance.", extensions=[IdentityOnly()]
    )
    async def device_sequence(self) -> int | None:
        return self.content.device_sequence

    @property
    def clock_skew(self) -> timedelta | None:
        """How far the device's clock was ahead of the server's at receipt. None if the device did not send its time."""
        return None if self.clock_skew_ms is None else timedelta(milliseconds=self.clock_skew_ms)

    @strawberry.field(
        description="How far the device's clock was ahead of the server's at receipt, in seconds. Only for the author "
        "and viewers with clearance (时钟偏差).",
        extensions=[IdentityOnly()],
    )
    async def clock_skew_seconds(self) -> float | None:
        return None if self.clock_skew_ms is None else self.clock_skew_ms / 1000

    def shown_time(self, content: ObservationContent) -> ShownTime:
        """Return the time to show for a revision with `content`."""
        return time_of_observation(
            Clocks(
                captured_at=content.captured_at,
                offset_minutes=content.captured_offset_minutes,
                received_at=self.received_at,
                position=content.position,
                skew=self.clock_skew,
                is_correction=content.captured_at != self.revisions[0].content.captured_at,
            )
        )

    @strawberry.field(description="Time to show: when it was seen, by which clock, and why that clock (显示时间).")
    def when(self, info: Info) -> ShownTime:
        when = self.shown_time(self.content)
        return when if self._is_told(info) or when.source is not TimeSource.RECEIPT else when.to_minute()

    def make_receipt(self) -> Receipt:
        """Return the receipt. Every retry returns the same receipt."""
        first = self.revisions[0]
        return Receipt(observation_id=self.id, content_sha256=first.content_sha256, received_at=first.recorded_at)

    @strawberry.field(
        description="Receipt. Only for the author and viewers with clearance (回执).", extensions=[IdentityOnly()]
    )
    async def receipt(self) -> Receipt | None:
        return self.make_receipt()

    @strawberry.field(description="The inspected unit. It may be as small as one service window (被巡查单位).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(description="The monitoring point that reported the observation (监测点).")
    async def monitoring_point(self, info: Info) -> MonitoringPoint | None:
        return await info.context.load.one(MonitoringPoint, self.monitoring_point_id)

    @strawberry.field(description="The author. Null if the viewer must not know the author (巡查员).")
    async def author(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.author_id) if self._is_told(info) else None

    @strawberry.field(description="The assignment for which the observation was made (交办).")
    async def assignment(
        self, info: Info
    ) -> Annotated["Assignment", strawberry.lazy("schema.casework.assignments")] | None:
        return await info.context.load.one(ASSIGNMENT, self.content.assignment_id)

    @strawberry.field(description="Cases that are based on the observation and that the viewer may see (案件).")
    async def cases(self, info: Info) -> list[Annotated["Case", strawberry.lazy("schema.casework.cases")]]:
        return await info.context.load.many(CASE, self.case_ids)

    @strawberry.field(description="What became of the observation: state and reply of each case (办理情况).")
    async def follow_ups(self, info: Info) -> list[Annotated["FollowUp", strawberry.lazy("schema.casework.cases")]]:
        return await info.context.load.related(FOLLOW_UP, observation=self)

    @strawberry.field(
        description="Flags, oldest first. Null for the author. Otherwise for supervisors and officers only (疑点标记).",
        extensions=[ExaminersOnly()],
    )
    async def flags(self, info: Info) -> list[Annotated["Flag", strawberry.lazy("schema.checks.flags")]] | None:
        return await info.context.load.related(FLAG, observation=self.id)

    @strawberry.field(description="Number of media that the observation announced.")
    def media_expected(self) -> int:
        return len(self.content.media_ids)

    @strawberry.field(description="Number of announced media whose bytes are in the object store.")
    async def media_arrived(self, info: Info) -> int:
        media = await info.context.load.many(Media, self.content.media_ids)
        return sum(medium.state in ARRIVED for medium in media)

    pack = strawberry.field(
        resolver=pack_of,
        description="Link to the evidence pack: a ZIP of originals, data, report and signed manifest (证据包).",
    )


PERMITS: tuple[Row, ...] = (
    ("Query", READERS, "observation observations"),
    ("Mutation", AUTHORS, "submitObservations reviseObservation"),
    ("Complainant", CLEARED, "name contact isAnonymous"),
    ("Observation", SEEN, "id content receivedAt placement revision revisions unit monitoringPoint author"),
    ("Observation", SEEN, "assignment cases followUps when mediaExpected mediaArrived pack"),
    ("Observation", CLEARED, "complainant deviceSequence clockSkewSeconds receipt"),
    ("Observation", EXAMINERS, "flags"),
    ("ObservationContent", SEEN, "method category severity text capturedAt capturedOffsetMinutes position staffSeen"),
    ("ObservationContent", SEEN, "claimedUnit claimedMonitoringPoint media"),
    ("ObservationRevision", SEEN, "number id recordedAt reason content"),
    *receipts.PERMITS,
    *connection("Observation"),
)
