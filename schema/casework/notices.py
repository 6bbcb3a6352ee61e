"""Define rectification notices (整改督办通知书).

An officer tells a unit what to put right and by when. The unit's liaison replies. Another person of the office verifies
that the fault is put right, or returns the notice. The unit never learns who inspected or complained.
"""

import enum
from datetime import date, datetime

import strawberry

from schema.access.permissions import OFFICERS, SEEN, Row, connection, only
from schema.access.viewers import Capacity, Role, Viewer, covers
from schema.accounts.users import User, load_named, show_time
from schema.casework.cases import Case
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.core.texts import MAX_NOTE, check_length
from schema.media.media import Media
from schema.organisation.units import Unit

MAX_TITLE = 200
MAX_REQUIREMENTS = 5_000
MAX_REPLY = 5_000
MAX_HISTORY = 100
"""Number of steps in a notice's history from which on it can't be returned.

A notice is one document, and each list reads its history whole. Each return is followed by one reply.
"""
MAX_EVIDENCE = 20
"""Maximum number of media of one reply."""
MAX_NOTICES = 50
"""Maximum number of notices of one case. Every view of a case may list them whole."""


@strawberry.enum(description="State of a rectification notice (督办状态).")
class NoticeState(enum.Enum):
    ISSUED = strawberry.enum_value("ISSUED", description="已下达: the unit has not acknowledged the notice yet.")
    ACKNOWLEDGED = strawberry.enum_value(
        "ACKNOWLEDGED", description="已签收: the unit's liaison has acknowledged the notice."
    )
    REPLIED = strawberry.enum_value("REPLIED", description="已回复: the unit has replied. The office must verify.")
    RETURNED = strawberry.enum_value("RETURNED", description="已退回: the office was not satisfied with the reply.")
    VERIFIED = strawberry.enum_value(
        "VERIFIED", description="已销号: the office has verified that the fault is put right."
    )
    WITHDRAWN = strawberry.enum_value("WITHDRAWN", description="已撤回: the office withdrew the notice.")


S = NoticeState
MOVES: dict[NoticeState, frozenset[NoticeState]] = {
    S.ISSUED: frozenset({S.ACKNOWLEDGED, S.REPLIED, S.WITHDRAWN}),
    S.ACKNOWLEDGED: frozenset({S.REPLIED, S.WITHDRAWN}),
    S.REPLIED: frozenset({S.VERIFIED, S.RETURNED, S.WITHDRAWN}),
    S.RETURNED: frozenset({S.REPLIED, S.WITHDRAWN}),
    S.VERIFIED: frozenset(),
    S.WITHDRAWN: frozenset(),
}
"""The life of a notice: for each state, the states that may follow."""

OPEN = frozenset(state for state, after in MOVES.items() if after)
"""States in which a notice waits for somebody. A case can't be closed while it has such a notice (rule 1)."""

BY_UNIT = frozenset({S.ACKNOWLEDGED, S.REPLIED})
"""States that the unit's liaison sets. The office that issued the notice sets all others."""

WRITTEN = BY_UNIT | {S.ISSUED}
"""States that stand for a text which another person must judge."""

NEEDS_TEXT = {
    S.REPLIED: ("a reply", MAX_REPLY),
    S.RETURNED: ("a reason", MAX_NOTE),
    S.WITHDRAWN: ("a reason", MAX_NOTE),
}
"""For each state that needs a text: the words for the text, and the maximum number of its characters."""


@strawberry.type(description="One entry of a notice's history (督办记录).")
class NoticeEvent:
    id: strawberry.ID = strawberry.field(description="Id of the entry: `evt_` and a UUIDv7.")
    state: NoticeState = strawberry.field(description="State of the notice after this event.")
    at: strawberry.Private[datetime]
    text: str | None = strawberry.field(
        description="The unit's reply, the verifier's remark, or the reason for a return or withdrawal.", default=None
    )
    # Stored, never shown.
    by_id: strawberry.Private[str]
    by_capacity: strawberry.Private[Capacity]
    sent_sha256: strawberry.Private[str]
    media_ids: strawberry.Private[tuple[str, ...]] = ()

    @strawberry.field(name="at", description="When it happened.")
    def shown_at(self, info: Info) -> datetime:
        return show_time(info, self.at, self.by_id, self.by_capacity)

    @strawberry.field(
        description="Evidence of the unit's reply, at most 20 media, in the order of the reply (整改材料)."
    )
    async def media(self, info: Info) -> list[Media]:
        return await info.context.load.many(Media, self.media_ids)

    @strawberry.field(description="The person who caused the event. Null if the viewer must not know this person.")
    async def by(self, info: Info) -> User | None:
        return await load_named(info, self.by_id, self.by_capacity)


