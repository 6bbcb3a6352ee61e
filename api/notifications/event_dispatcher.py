"""The notice board: one reader of the database's changes in each process, who tells all subscribers of it.

What a subscriber makes of a notice is left to `subscribers.py`. The newest notices are kept for those who come back after
a gap; what lies further back is read again, once for all who ask.
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
"""Some 10 MB; those who were away for longer pull everything, which costs less than so many events."""
AGAIN_SECONDS = 1.0
REACH_SECONDS = 20.0
"""The server reads its whole history of that time, whatever of it is ours: longer than so, a pull costs less."""
log = structlog.get_logger(__name__)


class EventListener(Protocol):
    """One subscriber, as the board knows it; none of these calls waits."""

    def offer(self, notice: RecordEvent) -> None: ...
    def reached(self, position: str) -> None:
        """There is nothing else up to here."""

    def lost(self) -> None:
        """Notices were missed."""

    def stop(self) -> None:
        """The server is going down."""


class EventDispatcher:
    def __init__(self, notices: RecordEventLog) -> None:
        self._log = notices
        self._kept: deque[RecordEvent] = deque()
        self._floor = self._head = ""
        self._too_far = ""
        """From here on back there is more than is read for anybody: nobody has it read again to find that out."""
        self._begun = asyncio.Event()
        self._reaching = asyncio.Lock()
        self._readers: set[EventListener] = set()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Read for ever: over a database that goes away, and over a history that was overwritten meanwhile."""
        while True:
            try:
                async with self._log.reading(self._head or None) as reader:
                    while True:
                        self._post(await reader.next())
            except HistoryLostError:
                log.warning("The history of changes was overwritten before it was read; all subscribers pull anew.")
                self._begin_anew()
            except (Refusal, StoreError) as error:
                log.warning("work failed", work="notices", reason=type(error).__name__)
            except Exception:
                log.exception("work failed", work="notices")  # the process serves on
            await asyncio.sleep(AGAIN_SECONDS)

    def stop(self) -> None:
        """Every stream ends, and none begins any more."""
        self.stopping.set()
        for reader in self._readers:
            reader.stop()

    async def join(self, reader: EventListener, since: str | None) -> str:
        """Tell `reader` of all that comes after `since`, or from now on; the position it begins at.

        Raise `HistoryLostError` where too much lies between. Until the database can be read, this waits.
        """
        await self._begun.wait()
        if since is not None and since < self._floor:
            await self._reach_back(since)
        # From here on nothing waits: between what is kept and what comes there is no gap.
        start = since if since is not None else self._head
        for notice in [*takewhile(lambda each: each.position > start, reversed(self._kept))][::-1]:
            reader.offer(notice)
        reader.reached(max(start, self._head))
        self._readers.add(reader)
        if self.stopping.is_set():
            reader.stop()
        return start

    def leave(self, reader: EventListener) -> None:
        self._readers.discard(reader)

    @property
    def head(self) -> str:
        """Up to where everything has been told."""
        return self._head

    @property
    def reader_count(self) -> int:
        return len(self._readers)

    def _post(self, batch: Batch) -> None:
        notices = batch.notices
        if not self._begun.is_set():
            # What lies before the first notice is not known: what is kept is whole only after it.
            self._floor = notices[0].position if notices else batch.position
            notices = notices[1:]
            self._begun.set()
            for reader in self._readers:
                reader.lost()  # only now: what they pull then is no older than what they are told from here on
        for notice in notices:
            self._kept.append(notice)
            if len(self._kept) > MAX_KEPT:
                self._floor = self._kept.popleft().position
            for reader in self._readers:
                reader.offer(notice)
        self._head = batch.position
        for reader in self._readers:
            reader.reached(batch.position)

    def _begin_anew(self) -> None:
        self._kept.clear()
        self._floor = self._head = self._too_far = ""
        self._begun.clear()

    async def _reach_back(self, since: str) -> None:
        """Read what lies between `since` and what is kept, one at a time: who waits meanwhile finds it done, or nearly."""
        async with self._reaching:
            floor = self._floor
            if since >= floor:
                return
            if since <= self._too_far:
                raise HistoryLostError
            found: list[RecordEvent] = []
            async with self._log.reading(since) as reader:
                reached, deadline = since, asyncio.get_running_loop().time() + REACH_SECONDS
                while reached < floor:
                    batch = await reader.next()
                    if batch.position < floor and not batch.notices:
                        await self._log.write_heartbeat()
                    found += takewhile(lambda each: each.position <= floor, batch.notices)
                    reached = batch.position
                    is_late = asyncio.get_running_loop().time() > deadline
                    if is_late or len(found) + len(self._kept) > MAX_KEPT or floor != self._floor:
                        self._too_far = since if self._floor else ""
                        raise HistoryLostError
            self._kept.extendleft(reversed(found))
            self._floor = since
