"""Read the database's changes in batches, from a stream that can be resumed."""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.mongodb.client import Document, Mongo
from storage.mongodb.errors import HistoryLostError

WAIT_MILLISECONDS = 200
GATHER_SECONDS = 0.5
"""Under constant writes a batch would never end by itself."""


@dataclass(frozen=True)
class ChangeBatch:
    """Changes in the order of the server's log. `is_all`: there were no more when it was read."""

    events: list[Document]
    is_all: bool

    @property
    def at(self) -> datetime | None:
        """When the last change was written, by the server's clock, in whole seconds. No earlier change is missing."""
        at: datetime | None = self.events[-1]["clusterTime"].as_datetime() if self.events else None
        return at


async def gather_batch(stream: Any, max_changes: int) -> ChangeBatch:
    """Read until the stream pauses, or `max_changes` are read, or `GATHER_SECONDS` have passed."""
    changes: list[Document] = []
    end = time.monotonic() + GATHER_SECONDS
    while len(changes) < max_changes and time.monotonic() < end:
        change = await stream.try_next()
        if change is None:
            return ChangeBatch(changes, is_all=True)
        changes.append(change)
    return ChangeBatch(changes, is_all=False)


@contextlib.asynccontextmanager
async def follow(mongo: Mongo, pipeline: Sequence[Document], after: Document | None) -> AsyncIterator["ChangeStream"]:
    """Follow the changes of all collections, from the token `after` or from now. Raise `HistoryLostError`."""
    async with mongo.changes(pipeline, resume_after=after, max_await_time_ms=WAIT_MILLISECONDS) as stream:
        yield ChangeStream(stream)


class ChangeStream:
    """An open stream of changes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def batch(self, max_changes: int) -> ChangeBatch:
        """Return the next changes; an empty batch if nothing changes for a short while.

        Raise `HistoryLostError` if the stream has ended, because the database it followed is gone.
        """
        if not self._stream.alive:
            raise HistoryLostError
        return await gather_batch(self._stream, max_changes)

    @property
    def token(self) -> Document | None:
        """The position to resume from, once all read changes are processed."""
        token: Document | None = self._stream.resume_token
        return token
