"""Number the records of an office per year, from 1 and without gaps."""

from collections.abc import Sequence
from typing import Literal, get_args

from storage.mongodb.client import Document, Mongo, Session

Series = Literal["cases", "notices"]


class Numbers:
    def __init__(self, mongo: Mongo) -> None:
        self._counters = mongo.collection("counters")

    async def take(self, series: Series, office_id: str, year: int, session: Session) -> int:
        """Return the office's next number of the year. If the transaction fails, the number is not used up."""
        counter = await self._counters.change_one(
            {"_id": f"{series}:{office_id}:{year}"}, {"$inc": {"last": 1}}, upsert=True, session=session
        )
        return int(counter["last"]) if counter else 1

    async def skip(self, office_ids: Sequence[str], year: int, count: int) -> None:
        """Leave out the next `count` numbers of each office and series, because records that are lost may have them."""
        skipped: Document = {"$inc": {"last": count}}
        ids = [f"{series}:{id}:{year}" for series in get_args(Series) for id in office_ids]
        await self._counters.upsert_many([({"_id": id}, skipped) for id in ids])
