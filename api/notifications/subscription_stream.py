"""Streams: one subscription of one viewer, from notices to events; every record is read anew as its viewer may see it now.

Carrying events to the subscriber is left to `sockets.py` and `event_streams.py`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import strawberry
import structlog

from api.accounts.authentication import Authenticated, Authenticator
from api.notifications.event_dispatcher import EventDispatcher
from api.notifications.subscriber import Subscriber
from schema.access.viewers import Viewer
from schema.casework.assignments import Assignment, AssignmentState
from schema.casework.cases import Case
from schema.core.refusals import Refusal
from schema.notifications.subscription_events import (
    AssignmentChanged,
    CaseChanged,
    EndReason,
    RecordLost,
    Resync,
    ResyncReason,
    StreamCursor,
    StreamEnded,
    StreamPosition,
    opened,
    rights_of,
    sealed,
)
from storage.mongodb.errors import HistoryLostError, StoreError
from storage.notifications.record_events import EventKind, RecordEvent

if TYPE_CHECKING:
    from api.graphql.context import Context

Told = AssignmentChanged | CaseChanged | RecordLost
Event = Told | StreamPosition | Resync | StreamEnded
POSITION_EVERY = timedelta(seconds=60)
AGAIN_SECONDS = 1.0
log = structlog.get_logger(__name__)
HEARD = {
    EventKind.ASSIGNMENT: frozenset({EventKind.ASSIGNMENT}),
    # Who is given a case, or whom it is taken from, is told by the assignment.
    EventKind.CASE: frozenset({EventKind.CASE, EventKind.ASSIGNMENT}),
}


class SubscriptionStream:
    """What a transport holds of a subscription. `cursor` is that of the newest event, None while it has none."""

    def __init__(
        self,
        board: EventDispatcher,
        authenticator: Authenticator,
        admission: Authenticated,
        resumed_after: str | None = None,
    ) -> None:
        self.cursor: str | None = None
        self.ended: EndReason | None = None
        self._board = board
        self._authenticator = authenticator
        self._admission = admission
        self._resumed_after = resumed_after
        self._is_closed = False
        self._subscriber: Subscriber | None = None

    def close(self) -> None:
        """The subscriber is gone. The stream ends by itself, not in the midst of a talk with the database."""
        self._is_closed = True
        if self._subscriber:
            self._subscriber.wake()

    def events(self, context: "Context", kind: EventKind, since: str | None) -> AsyncGenerator[Event, None]:
        """Raise `Refusal(BAD_CURSOR)`."""
        after = self._resumed_after or since
        cursor = opened(context.seal("pushes"), after) if after is not None else None
        return self._events(context, kind, cursor)

    async def _events(
        self, context: "Context", kind: EventKind, since: StreamCursor | None
    ) -> AsyncGenerator[Event, None]:
        own = _Own(context, kind)
        subscriber = self._subscriber = Subscriber(context.actor, HEARD[kind])
        try:
            yield self._noted(await self._joined(own, subscriber, since))
            told_at = context.now
            while not self._is_closed:
                end = None if context.begin_event() < self._admission.expires_at else EndReason.TOKEN_EXPIRED
                if subscriber.is_stopped:
                    end = EndReason.SERVER_STOPPING
                elif subscriber.was_touched or subscriber.has_waiting:
                    subscriber.was_touched = False
                    end = end or await self._renewed(own)
                if end is not None:
                    self.ended = end
                    yield StreamEnded(reason=end)
                    return
                if subscriber.is_overrun:
                    subscriber.is_overrun = False
                    own.position = subscriber.position
                    yield self._noted(Resync(cursor=own.cursor(), reason=ResyncReason.TOO_SLOW))
                elif (notice := subscriber.take()) is not None:
                    async for event in self._told(own, notice):
                        yield self._noted(event)
                elif own.position != subscriber.position and own.now - told_at >= POSITION_EVERY:
                    own.position = subscriber.position
                    yield self._noted(StreamPosition(cursor=own.cursor()))
                else:
                    left = (self._admission.expires_at - own.now).total_seconds()
                    await subscriber.wait(min(left, POSITION_EVERY.total_seconds()))
                    continue
                told_at = own.now
        finally:
            self._board.leave(subscriber)

    async def _joined(self, own: "_Own", subscriber: Subscriber, since: StreamCursor | None) -> Event:
        """The first event: where the stream begins, or that what was before is no good any more."""
        reason = ResyncReason.ACCESS_CHANGED if since and since.rights != own.rights else None
        start = since.position if since and not reason else None
        subscriber.position = start or ""
        try:
            own.position = await self._board.join(subscriber, start)
        except HistoryLostError:
            reason, subscriber.position = ResyncReason.HISTORY_LOST, ""
            own.position = await self._board.join(subscriber, None)
        if reason is not None:
            return Resync(cursor=own.cursor(), reason=reason)
        return StreamPosition(cursor=own.cursor())

    async def _renewed(self, own: "_Own") -> EndReason | None:
        """Look again who it is that we tell; None where nothing has changed, or nobody can say at present."""
        while self._goes_on:
            try:
                viewer = await self._authenticator.refresh(self._admission)
            except (Refusal, StoreError):
                await self._pause()
                continue
            if viewer is None:
                return EndReason.SESSION_ENDED
            return None if rights_of(viewer) == own.rights else EndReason.ACCESS_CHANGED
        return None

    async def _told(self, own: "_Own", notice: RecordEvent) -> AsyncIterator[Told]:
        events: Sequence[Told] | None = None
        while events is None and self._goes_on:
            try:
                events = await own.events(notice)
            except (Refusal, StoreError):  # the database is away: nothing is left out, it comes later
                await self._pause()
            except Exception:
                # One record that trips our code costs itself, and no other of this subscriber.
                log.exception("fault", kind=notice.kind.value)
                events = own.passed_over(notice)
        for event in events or ():
            yield event

    @property
    def _goes_on(self) -> bool:
        return not (self._is_closed or (self._subscriber is not None and self._subscriber.is_stopped))

    async def _pause(self) -> None:
        assert self._subscriber is not None  # noqa: S101  it exists as long as the stream runs
        await self._subscriber.wait(AGAIN_SECONDS)

    def _noted(self, event: Event) -> Event:
        if not isinstance(event, StreamEnded):
            self.cursor = event.cursor
        return event


class _Own:
    """What one viewer finds of changed records; `position` is that of the newest notice that was told whole."""

    def __init__(self, context: "Context", kind: EventKind) -> None:
        self.context = context
        self.rights = rights_of(context.actor)
        self.position = ""
        self._kind = kind
        self._seal = context.seal("pushes")

    @property
    def viewer(self) -> Viewer:
        return self.context.actor

    @property
    def now(self) -> datetime:
        return self.context.now

    def cursor(self) -> str:
        return sealed(self._seal, StreamCursor(self.position, self.rights))

    async def events(self, notice: RecordEvent) -> list[Told]:
        """All but the last bear the cursor before this notice: whoever breaks off between them hears them again."""
        self.context.begin_event()
        of = self._of_assignments if self._kind is EventKind.ASSIGNMENT else self._of_cases
        events = await of(notice)
        self.position = notice.position
        if events:
            events[-1].cursor = self.cursor()
        return events

    def passed_over(self, notice: RecordEvent) -> list[Told]:
        """Nothing is told of it."""
        self.position = notice.position
        return []

    async def _of_cases(self, notice: RecordEvent) -> list[Told]:
        load, cursor = self.context.load, self.cursor()
        if notice.kind is EventKind.CASE:
            found = await load.one(Case, notice.id)
            return [CaseChanged(cursor=cursor, case=found)] if found else []
        is_own = notice.assignee_id == self.viewer.user_id
        if not (is_own and notice.case_id and _is(notice, AssignmentState.WITHDRAWN)):
            return []
        still_found = await load.one(Case, notice.case_id)
        return [] if still_found else [RecordLost(cursor=cursor, id=strawberry.ID(notice.case_id))]

    async def _of_assignments(self, notice: RecordEvent) -> list[Told]:
        """With a case that is given to the viewer its other assignments come into view, and go with it."""
        load, cursor = self.context.load, self.cursor()
        events: list[Told] = []
        if notice.case_id and notice.assignee_id == self.viewer.user_id:
            given, taken = _is(notice, AssignmentState.OFFERED), _is(notice, AssignmentState.WITHDRAWN)
            others = await self.context.store.assignments.of_cases([notice.case_id]) if given or taken else []
            for id in (each.id for each in others if each.id != notice.id):
                found = await load.one(Assignment, id)
                if found and given:
                    events.append(AssignmentChanged(cursor=cursor, assignment=found))
                elif not found:
                    events.append(RecordLost(cursor=cursor, id=id))
        own = await load.one(Assignment, notice.id)
        return [*events, AssignmentChanged(cursor=cursor, assignment=own)] if own else events


def _is(notice: RecordEvent, state: AssignmentState) -> bool:
    return notice.state == str(state.value)
