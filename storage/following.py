"""Following: what changes in the database, read in batches from a stream that can be taken up again where it was left.

Opening the stream is left to `mongo.py`.
"""

from typing import Any

from storage.faults import HistoryLost


class Following:
    """An open stream of changes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def batch(self, most: int) -> list[dict[str, Any]]:
        """What has changed, in the order of the server's log; none after a short while in which nothing did.

        Raises `HistoryLost` where the stream has ended: what it followed is there no longer.
        """
        if not self._stream.alive:
            raise HistoryLost
        found: list[dict[str, Any]] = []
        while len(found) < most and (change := await self._stream.try_next()) is not None:
            found.append(change)
        return found

    @property
    def token(self) -> dict[str, Any] | None:
        """From where to go on once what has been read is dealt with."""
        token: dict[str, Any] | None = self._stream.resume_token
        return token
