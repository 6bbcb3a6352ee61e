"""Queue the events of one subscriber, up to a limit, and decide which events concern a viewer.

An event only says that a record changed. The stream then reads the record from the database, if the viewer may see it.
"""

import asyncio

from schema.access.viewers import Role, Viewer
from storage.notifications.record_events import EventKind, RecordEvent

MAX_WAITING = 512
"""Maximum number of changed records that wait for a subscriber. Several changes of a record count once.

If more records wait, they are dropped and the subscriber must pull everything, which costs less.
"""


class Subscriber:
    """The queue of one subscriber. Implements `EventListener`.

    All events up to `position` were received, and some of them may still wait in the queue. `is_overrun` means that
    events were dropped. `was_touched` means that the viewer's own account changed. The reader resets both flags.
    """

    def __init__(self, viewer: Viewer, kinds: frozenset[EventKind]) -> None:
        self.viewer = viewer
        self.position = ""
        self.is_overrun = False
        self.was_touched = False
        self.is_stopped = False
        self._kinds = kinds
        self._waiting: dict[tuple[EventKind, str], RecordEvent] = {}
        self._wakeup = asyncio.Event()

    def on_event(self, event: RecordEvent) -> None:
        if event.position <= self.position:
            return
        if event.kind is EventKind.USER:
            if event.id == self.viewer.user_id:
                self.was_touched = True
                self._wakeup.set()
            return
        if self.is_overrun or event.kind not in self._kinds or not concerns(event, self.viewer):
            return
        # The newest event of a record replaces its earlier events: the record is read only when the event is sent.
        self._waiting.pop((event.kind, event.id), None)
        if len(self._waiting) >= MAX_WAITING:
            self.on_gap()
            return
        self._waiting[event.kind, event.id] = event
        self._wakeup.set()

    def on_position(self, position: str) -> None:
        self.position = max(position, self.position)

    def on_gap(self) -> None:
        self._waiting.clear()
        self.is_overrun = True
        self._wakeup.set()

    def on_stop(self) -> None:
        self.is_stopped = True
        self._wakeup.set()

    def wake(self) -> None:
        self._wakeup.set()

    def pop_event(self) -> RecordEvent | None:
        """Return the next event, or None if no event waits."""
        if not self._waiting:
            return None
        return self._waiting.pop(next(iter(self._waiting)))

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    async def wait(self, seconds: float) -> None:
        """Wait until something happens for this subscriber, at most `seconds`."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._wakeup.wait()
        except TimeoutError:
            return
        self._wakeup.clear()


def concerns(event: RecordEvent, viewer: Viewer) -> bool:
    """Return False only if the event surely does not concern the viewer.

    The result is True if the viewer may see the record or could see it before. It may also be True for other viewers.
    """
    if viewer.user_id == event.assignee_id or viewer.user_id in event.granted:
        return True
    in_scope = event.office_path is not None and viewer.covers(event.office_path)
    return in_scope and viewer.has(Role.SUPERVISOR, Role.OFFICER)
