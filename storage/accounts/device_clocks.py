"""Store the readings of device clocks in MongoDB. Each reading is stored once, never changed, and kept for two years."""

from datetime import timedelta
from typing import Any

from schema.accounts.device_clocks import ClockReading
from schema.core.pagination import Page
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Filter, Mongo, Sort
from storage.mongodb.codecs import to_document
from storage.mongodb.keyset_pagination import time_and_id
from storage.mongodb.records import Records

SORT: Sort = (("read_at", DESCENDING), ("_id", DESCENDING))
KEPT_FOR = timedelta(days=730)
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("user_id", DESCENDING), ("device_id", DESCENDING), *SORT), {}),
    ((("read_at", ASCENDING),), {"expireAfterSeconds": int(KEPT_FOR.total_seconds())}),
]


class DeviceClocks:
    """Clock readings, separate for each pair of person and device. Two people on one device have separate readings."""

    def __init__(self, mongo: Mongo) -> None:
        self._readings = mongo.collection("clock_readings")
        self._records = Records(mongo, "clock_readings", ClockReading)

    async def add(self, reading: ClockReading) -> None:
        """Store the reading.

        If a reading with the same device time, to the minute, is stored, do nothing. Then the request is a repeat, or
        the reading tells hardly more than the other.
        """
        await self._readings.insert_many([to_document(reading) | {"_id": _id(reading)}])

    async def latest(self, user_id: str, device_id: str) -> ClockReading | None:
        readings = await self.page(user_id, device_id, Page(1, None))
        return readings[0] if readings else None

    async def page(self, user_id: str, device_id: str, page: Page) -> list[ClockReading]:
        """Return a page of the readings of one person's device, newest first."""
        filter: Filter = {"user_id": user_id, "device_id": device_id}
        return await keyset_pagination.fetch(self._records, filter, SORT, page, read=time_and_id)


def keyset_of(reading: ClockReading) -> tuple[str, str]:
    return reading.read_at.isoformat(), _id(reading)


def _id(reading: ClockReading) -> str:
    return f"{reading.user_id}:{reading.device_id}:{reading.device_at.isoformat(timespec='minutes')}"
