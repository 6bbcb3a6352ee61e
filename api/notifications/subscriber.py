"""Subscribers: what waits for one of them, bounded, and which notices concern whom.

A notice only wakes: what a subscriber is shown is read anew, with visibility in the filter, by `streams.py`.
"""

import asyncio

from schema.access.viewers import Role, Viewer
from storage.notifications.record_events import EventKind, RecordEvent

MAX_WAITING = 512
"""Records, however often each changed: whoever has more to catch up with pulls everything at less cost."""


class Subscriber:
    """Implements `notice_board.Reader`.

    `position` is up to where nothing is left but what waits; `is_overrun` says that notices were dropped since it was
    last read, `was_touched` that the viewer's own account changed.
    """

    def __init__(self, viewer: Viewer, kinds: frozenset[EventKind]) -> None:
        self.viewer = viewer
        self.position = ""
        self.is_overrun = False
        self.was_touched = False
        self.is_stopped = False
        self._kinds = kinds
        self._waiting: dict[tuple[EventKind, str], RecordEvent] = {}
        self._rung = asyncio.Event()

    def offer(self, notice: RecordEvent) -> None:
        if notice.position <= self.position:
            return
        if notice.kind is EventKind.USER:
            if notice.id == self.viewer.user_id:
                self.was_touched = True
                self._rung.set()
            return
        if self.is_overrun or notice.kind not in self._kinds or not concerns(notice, self.viewer):
            return
        # The newest notice of a record stands for those before it: what is told is the record as it is by then.
        self._waiting.pop((notice.kind, notice.id), None)
        if len(self._waiting) >= MAX_WAITING:
            self.lost()
            return
        self._waiting[notice.kind, notice.id] = notice
        self._rung.set()

    def reached(self, position: str) -> None:
        self.position = max(position, self.position)

    def lost(self) -> None:
        self._waiting.clear()
        self.is_overrun = True
        self._rung.set()

    def stop(self) -> None:
        self.is_stopped = True
        self._rung.set()

    def wake(self) -> None:
        self._rung.set()

    def take(self) -> RecordEvent | None:
        """The next notice, None where nothing waits."""
        if not self._waiting:
            return None
        return self._waiting.pop(next(iter(self._waiting)))

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    async def wait(self, seconds: float) -> None:
        """Until there is something to do, or as long."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._rung.wait()
        except TimeoutError:
            return
        self._rung.clear()


def concerns(notice: RecordEvent, viewer: Viewer) -> bool:
    """Whether the viewer may find the record, or may just have lost it; leaving out nobody who does."""
    if viewer.user_id == notice.assignee_id or viewer.user_id in notice.granted:
        return True
    in_scope = notice.office_path is not None and viewer.covers(notice.office_path)
    return in_scope and viewer.has(Role.SUPERVISOR, Role.OFFICER)
