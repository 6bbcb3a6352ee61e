"""Make the reads of a task causal: no read sees an older state than the reads before it.

This holds even if another member of the replica set answers.
Just after a failover, the new primary may not know yet which of its writes the majority has, and does not show them. A
page of changes would then skip these changes. Writes need no such care, because they wait for the majority.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass
class _ReadTime:
    """The state of causal reads in a task. `seen` is the server's time of the latest read, or None before any read."""

    seen: Any = None


_READ_TIME: ContextVar[_ReadTime | None] = ContextVar("read_time", default=None)


def begin_causal_reads() -> None:
    """Make all further reads causal, in this task and the tasks that it starts."""
    _READ_TIME.set(_ReadTime())


@asynccontextmanager
async def session_for(session: Any, start: Callable[[], Awaitable[Any]]) -> AsyncIterator[Any]:
    """Yield the session for one read.

    This is the caller's `session` if there is one. Otherwise it is a new causal session from `start` if
    `begin_causal_reads` was called, else None. Each causal read gets its own session, because several reads may run at
    once.
    """
    read_time = _READ_TIME.get()
    if session is not None or read_time is None:
        yield session
        return
    async with await start() as causal:
        if read_time.seen is not None:
            causal.advance_operation_time(read_time.seen)
        yield causal
        if read_time.seen is None or causal.operation_time > read_time.seen:
            read_time.seen = causal.operation_time
