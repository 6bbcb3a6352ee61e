"""Following: what changes in the database, read in batches from a stream that can be taken up again where it was left.

Opening the stream is left to `mongo.py`.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from storage.faults import HistoryLost
from storage.mongo import Document, Mongo

WAIT_MILLISECONDS = 200


@contextlib.asynccontextmanager
async def follow(mongo: Mongo, pipeline: Sequence[Document], after: Document | None) -> AsyncIterator["Following"]:
    """The changes of all collections, from the token `after` on, or from now; raises `HistoryLost`."""
    async with mongo.changes(pipeline, resume_after=after, max_await_time_ms=WAIT_MILLISECONDS) as stream:
        yield Following(stream)


class Following:
    """An open stream of changes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def batch(self, most: int) -> list[Document]:
        """What has changed, in the order of the server's log; none after a short while in which nothing did.

        Raises `HistoryLost` where the stream has ended: what it followed is there no longer.
        """
        if not self._stream.alive:
            raise HistoryLost
        found: list[Document] = []
        while len(found) < most and (change := await self._stream.try_next()) is not None:
            found.append(change)
        return found

    @property
    def token(self) -> Document | None:
        """From where to go on once what has been read is dealt with."""
        token: Document | None = self._stream.resume_token
        return token
