"""Test reading records: their times are aware, although the driver decodes naive ones, and other reads stay aware."""

from datetime import UTC

import pytest

from schema.organisation.units import Unit
from storage.mongodb.client import Mongo
from storage.mongodb.codecs import to_document
from storage.mongodb.records import Records
from tests.stored.fixed_records import whole_unit

pytestmark = pytest.mark.both_drivers


async def test_records_are_read_with_aware_times(mongo: Mongo) -> None:
    units, records, unit = mongo.collection("units"), Records(mongo, "units", Unit), whole_unit()
    await units.insert_one(to_document(unit))
    for read in (await records.find({}), [await records.find_one({})], await records.aggregate([])):
        assert read == [unit]
        [found] = read
        assert found is not None
        assert found.created_at is not None
        assert found.created_at.tzinfo is UTC
    assert await records.find_one({"_id": "unt_none"}) is None
    assert [document["created_at"] for document in await units.find({})] == [unit.created_at]
