"""Pushes (推送): what a subscription tells its subscriber of changed records, of lost ones, and of the stream itself.

Where changes come from is left to `storage/notifications/record_events.py`; who hears of which, to
`api/notifications/subscriber.py`.
"""

import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import strawberry

from schema.access.permissions import FOLLOWERS, SEEN, Row
from schema.access.viewers import Viewer
from schema.casework.assignments import Assignment
from schema.casework.cases import Case
from schema.core.pagination import CursorSeal
from schema.core.refusals import Refusal, RefusalCode

_CURSOR = "Opaque, the subscriber's own: pass the newest one as `since` to go on after it (续传位置)."


@strawberry.enum(description="Why a subscriber must pull everything anew (需重新同步的原因).")
class ResyncReason(enum.Enum):
    HISTORY_LOST = strawberry.enum_value(
        "HISTORY_LOST", description="The server's history does not reach back to `since` (历史已不可用)."
    )
    TOO_SLOW = strawberry.enum_value(
        "TOO_SLOW", description="More waited for the subscriber than is kept for one (接收过慢)."
    )
    ACCESS_CHANGED = strawberry.enum_value(
        "ACCESS_CHANGED", description="Roles, scopes, office or clearances are others than at `since` (权限已变更)."
    )


@strawberry.enum(description="Why the server ends a stream (推送终止原因).")
class EndReason(enum.Enum):
    SESSION_ENDED = strawberry.enum_value(
        "SESSION_ENDED", description="The session was ended, or the account closed: sign in again (登录已失效)."
    )
    TOKEN_EXPIRED = strawberry.enum_value(
        "TOKEN_EXPIRED", description="Renew the access token, then go on from the last cursor (令牌已过期)."
    )
    ACCESS_CHANGED = strawberry.enum_value(
        "ACCESS_CHANGED", description="Roles, scopes, office or clearances have changed: pull anew (权限已变更)."
    )
    SERVER_STOPPING = strawberry.enum_value(
        "SERVER_STOPPING", description="Connect again, and go on from the last cursor (服务器正在停止)."
    )


@strawberry.type(description="An assignment came into view or changed; this is how it is now (交办已变更).")
class AssignmentChanged:
    cursor: str = strawberry.field(description=_CURSOR)
    assignment: Assignment = strawberry.field(description="The assignment.")


@strawberry.type(description="A case came into view or changed; this is how it is now (案件已变更).")
class CaseChanged:
    cursor: str = strawberry.field(description=_CURSOR)
    case: Case = strawberry.field(description="The case.")


@strawberry.type(description="A record is no longer the subscriber's to see: drop what is known of it (已无权查看).")
class RecordLost:
    cursor: str = strawberry.field(description=_CURSOR)
    id: strawberry.ID = strawberry.field(description="Which record.")


@strawberry.type(
    description="Nothing up to here is left to tell: the first event, and one a minute while it is quiet (推送位置)."
)
class StreamPosition:
    cursor: str = strawberry.field(description=_CURSOR)


@strawberry.type(description="Events were left out: pull everything, and take what follows as news (需重新同步).")
class Resync:
    cursor: str = strawberry.field(description=_CURSOR)
    reason: ResyncReason = strawberry.field(description="Why.")


@strawberry.type(description="The last event of a stream that the server ends (推送已终止).")
class StreamEnded:
    reason: EndReason = strawberry.field(description="Why, and so what to do next.")


@dataclass(frozen=True)
class StreamCursor:
    """Where a subscriber stands in the history of changes, and with which rights."""

    position: str
    rights: str


def rights_of(viewer: Viewer) -> str:
    """A digest of all that decides what a viewer finds: with other rights, what was told before is no longer right."""
    parts: Sequence[object] = (
        sorted(str(role.value) for role in viewer.roles),
        sorted(viewer.scopes),
        viewer.office_path,
        sorted(str(clearance.value) for clearance in viewer.clearances),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def sealed(seal: CursorSeal, cursor: StreamCursor) -> str:
    return seal.close((cursor.position, cursor.rights))


def opened(seal: CursorSeal, text: str) -> StreamCursor:
    """Raise `Refusal(BAD_CURSOR)` for a cursor of somebody else, or none at all."""
    try:
        position, rights = seal.open(text)
    except Refusal:
        raise Refusal(
            RefusalCode.BAD_CURSOR, "This cursor is none of yours. Go on without it.", field="since"
        ) from None
    return StreamCursor(position, rights)


PERMITS: tuple[Row, ...] = (
    ("Subscription", FOLLOWERS, "assignmentChanged caseChanged"),
    ("AssignmentChanged", SEEN, "cursor assignment"),
    ("CaseChanged", SEEN, "cursor case"),
    ("RecordLost", SEEN, "cursor id"),
    ("Resync", SEEN, "cursor reason"),
    ("StreamEnded", SEEN, "reason"),
    ("StreamPosition", SEEN, "cursor"),
)