@strawberry.type(description="A notice that tells a unit what to put right, and by when (整改督办通知书).")
class Notice(Node, prefix="ntc"):
    number: str = strawberry.field(
        description="Office code, 督办, year and sequence number, such as 360703-XNB-督办-2026-0003 (文号)."
    )
    year: int = strawberry.field(description="Year in the number. It is the year of issue, in Beijing time.")
    sequence: int = strawberry.field(
        description="Sequence number in the number. Each office numbers its notices of a year from 1, without gaps."
    )
    title: str = strawberry.field(description="Title of the notice (标题).")
    requirements: str = strawberry.field(description="What the unit must put right (整改要求).")
    due_on: date = strawberry.field(description="Last day for the unit's reply, as a date in Beijing time (整改期限).")
    state: NoticeState = strawberry.field(description="State of the notice (督办状态).")
    issued_at: strawberry.Private[datetime]
    ended_at: strawberry.Private[datetime | None] = None
    returns: int = strawberry.field(description="How often the office has returned a reply (退回次数).", default=0)
    history: list[NoticeEvent] = strawberry.field(description="History of the notice, oldest first (督办记录).")
    # Stored, never shown.
    case_id: strawberry.Private[str]
    office_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    unit_id: strawberry.Private[str]
    unit_path: strawberry.Private[str]
    opening_sha256: strawberry.Private[str]

    @strawberry.field(name="issuedAt", description="When the notice was issued (下达时间).")
    def shown_issued_at(self, info: Info) -> datetime:
        first = self.history[0]
        return show_time(info, self.issued_at, first.by_id, first.by_capacity)

    @strawberry.field(name="endedAt", description="When the notice was verified or withdrawn. Null before (销号时间).")
    def shown_ended_at(self, info: Info) -> datetime | None:
        last = self.history[-1]
        return show_time(info, self.ended_at, last.by_id, last.by_capacity) if self.ended_at else None

    @strawberry.field(description="The unit that must put the fault right (责任单位).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(description="The office that issued the notice (下达机构).")
    async def office(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.office_id)

    @strawberry.field(description="The case of the notice. Null if the viewer may not see the case, as for the unit.")
    async def case(self, info: Info) -> Case | None:
        return await info.context.load.one(Case, self.case_id)

    def names(self, medium_id: str) -> bool:
        """Return whether the medium is evidence of a reply."""
        return any(medium_id in event.media_ids for event in self.history)

    def is_to_unit_of(self, viewer: Viewer) -> bool:
        """Return whether the viewer works for the notice's unit, or may answer for it. Such people decide nothing."""
        return covers([self.unit_path], viewer.office_path or "") or is_answerable(viewer, self.unit_path)

    def is_written_by(self, viewer: Viewer) -> bool:
        """Return whether the viewer wrote the notice or an answer to it. Another person must judge the reply."""
        return any(event.by_id == viewer.user_id for event in self.history if event.state in WRITTEN)


def is_answerable(viewer: Viewer, unit_path: str) -> bool:
    """Return whether the viewer may answer for the unit at `unit_path`."""
    return viewer.has(Role.LIAISON) and viewer.covers(unit_path)


def notice_number(office_code: str, year: int, sequence: int) -> str:
    """Return a number such as `360703-XNB-督办-2026-0003`."""
    return f"{office_code}-督办-{year}-{sequence:04d}"


def states_before(target: NoticeState) -> frozenset[NoticeState]:
    """Return the states from which a notice may move to `target`."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)


def check_step(target: NoticeState, text: str | None) -> None:
    """Raise `Refusal(BAD_INPUT)` if a move to `target` lacks its text, or if the text is too long."""
    wording, most = NEEDS_TEXT.get(target, ("", MAX_NOTE))
    check_length(text, most, "text")
    if wording and not (text or "").strip():
        raise Refusal(RefusalCode.BAD_INPUT, f"{target.value} needs {wording}.", field="text")


PERMITS: tuple[Row, ...] = (
    ("Query", only(Role.LIAISON, Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER), "notices"),
    ("Mutation", OFFICERS, "issueNotice returnNotice verifyNotice withdrawNotice"),
    ("Mutation", only(Role.LIAISON), "acknowledgeNotice replyToNotice"),
    ("NoticePayload", SEEN, "notice uploads"),
    ("Notice", SEEN, "id number year sequence title requirements dueOn state issuedAt endedAt returns history"),
    ("Notice", SEEN, "unit office case"),
    ("NoticeEvent", SEEN, "id state at text media by"),
    *connection("Notice"),
)
