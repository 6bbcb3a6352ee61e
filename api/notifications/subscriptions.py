"""Offer the subscriptions to changed records (推送)."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any

import strawberry

from api.graphql.context import Info
from api.registration import Registration
from schema.access.guards import subscription
from schema.core.refusals import Refusal, RefusalCode
from schema.notifications import subscription_events
from schema.notifications.subscription_events import (
    AssignmentChanged,
    CaseChanged,
    RecordLost,
    Resync,
    StreamEnded,
    StreamPosition,
)
from storage.notifications.record_events import EventKind

AssignmentNews = Annotated[
    AssignmentChanged | RecordLost | StreamPosition | Resync | StreamEnded,
    strawberry.union("AssignmentNews", description="An event of the subscription to assignments (交办推送)."),
]
CaseNews = Annotated[
    CaseChanged | RecordLost | StreamPosition | Resync | StreamEnded,
    strawberry.union("CaseNews", description="An event of the subscription to cases (案件推送)."),
]


@strawberry.type
class PushSubscriptions:
    @subscription(
        description="Assignments that change, become visible to the viewer or stop being visible. `since` is the"
        " cursor of the last event that the client has (交办推送)."
    )
    async def assignment_changed(self, info: Info, since: str | None = None) -> AsyncGenerator[AssignmentNews, None]:
        return _events(info, EventKind.ASSIGNMENT, since)

    @subscription(
        description="Cases that change, become visible to the viewer or stop being visible. `since` is the cursor of"
        " the last event that the client has (案件推送)."
    )
    async def case_changed(self, info: Info, since: str | None = None) -> AsyncGenerator[CaseNews, None]:
        return _events(info, EventKind.CASE, since)


def _events(info: Info, kind: EventKind, since: str | None) -> AsyncGenerator[Any, None]:
    stream = info.context.stream
    if stream is None:
        raise Refusal(RefusalCode.BAD_INPUT, "A subscription needs a stream: use WebSocket or server-sent events.")
    return stream.events(info.context, kind, since)


REGISTRATION = Registration(
    subscriptions=(PushSubscriptions,),
    permits=subscription_events.PERMITS,
)
