"""Keep a lease on a piece of work while the work goes on.

If a worker dies, its lease runs out, and another worker can take over.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import anyio

from schema.core.refusals import Refusal
from storage.mongodb.errors import StoreError
from storage.processes.task_groups import collapse_exception_groups

LEASE = timedelta(seconds=15)
"""Time from a worker's last sign of life until another worker may take over its work."""


@asynccontextmanager
async def keep_lease(
    prolong: Callable[[datetime], Awaitable[bool]], now: Callable[[], datetime], lease: timedelta
) -> AsyncIterator[None]:
    """Prolong a lease during the block, at every third of the lease's duration.

    `prolong(until)` returns False if the work is done or another worker has claimed it. Then the lease is no longer
    prolonged.
    """

    async def prolong_regularly() -> None:
        is_held = True
        while is_held:
            await anyio.sleep(lease / timedelta(seconds=3))
            with suppress(Refusal, StoreError):  # the database may answer again before the lease ends
                is_held = await prolong(now() + lease)

    with collapse_exception_groups():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(prolong_regularly)
            yield
            tasks.cancel_scope.cancel()
