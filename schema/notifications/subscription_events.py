"""Define the events of subscriptions (推送).

They report changed records, records that the subscriber may no longer see, and the state of the stream.
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

_CURSOR = (
    "Opaque cursor, valid for this subscriber only. To resume the stream, pass the newest cursor as `since` (续传位置)."
)


@strawberry.enum(description="Why a subscriber must pull everything again (需重新同步的原因).")
class ResyncReason(enum.Enum):
    HISTORY_LOST = strawberry.enum_value(
        "HISTORY_LOST",
        description="The server's history of changes does not reach back to the cursor `since` (历史已不可用).",
    )
    TOO_SLOW = strawberry.enum_value(
        "TOO_SLOW", description="More events were waiting than the server keeps for one subscriber (接收过慢)."
    )
    ACCESS_CHANGED = strawberry.enum_value(
        "ACCESS_CHANGED",
        description="The subscriber's roles, scopes, office or clearances have changed after the cursor `since` (权限已变更).",
    )


@strawberry.enum(description="Why the server ends a stream (推送终止原因).")
class EndReason(enum.Enum):
    SESSION_ENDED = strawberry.enum_value(
        "SESSION_ENDED", description="The session has ended, or the account is closed: sign in again (登录已失效)."
    )
    TOKEN_EXPIRED = strawberry.enum_value(
        "TOKEN_EXPIRED",
        description="The access token has expired: renew it, then resume from the last cursor (令牌已过期).",
    )
    ACCESS_CHANGED = strawberry.enum_value(
        "ACCESS_CHANGED",
        description="The subscriber's roles, scopes, office or clearances have changed: pull everything again (权限已变更).",
    )
    SERVER_STOPPING = strawberry.enum_value(
        "SERVER_STOPPING",
        description="The server is stopping: connect again, then resume from the last cursor (服务器正在停止).",
    )


@strawberry.type(description="An assignment has changed, or the subscriber may see it from now on (交办已变更).")
class AssignmentChanged:
    cursor: str = strawberry.field(description=_CURSOR)
    assignment: Assignment = strawberry.field(description="The assignment as it is now.")


@strawberry.type(description="A case has changed, or the subscriber may see it from now on (案件已变更).")
class CaseChanged:
    cursor: str = strawberry.field(description=_CURSOR)
    case: Case = strawberry.field(description="The case as it is now.")


@strawberry.type(description="The subscriber may no longer see this record: delete the local copy (已无权查看).")
class RecordLost:
    cursor: str = strawberry.field(description=_CURSOR)
    id: strawberry.ID = strawberry.field(description="Id of the record.")


@strawberry.type(
    description="All events up to this cursor were sent. A stream begins with this event or with `Resync`. Later, "
    "this event comes at most once a minute, while there are no other events (推送位置)."
)
class StreamPosition:
    cursor: str = strawberry.field(description=_CURSOR)


@strawberry.type(
    description="The server has left out events: pull everything again. After this event, the stream continues with "
    "new events (需重新同步)."
)
class Resync:
    cursor: str = strawberry.field(description=_CURSOR)
    reason: ResyncReason = strawberry.field(description="Why the server has left out events.")


@strawberry.type(description="The last event of a stream that the server ends (推送已终止).")
class StreamEnded:
    reason: EndReason = strawberry.field(description="Why the stream ends, and what to do next.")


@dataclass(frozen=True)
class StreamCursor:
    """The content of a cursor: a position in the history of changes, and a digest of the subscriber's rights.

    The rights are those that the subscriber had at that position.
    """

    position: str
    rights: str


def rights_of(viewer: Viewer) -> str:
    """Return a digest of everything that decides what a viewer sees.

    If the digest has changed, the events sent before the change no longer match what the viewer may see.
    """
    parts: Sequence[object] = (
        sorted(str(role.value) for role in viewer.roles),
        sorted(viewer.scopes),
        viewer.office_path,
        sorted(str(clearance.value) for clearance in viewer.clearances),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def seal_cursor(seal: CursorSeal, cursor: StreamCursor) -> str:
    return seal.close((cursor.position, cursor.rights))


def open_cursor(seal: CursorSeal, text: str) -> StreamCursor:
    """Return the content of a cursor. Raise `Refusal(BAD_CURSOR)` if `text` is no cursor, or is somebody else's."""
    try:
        position, rights = seal.open(text)
    except Refusal:
        raise Refusal(
            RefusalCode.BAD_CURSOR, "This cursor is not yours. Subscribe without it.", field="since"
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
