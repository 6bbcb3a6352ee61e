"""Reading onward: once it is begun, no read of a task sees less than those before it, whichever member of the set answers.

After a failover the new primary may for a moment not know yet how much of what it has is the majority's: a page of changes
would then end behind entries that it lacks. Sessions are `mongo.py`'s to start; writes are the majority's as they are.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass
class _Line:
    """`seen` is the server's time up to which was read; None before the first read."""

    seen: Any = None


_LINE: ContextVar[_Line | None] = ContextVar("line", default=None)


def read_onward() -> None:
    """From here on, in this task and those that it starts."""
    _LINE.set(_Line())


@asynccontextmanager
async def session_for(given: Any, start: Callable[[], Awaitable[Any]]) -> AsyncIterator[Any]:
    """The session to read in: the `given` one, else one that goes on from the reads before; None where nobody asked for that.

    Each read has a session of its own, since several may be under way at once.
    """
    line = _LINE.get()
    if given is not None or line is None:
        yield given
        return
    async with await start() as session:
        if line.seen is not None:
            session.advance_operation_time(line.seen)
        yield session
        if line.seen is None or session.operation_time > line.seen:
            line.seen = session.operation_time
