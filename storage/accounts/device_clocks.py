"""DeviceClocks of devices in MongoDB: every reading once, appended and never changed, by person, device and time.

What a reading means is in `schema/accounts/device_clocks.py`; who may see it is decided by `api`.
"""

from typing import Any

from schema.accounts.device_clocks import ClockReading
from schema.core.pagination import Page
from storage.mongodb import keyset_pagination
from storage.mongodb.client import DESCENDING, Filter, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.keyset_pagination import time_and_id

SORT: Sort = (("read_at", DESCENDING), ("_id", DESCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("user_id", DESCENDING), ("device_id", DESCENDING), *SORT), {})]


class DeviceClocks:
    """A device is one person's: whoever else signs in from it, or claims its id, has readings of their own."""

    def __init__(self, mongo: Mongo) -> None:
        self._readings = mongo.collection("clock_readings")

    async def add(self, reading: ClockReading) -> None:
        """Store it; a request that comes again says the same time of the device's clock, and its first arrival stands."""
        await self._readings.insert_many([to_document(reading) | {"_id": _id(reading)}])

    async def latest(self, user_id: str, device_id: str) -> ClockReading | None:
        found = await self.page(user_id, device_id, Page(1, None))
        return found[0] if found else None

    async def page(self, user_id: str, device_id: str, page: Page) -> list[ClockReading]:
        """Readings of one device, latest first."""
        wanted: Filter = {"user_id": user_id, "device_id": device_id}
        found = await keyset_pagination.fetch(self._readings, wanted, SORT, page, read=time_and_id)
        return [from_document(ClockReading, document) for document in found]


def keyset_of(reading: ClockReading) -> tuple[str, str]:
    return reading.read_at.isoformat(), _id(reading)


def _id(reading: ClockReading) -> str:
    return f"{reading.user_id}:{reading.device_id}:{reading.device_at.isoformat()}"
