"""Following: what changes in the database, read in batches from a stream that can be taken up again where it was left.

Opening the stream is left to `mongo.py`.
"""

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
"""How long a batch is gathered: where something is written all the time, its end never comes by itself."""


@dataclass(frozen=True)
class ChangeBatch:
    """What has changed, in the order of the server's log; `is_all` says that nothing more had by the time it was read."""

    events: list[Document]
    is_all: bool

    @property
    def at(self) -> datetime | None:
        """When the last was written, by the server's clock, in whole seconds; all that was before is there."""
        at: datetime | None = self.events[-1]["clusterTime"].as_datetime() if self.events else None
        return at


async def gathered(stream: Any, most: int) -> ChangeBatch:
    """Read until nothing comes for a moment, or there are `most`, or it is time to deal with what has come."""
    found: list[Document] = []
    end = time.monotonic() + GATHER_SECONDS
    while len(found) < most and time.monotonic() < end:
        change = await stream.try_next()
        if change is None:
            return ChangeBatch(found, is_all=True)
        found.append(change)
    return ChangeBatch(found, is_all=False)


@contextlib.asynccontextmanager
async def follow(mongo: Mongo, pipeline: Sequence[Document], after: Document | None) -> AsyncIterator["Following"]:
    """The changes of all collections, from the token `after` on, or from now; raises `HistoryLostError`."""
    async with mongo.changes(pipeline, resume_after=after, max_await_time_ms=WAIT_MILLISECONDS) as stream:
        yield Following(stream)


class Following:
    """An open stream of changes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def batch(self, most: int) -> ChangeBatch:
        """What has changed; nothing after a short while in which nothing did.

        Raises `HistoryLostError` where the stream has ended: what it followed is there no longer.
        """
        if not self._stream.alive:
            raise HistoryLostError
        return await gathered(self._stream, most)

    @property
    def token(self) -> Document | None:
        """From where to go on once what has been read is dealt with."""
        token: Document | None = self._stream.resume_token
        return token
