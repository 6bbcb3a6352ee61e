"""The demo in MongoDB: whether it was begun, with which seed and at what time, and whether it is whole."""

from dataclasses import dataclass
from datetime import datetime

from storage.mongodb.client import Mongo
from storage.mongodb.errors import DuplicateError

ID = "demo"


@dataclass(frozen=True)
class Begun:
    """From `seed` and `began_at` everything follows: whoever goes on with a demo makes the same."""

    seed: int
    began_at: datetime
    is_whole: bool


class Demos:
    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._demos = mongo.collection("demos")

    async def known(self) -> Begun | None:
        found = await self._demos.find_one({"_id": ID})
        return Begun(found["seed"], found["began_at"], found["whole_at"] is not None) if found else None

    async def begin(self, seed: int, now: datetime) -> Begun:
        """The demo as whoever came first has begun it."""
        try:
            await self._demos.insert_one({"_id": ID, "seed": seed, "began_at": now, "whole_at": None})
        except DuplicateError:
            known = await self.known()
            if known is None:
                raise
            return known
        return Begun(seed, now, is_whole=False)

    async def finish(self, now: datetime) -> None:
        await self._demos.update_one({"_id": ID}, {"$set": {"whole_at": now}})

    async def is_empty(self) -> bool:
        """Whether the installation holds no units and no people yet."""
        counts = [await self._mongo.collection(name).count({}) for name in ("units", "users")]
        return not any(counts)
