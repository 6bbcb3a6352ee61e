"""Read the changes of the database in batches, from a MongoDB change stream that can be resumed."""

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
"""Maximum time to collect one batch. Without it, a batch would never end while the database is written constantly."""


@dataclass(frozen=True)
class ChangeBatch:
    """Changes in the order of the server's log. `is_all` means that there were no more changes at the end."""

    events: list[Document]
    is_all: bool

    @property
    def at(self) -> datetime | None:
        """Time when the last change was written, by the server's clock, in whole seconds. None if there are no changes.

        All earlier changes are in this batch or in earlier batches.
        """
        at: datetime | None = self.events[-1]["clusterTime"].as_datetime() if self.events else None
        return at


async def gather_batch(stream: Any, max_changes: int) -> ChangeBatch:
    """Read until there are no more changes for now, `max_changes` are read, or `GATHER_SECONDS` have passed."""
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
    """Follow the changes of all collections, from the position `after`, or from now if it is None.

    Raise `HistoryLostError` if the server no longer has the changes after this position.
    """
    async with mongo.changes(pipeline, resume_after=after, max_await_time_ms=WAIT_MILLISECONDS) as stream:
        yield ChangeStream(stream)


class ChangeStream:
    """An open stream of changes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def batch(self, max_changes: int) -> ChangeBatch:
        """Return the next changes. The batch is empty if nothing changes within `WAIT_MILLISECONDS`.

        Raise `HistoryLostError` if the stream has ended because the database was dropped.
        """
        if not self._stream.alive:
            raise HistoryLostError
        return await gather_batch(self._stream, max_changes)

    @property
    def token(self) -> Document | None:
        """Position after all changes read so far. Save it once these changes are processed, and resume from it."""
        token: Document | None = self._stream.resume_token
        return token
