"""Turn record events into the events of one viewer's subscription.

Each changed record is read from the database, in the form that the viewer may see at that moment.
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
    open_cursor,
    rights_of,
    seal_cursor,
)
from storage.mongodb.errors import HistoryLostError, StoreError
from storage.notifications.record_events import EventKind, RecordEvent

if TYPE_CHECKING:
    from api.graphql.context import Context

RecordChange = AssignmentChanged | CaseChanged | RecordLost
Event = RecordChange | StreamPosition | Resync | StreamEnded
POSITION_EVERY = timedelta(seconds=60)
AGAIN_SECONDS = 1.0
log = structlog.get_logger(__name__)
SOURCES = {
    EventKind.ASSIGNMENT: frozenset({EventKind.ASSIGNMENT}),
    # An assignment may give a person access to its case, and one that is withdrawn or handed on may end this access.
    EventKind.CASE: frozenset({EventKind.CASE, EventKind.ASSIGNMENT}),
}
"""For each subscription, the kinds of record events that may change its records."""


class SubscriptionStream:
    """The events of one subscription, and the part of a subscription that its transport can close.

    `cursor` is the cursor of the newest event, or None before the first event. `ended` is why the server ended the
    stream.
    """

    def __init__(
        self,
        dispatcher: EventDispatcher,
        authenticator: Authenticator,
        authenticated: Authenticated,
        resumed_after: str | None = None,
    ) -> None:
        self.cursor: str | None = None
        self.ended: EndReason | None = None
        self._dispatcher = dispatcher
        self._authenticator = authenticator
        self._authenticated = authenticated
        self._resumed_after = resumed_after
        self._is_closed = False
        self._subscriber: Subscriber | None = None

    def close(self) -> None:
        """Ask the stream to end. It ends by itself, because a running database command must not be cancelled."""
        self._is_closed = True
        if self._subscriber:
            self._subscriber.wake()

    def events(self, context: "Context", kind: EventKind, since: str | None) -> AsyncGenerator[Event, None]:
        """Return the events after the cursor `since`, or after now. Raise `Refusal(BAD_CURSOR)` if it is invalid."""
        after = self._resumed_after or since
        cursor = open_cursor(context.seal("pushes"), after) if after is not None else None
        return self._events(context, kind, cursor)

    async def _events(
        self, context: "Context", kind: EventKind, since: StreamCursor | None
    ) -> AsyncGenerator[Event, None]:
        records = ViewerRecords(context, kind)
        subscriber = self._subscriber = Subscriber(context.actor, SOURCES[kind])
        try:
            yield self._advance(await self._join(records, subscriber, since))
            sent_at = context.now
            while not self._is_closed:
                end = None if context.begin_event() < self._authenticated.expires_at else EndReason.TOKEN_EXPIRED
                if subscriber.is_stopped:
                    end = EndReason.SERVER_STOPPING
                elif subscriber.was_touched or subscriber.has_waiting:
                    subscriber.was_touched = False
                    end = end or await self._check_viewer(records)
                if end is not None:
                    self.ended = end
                    yield StreamEnded(reason=end)
                    return
                if subscriber.is_overrun:
                    subscriber.is_overrun = False
                    records.position = subscriber.position
                    yield self._advance(Resync(cursor=records.cursor(), reason=ResyncReason.TOO_SLOW))
                elif (record_event := subscriber.pop_event()) is not None:
                    async for event in self._read(records, record_event):
                        yield self._advance(event)
                elif records.position != subscriber.position and records.now - sent_at >= POSITION_EVERY:
                    records.position = subscriber.position
                    yield self._advance(StreamPosition(cursor=records.cursor()))
                else:
                    left = (self._authenticated.expires_at - records.now).total_seconds()
                    await subscriber.wait(min(left, POSITION_EVERY.total_seconds()))
                    continue
                sent_at = records.now
        finally:
            self._dispatcher.remove_listener(subscriber)

    async def _join(self, records: "ViewerRecords", subscriber: Subscriber, since: StreamCursor | None) -> Event:
        """Return the first event: the position where the stream starts, or a `Resync`."""
        reason = ResyncReason.ACCESS_CHANGED if since and since.rights != records.rights else None
        start = since.position if since and not reason else None
        subscriber.position = start or ""
        try:
            records.position = await self._dispatcher.add_listener(subscriber, start)
        except HistoryLostError:
            reason, subscriber.position = ResyncReason.HISTORY_LOST, ""
            records.position = await self._dispatcher.add_listener(subscriber, None)
        if reason is not None:
            return Resync(cursor=records.cursor(), reason=reason)
        return StreamPosition(cursor=records.cursor())

    async def _check_viewer(self, records: "ViewerRecords") -> EndReason | None:
        """Load the viewer again, and return why the stream must end.

        Return None if the viewer's rights are unchanged, or if the stream is closed before the database answers.
        """
        while self._is_running:
            try:
                viewer = await self._authenticator.refresh(self._authenticated)
            except (Refusal, StoreError):
                await self._pause()
                continue
            if viewer is None:
                return EndReason.SESSION_ENDED
            return None if rights_of(viewer) == records.rights else EndReason.ACCESS_CHANGED
        return None

    async def _read(self, records: "ViewerRecords", record_event: RecordEvent) -> AsyncIterator[RecordChange]:
        changes: Sequence[RecordChange] | None = None
        while changes is None and self._is_running:
            try:
                changes = await records.changes(record_event)
            except (Refusal, StoreError):  # the database is down: the event is read again later, so that none is missed
                await self._pause()
            except Exception:
                # If our code fails on a record, the subscriber misses this record only.
                log.exception("fault", kind=record_event.kind.value)
                changes = records.skip(record_event)
        for change in changes or ():
            yield change

    @property
    def _is_running(self) -> bool:
        return not (self._is_closed or (self._subscriber is not None and self._subscriber.is_stopped))

    async def _pause(self) -> None:
        assert self._subscriber is not None  # noqa: S101  it exists as long as the stream runs
        await self._subscriber.wait(AGAIN_SECONDS)

    def _advance(self, event: Event) -> Event:
        if not isinstance(event, StreamEnded):
            self.cursor = event.cursor
        return event


class ViewerRecords:
    """Reads changed records as one viewer sees them.

    `position` is the position of the newest record event of which all changes were sent.
    """

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
        return seal_cursor(self._seal, StreamCursor(self.position, self.rights))

    async def changes(self, event: RecordEvent) -> list[RecordChange]:
        """Return the changes that a record event means for the viewer. There may be none or several.

        Only the last change carries the cursor after the event, the others the cursor before it. So a subscriber who
        disconnects between them gets all of them again.
        """
        self.context.begin_event()
        read = self._assignment_changes if self._kind is EventKind.ASSIGNMENT else self._case_changes
        changes = await read(event)
        self.position = event.position
        if changes:
            changes[-1].cursor = self.cursor()
        return changes

    def skip(self, event: RecordEvent) -> list[RecordChange]:
        """Advance past a record event and return no changes."""
        self.position = event.position
        return []

    async def _case_changes(self, event: RecordEvent) -> list[RecordChange]:
        load, cursor = self.context.load, self.cursor()
        if event.kind is EventKind.CASE:
            case = await load.one(Case, event.id)
            return [CaseChanged(cursor=cursor, case=case)] if case else []
        is_own = event.assignee_id == self.viewer.user_id
        if not (is_own and event.case_id and _closes_case(event)):
            return []
        visible_case = await load.one(Case, event.case_id)
        return [] if visible_case else [RecordLost(cursor=cursor, id=strawberry.ID(event.case_id))]

    async def _assignment_changes(self, event: RecordEvent) -> list[RecordChange]:
        """Return the changes for an assignment's event.

        If the assignment gives the viewer access to its case or ends this access, the case's other assignments appear
        or disappear too. They are included.
        """
        load, cursor = self.context.load, self.cursor()
        changes: list[RecordChange] = []
        if event.case_id and event.assignee_id == self.viewer.user_id:
            is_offered = _is(event, AssignmentState.OFFERED)
            case_ids = [event.case_id] if is_offered or _closes_case(event) else []
            siblings = await self.context.store.assignments.of_cases(case_ids, {}) if case_ids else []
            # The viewer never saw an assignment that was offered after their own was withdrawn or handed on.
            ends = [own.ended_at for own in siblings if own.id == event.id and own.ended_at]
            known = [one for one in siblings if not ends or one.offered_at <= ends[0]]
            for id in (sibling.id for sibling in known if sibling.id != event.id):
                assignment = await load.one(Assignment, id)
                if assignment and is_offered:
                    changes.append(AssignmentChanged(cursor=cursor, assignment=assignment))
                elif not assignment:
                    changes.append(RecordLost(cursor=cursor, id=id))
        changed = await load.one(Assignment, event.id)
        return [*changes, AssignmentChanged(cursor=cursor, assignment=changed)] if changed else changes


def _closes_case(event: RecordEvent) -> bool:
    return _is(event, AssignmentState.WITHDRAWN) or _is(event, AssignmentState.HANDED_ON)


def _is(event: RecordEvent, state: AssignmentState) -> bool:
    return event.state == str(state.value)
