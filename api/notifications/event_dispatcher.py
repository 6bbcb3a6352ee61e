"""Dispatch record events to all subscribers from one reader of the database's changes in each process.

The newest events are kept in memory for subscribers who return after a gap. Older events are read again, once for all who
ask for them.
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
"""Events, about 10 MB. A subscriber who was away for longer pulls everything, which costs less than so many events."""
AGAIN_SECONDS = 1.0
REACH_SECONDS = 20.0
"""MongoDB reads its whole history of the gap, not only our records. If that takes longer, a pull costs less."""
log = structlog.get_logger(__name__)


class EventListener(Protocol):
    """One subscriber, as the dispatcher calls it; these calls must not wait."""

    def on_event(self, event: RecordEvent) -> None: ...
    def on_position(self, position: str) -> None:
        """There are no other events up to this position."""

    def on_gap(self) -> None:
        """Events were missed."""

    def on_stop(self) -> None:
        """The server stops."""


class EventDispatcher:
    def __init__(self, events: RecordEventLog) -> None:
        self._log = events
        self._recent: deque[RecordEvent] = deque()
        self._floor = self._head = ""
        self._too_far = ""
        """Up to this position a read back was too long, so no subscriber makes us try it again."""
        self._started = asyncio.Event()
        self._backfilling = asyncio.Lock()
        self._listeners: set[EventListener] = set()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Read for ever, also after the database was away or the history was overwritten."""
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
        """End every stream and start no new one."""
        self.stopping.set()
        for listener in self._listeners:
            listener.on_stop()

    async def add_listener(self, listener: EventListener, since: str | None) -> str:
        """Send a listener every event after `since`, or after now. Return the position where it starts.

        Wait until the database can be read. Raise `HistoryLostError` if too many events lie between.
        """
        await self._started.wait()
        if since is not None and since < self._floor:
            await self._backfill(since)
        # No await from here on, so there is no gap between the recent events and the next batch.
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
        """The position up to which every event was dispatched."""
        return self._head

    @property
    def listener_count(self) -> int:
        return len(self._listeners)

    def _dispatch(self, batch: Batch) -> None:
        events = batch.events
        if not self._started.is_set():
            # Events before the first one are unknown, so the recent events are complete only after it.
            self._floor = events[0].position if events else batch.position
            events = events[1:]
            self._started.set()
            for listener in self._listeners:
                listener.on_gap()  # only now: what they pull then is no older than the events that follow
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
        """Read the events between `since` and the recent ones.

        One caller reads at a time. Those who wait meanwhile find their events read, or nearly.
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
