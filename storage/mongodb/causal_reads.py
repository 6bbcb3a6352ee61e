"""Make the reads of a task causal: no read sees less than the reads before it, whichever member answers.

Just after a failover, the new primary may not know yet which of its entries the majority has. A page of changes would
then skip the entries that the server does not show. Writes need no such care: they wait for the majority.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass
class _ReadTime:
    """`seen` is the server's time of the latest read; None before the first read."""

    seen: Any = None


_READ_TIME: ContextVar[_ReadTime | None] = ContextVar("read_time", default=None)


def begin_causal_reads() -> None:
    """Make all further reads causal, in this task and the tasks that it starts."""
    _READ_TIME.set(_ReadTime())


@asynccontextmanager
async def session_for(session: Any, start: Callable[[], Awaitable[Any]]) -> AsyncIterator[Any]:
    """Yield the caller's session if there is one, else a causal one if `begin_causal_reads` was called, else None.

    Each causal read has its own session, since several reads may run at once.
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
