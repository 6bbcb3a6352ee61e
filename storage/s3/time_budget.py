"""Bound how long one request of a phone waits for the object store.

A thread that calls the store can't be interrupted. When the time is up, the caller goes on without the thread's answer.
The thread ends soon after, because calls within a budget have short timeouts.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import TypeVar

from schema.core.refusals import Refusal, RefusalCode

T = TypeVar("T")
SECONDS = 3.0
"""Time that all calls of one request may take together. Phones wait for the answer, and people for the phones."""


@dataclass
class TimeBudget:
    """The time that is left for calls. It runs from the first call on. `ends_at` is None before this call."""

    seconds: float
    ends_at: float | None = None

    def remaining_seconds(self) -> float:
        now = time.monotonic()
        if self.ends_at is None:
            self.ends_at = now + self.seconds
        return max(self.ends_at - now, 0.0)


_BUDGET: ContextVar[TimeBudget | None] = ContextVar("store_time_budget", default=None)


@contextmanager
def store_time_budget(seconds: float = SECONDS) -> Iterator[None]:
    """Bound the calls of the object store in this block to `seconds` in sum."""
    token = _BUDGET.set(TimeBudget(seconds))
    try:
        yield
    finally:
        _BUDGET.reset(token)


def current_budget() -> TimeBudget | None:
    """Return the budget of this task or thread, or None if its calls may take as long as they need."""
    return _BUDGET.get()


async def run_within(budget: TimeBudget, threads: Executor, work: Callable[[], T]) -> T:
    """Run `work` in one of `threads`. Raise `Refusal(UNAVAILABLE)` when the time is up.

    Work that waits for a thread is dropped then. Work that has begun goes on, and nobody hears its answer.
    """
    running = asyncio.wrap_future(threads.submit(copy_context().run, work))
    done, _ = await asyncio.wait({running}, timeout=budget.remaining_seconds())
    if not done:
        running.cancel()
        raise Refusal(RefusalCode.UNAVAILABLE)
    return running.result()
