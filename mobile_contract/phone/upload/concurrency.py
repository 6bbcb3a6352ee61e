"""Limit parallel uploads to what the connection can carry, and save the bandwidth estimate for the next start."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.upload.bandwidth import Bandwidth

FACT = "line"
MIN_BYTES = 2**20
MIN_SECONDS = 2.0
"""A PUT below both minimums doesn't measure the bandwidth: it shows mainly the latency of the object store."""


class UploadConcurrency:
    """The parallel uploads of one phone, at most `most`."""

    def __init__(self, outbox: Outbox, most: int) -> None:
        self._outbox = outbox
        self._max_parallel = most
        self._under_way = 0
        self._freed = asyncio.Condition()
        saved = outbox.get_fact(FACT)
        self.bandwidth = self._saved = Bandwidth(**json.loads(saved)) if saved else Bandwidth()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """Wait until the connection can carry one more PUT. Count this PUT until the `with` block ends."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._under_way < self.bandwidth.parallel_puts(self._max_parallel))
            self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            async with self._freed:
                self._freed.notify_all()

    def start_put(self) -> tuple[float, int]:
        """Return the start time of a PUT (monotonic clock), and the number of other PUTs under way."""
        return time.monotonic(), self._under_way - 1

    def record_success(self, byte_size: int, began: tuple[float, int]) -> None:
        """Update the estimate after a successful PUT."""
        at, beside = began
        seconds = time.monotonic() - at
        if byte_size >= MIN_BYTES or seconds >= MIN_SECONDS:
            self.bandwidth = self.bandwidth.after_put(byte_size, seconds, (beside + self._under_way - 1) / 2)
        else:
            self.bandwidth = self.bandwidth.after_small_put()

    def record_break(self) -> None:
        """Update the estimate after a PUT broke while sending."""
        self.bandwidth = self.bandwidth.after_break()

    def part_bytes(self, byte_size: int) -> int:
        return self.bandwidth.part_bytes(byte_size, self._max_parallel)

    def save(self) -> None:
        """Save the estimate on disk if it has changed."""
        if self.bandwidth != self._saved:
            self._outbox.set_fact(FACT, json.dumps(asdict(self.bandwidth)))
            self._saved = self.bandwidth
