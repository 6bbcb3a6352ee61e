"""Pushes: the subscriptions that tell of changed records (推送).

What they tell is made by `streams.py`; how it travels is left to `sockets.py` and `event_streams.py`.
"""

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
    strawberry.union("AssignmentNews", description="What a subscriber hears of assignments (交办推送)."),
]
CaseNews = Annotated[
    CaseChanged | RecordLost | StreamPosition | Resync | StreamEnded,
    strawberry.union("CaseNews", description="What a subscriber hears of cases (案件推送)."),
]


@strawberry.type
class PushSubscriptions:
    @subscription(description="Assignments that come into view, change or go out of it, from `since` on (交办推送).")
    async def assignment_changed(self, info: Info, since: str | None = None) -> AsyncGenerator[AssignmentNews, None]:
        return _events(info, EventKind.ASSIGNMENT, since)

    @subscription(description="Cases that come into view, change or go out of it, from `since` on (案件推送).")
    async def case_changed(self, info: Info, since: str | None = None) -> AsyncGenerator[CaseNews, None]:
        return _events(info, EventKind.CASE, since)


def _events(info: Info, kind: EventKind, since: str | None) -> AsyncGenerator[Any, None]:
    stream = info.context.stream
    if stream is None:
        raise Refusal(RefusalCode.BAD_INPUT, "Subscriptions are answered as a stream.")
    return stream.events(info.context, kind, since)


REGISTRATION = Registration(
    subscriptions=(PushSubscriptions,),
    permits=subscription_events.PERMITS,
)
