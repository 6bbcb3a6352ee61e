"""End this process if its work stands still, so that its supervisor starts it again.

A thread looks every few seconds at what is in progress: turns of the event loop, calls of the database driver, and
pieces of background work. If it sees the same thing again and again, the process hangs. It counts its own looks instead
of seconds, because a process that was stopped and continued has not stood still.
"""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
import structlog

from storage.mongodb.driver_calls import CallProgress, begin_progress, open_calls

LOOK_SECONDS = 5.0
LOOKS = 60
"""Five minutes. The longest call of the driver is a transaction that is run again and again, for up to two minutes."""
EXIT_CODE = 75
"""The code of `sysexits.h` for a failure that passes by itself."""
Sign = tuple[str, int]
"""What is in progress, and a number that changes with every progress."""

log = structlog.get_logger(__name__)


@dataclass
class WorkInProgress:
    """The pieces of background work that this process is doing."""

    _pieces: dict[int, tuple[str, CallProgress]] = field(default_factory=dict)
    _begun: int = 0

    @contextmanager
    def track(self, kind: str) -> Iterator[None]:
        """Track one piece of work during the block. Every database call that ends is progress."""
        self._begun += 1
        number = self._begun
        self._pieces[number] = kind, begin_progress()
        try:
            yield
        finally:
            del self._pieces[number]

    def signs(self) -> list[Sign]:
        return [(f"{kind} {number}", progress.ended) for number, (kind, progress) in list(self._pieces.items())]


@dataclass
class LoopTurns:
    """Counts in the event loop. If the loop is blocked, the count stays the same."""

    seconds: float
    _turns: int = 0

    async def run(self) -> None:
        while True:
            self._turns += 1
            await anyio.sleep(self.seconds)

    def signs(self) -> list[Sign]:
        return [("event loop", self._turns)]


def driver_signs() -> list[Sign]:
    """Return the calls of the database driver that have not ended."""
    return [("database call", number) for number in open_calls()]


class Watchdog:
    """Looks at the signs of `sources`. A sign that was there at `looks` looks in a row stands still."""

    def __init__(self, sources: Iterable[Callable[[], list[Sign]]], looks: int = LOOKS) -> None:
        self._sources = tuple(sources)
        self._looks = looks
        self._seen: dict[Sign, int] = {}

    def look(self) -> list[str]:
        """Look once. Return what stands still."""
        signs = {sign for source in self._sources for sign in source()}
        self._seen = {sign: self._seen.get(sign, 0) + 1 for sign in signs}
        return sorted(name for (name, _), times in self._seen.items() if times > self._looks)


def end_process(still: list[str]) -> None:
    """End this process at once. The log gets what stood still and where every thread was."""
    log.error("stands still", what=still)
    faulthandler.dump_traceback(sys.__stderr__ or 2)
    os._exit(EXIT_CODE)


@contextmanager
def watching(
    *sources: Callable[[], list[Sign]],
    seconds: float = LOOK_SECONDS,
    looks: int = LOOKS,
    end: Callable[[list[str]], None] = end_process,
) -> Iterator[None]:
    """Watch during the block, by a thread that looks every `seconds`."""
    watchdog, is_over = Watchdog(sources, looks), threading.Event()

    def watch() -> None:
        while not is_over.wait(seconds):
            if still := watchdog.look():
                end(still)

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
