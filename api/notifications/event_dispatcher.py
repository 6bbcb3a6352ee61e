"""Dispatch record events to all subscribers of this process, from one reader of MongoDB's change stream.

The newest events are kept in memory for subscribers who return after a gap. If a subscriber needs older events, they
are read again from the change stream. One such read serves all subscribers who need these events.
"""

import asyncio
from collections import deque
from itertools import takewhile
from typing import Protocol

import structlog

from schema.core.refusals import Refusal
from storage.mongodb.errors import HistoryLostError, StoreError
from storage.notifications.record_events import Batch, RecordEvent, RecordEventLog

MAX_KEPT = 10_000
"""Maximum number of events in memory, about 10 MB.

A subscriber who missed more events must pull everything. That costs less than to process so many events.
"""
AGAIN_SECONDS = 1.0
REACH_SECONDS = 20.0
"""Maximum time to read older events again. After it, the subscriber must pull everything, which costs less.

The read can be slow because MongoDB reads all changes of the missed time, not only the changes of our records.
"""
log = structlog.get_logger(__name__)


class EventListener(Protocol):
    """One subscriber, as the dispatcher sees it. These methods must return at once, without waiting."""

    def on_event(self, event: RecordEvent) -> None: ...
    def on_position(self, position: str) -> None:
        """Called when all events up to this position were sent to the listener."""

    def on_gap(self) -> None:
        """Called when events were missed."""

    def on_stop(self) -> None:
        """Called when the server stops."""


class EventDispatcher:
    def __init__(self, events: RecordEventLog) -> None:
        self._log = events
        self._recent: deque[RecordEvent] = deque()
        self._floor = self._head = ""
        self._too_far = ""
        """Position from which reading older events took too long. Reads from it or from before are not tried again."""
        self._started = asyncio.Event()
        self._backfilling = asyncio.Lock()
        self._listeners: set[EventListener] = set()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Read events for ever. Continue after the database was down or MongoDB's change history was overwritten."""
        while True:
            try:
                async with self._log.open_reader(self._head or None) as reader:
                    while True:
                        self._dispatch(await reader.next())
            except HistoryLostError:
                log.warning("MongoDB overwrote its change history before it was read; all subscribers pull again.")
                self._reset()
            except (Refusal, StoreError) as error:
                log.warning("work failed", work="notices", reason=type(error).__name__)
            except Exception:
                log.exception("work failed", work="notices")  # the process keeps serving
            await asyncio.sleep(AGAIN_SECONDS)

    def stop(self) -> None:
        """Tell every listener that the server stops. A listener that is added later is told at once."""
        self.stopping.set()
        for listener in self._listeners:
            listener.on_stop()

    async def add_listener(self, listener: EventListener, since: str | None) -> str:
        """Send a listener every event after position `since`, or after now if it is None. Return the start position.

        Wait until the database can be read. Raise `HistoryLostError` if there are too many events after `since`.
        """
        await self._started.wait()
        if since is not None and since < self._floor:
            await self._backfill(since)
        # There must be no await from here on. Otherwise events could be missed between `_recent` and the next batch.
        start = since if since is not None else self._head
        for event in [*takewhile(lambda event: event.position > start, reversed(self._recent))][::-1]:
            listener.on_event(event)
        listener.on_position(max(start, self._head))
        self._listeners.add(listener)
        if self.stopping.is_set():
            listener.on_stop()
        return start

    def remove_listener(self, listener: EventListener) -> None:
        self._listeners.discard(listener)

    @property
    def head(self) -> str:
        """Position up to which all events were dispatched."""
        return self._head

    @property
    def listener_count(self) -> int:
        return len(self._listeners)

    def _dispatch(self, batch: Batch) -> None:
        events = batch.events
        if not self._started.is_set():
            # Events before the first event are unknown, so `_recent` is complete only from the first event on.
            self._floor = events[0].position if events else batch.position
            events = events[1:]
            self._started.set()
            for listener in self._listeners:
                listener.on_gap()  # only now, so that the records then pulled are no older than the events that follow
        for event in events:
            self._recent.append(event)
            if len(self._recent) > MAX_KEPT:
                self._floor = self._recent.popleft().position
            for listener in self._listeners:
                listener.on_event(event)
        self._head = batch.position
        for listener in self._listeners:
            listener.on_position(batch.position)

    def _reset(self) -> None:
        self._recent.clear()
        self._floor = self._head = self._too_far = ""
        self._started.clear()

    async def _backfill(self, since: str) -> None:
        """Read again the events between `since` and the oldest event in memory.

        One caller reads at a time. A caller that waited finds that all or most of its events are in memory by then.
        """
        async with self._backfilling:
            floor = self._floor
            if since >= floor:
                return
            if since <= self._too_far:
                raise HistoryLostError
            older: list[RecordEvent] = []
            async with self._log.open_reader(since) as reader:
                reached, deadline = since, asyncio.get_running_loop().time() + REACH_SECONDS
                while reached < floor:
                    batch = await reader.next()
                    if batch.position < floor and not batch.events:
                        await self._log.write_heartbeat()
                    older += takewhile(lambda event: event.position <= floor, batch.events)
                    reached = batch.position
                    is_late = asyncio.get_running_loop().time() > deadline
                    if is_late or len(older) + len(self._recent) > MAX_KEPT or floor != self._floor:
                        self._too_far = since if self._floor else ""
                        raise HistoryLostError
            self._recent.extendleft(reversed(older))
            self._floor = since
