"""Store in MongoDB when and with which seed the loading of the demo began, and whether the demo is complete."""

from dataclasses import dataclass
from datetime import datetime

from storage.mongodb.client import Mongo
from storage.mongodb.errors import DuplicateError

ID = "demo"


@dataclass(frozen=True)
class DemoState:
    """A demo whose loading began. `seed` and `began_at` determine all content of the demo, so loading can be resumed.

    `is_whole` is true when the demo is complete.
    """

    seed: int
    began_at: datetime
    is_whole: bool


class Demos:
    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._demos = mongo.collection("demos")

    async def find(self) -> DemoState | None:
        demo = await self._demos.find_one({"_id": ID})
        return DemoState(demo["seed"], demo["began_at"], demo["whole_at"] is not None) if demo else None

    async def begin(self, seed: int, now: datetime) -> DemoState:
        """Store that the demo begins. If it began earlier, return the stored state of that time."""
        try:
            await self._demos.insert_one({"_id": ID, "seed": seed, "began_at": now, "whole_at": None})
        except DuplicateError:
            demo = await self.find()
            if demo is None:
                raise
            return demo
        return DemoState(seed, now, is_whole=False)

    async def finish(self, now: datetime) -> None:
        await self._demos.update_one({"_id": ID}, {"$set": {"whole_at": now}})

    async def is_empty(self) -> bool:
        """Return whether the database has no units and no users yet."""
        counts = [await self._mongo.collection(name).count({}) for name in ("units", "users")]
        return not any(counts)
