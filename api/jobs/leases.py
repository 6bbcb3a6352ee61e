"""Leases: a claim on a piece of work, prolonged for as long as the work goes on; a worker that dies lets it run out.

What is claimed, and how the work is taken up again, is left to the file of each kind of work.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import anyio

from schema.core.refusals import Refusal
from storage.mongodb.errors import StoreError
from storage.processes.task_groups import collapse_exception_groups

LEASE = timedelta(seconds=15)
"""How long after a worker's last sign of life its work is taken up by another."""


@asynccontextmanager
async def held(
    hold: Callable[[datetime], Awaitable[bool]], now: Callable[[], datetime], lease: timedelta
) -> AsyncIterator[None]:
    """Prolong a lease three times in its time, by `hold(until)`, until that says that the claim is another's or done."""

    async def prolong() -> None:
        is_held = True
        while is_held:
            await anyio.sleep(lease / timedelta(seconds=3))
            with suppress(Refusal, StoreError):  # the database may be back before the lease ends
                is_held = await hold(now() + lease)

    with collapse_exception_groups():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(prolong)
            yield
            tasks.cancel_scope.cancel()
