"""What the driver raises, as callers hear of it: not now, taken, or a fault; never a value that somebody sent."""

from typing import Any

import anyio
import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from schema.core.refusals import Refusal, RefusalCode
from storage.embedded.engines import Addresses
from storage.indexes import ensure_indexes
from storage.mongodb.client import Mongo, translate_errors
from storage.mongodb.errors import DuplicateError, StoreError

pytestmark = pytest.mark.both_drivers


def reported(kind: type[OperationFailure], code: int, name: str) -> OperationFailure:
    return kind("a sentence with 13800138000 in it", code, {"code": code, "codeName": name, "errmsg": "13800138000"})


def bulk(**faults: Any) -> BulkWriteError:
    return BulkWriteError({"writeErrors": [], "writeConcernErrors": []} | faults)


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("gone"),
        ServerSelectionTimeoutError("nobody there"),
        reported(ExecutionTimeout, 50, "MaxTimeMSExpired"),
        reported(WTimeoutError, 64, "WriteConcernFailed"),
        # What a mongod says that was started again a moment ago.
        reported(OperationFailure, 134, "ReadConcernMajorityNotAvailableYet"),
        reported(OperationFailure, 11600, "InterruptedAtShutdown"),
        reported(WriteConcernError, 91, "ShutdownInProgress"),
        bulk(writeConcernErrors=[{"code": 91, "codeName": "ShutdownInProgress"}]),
        bulk(writeErrors=[{"index": 0, "code": 11602, "errmsg": "interrupted"}]),
    ],
    ids=repr,
)
def test_a_database_that_is_away_is_unavailable(error: PyMongoError) -> None:
    with pytest.raises(Refusal) as refusal, translate_errors():
        raise error
    assert refusal.value.code is RefusalCode.UNAVAILABLE


def test_a_fault_is_named_without_the_values_in_it() -> None:
    with pytest.raises(StoreError, match=r"^OperationFailure BadValue$"), translate_errors():
        raise reported(OperationFailure, 2, "BadValue")
    with pytest.raises(StoreError, match=r"^BulkWriteError 121$"), translate_errors():
        raise bulk(writeErrors=[{"index": 0, "code": 121, "errmsg": "13800138000"}])


def test_a_taken_key_is_named_by_its_fields() -> None:
    with pytest.raises(DuplicateError) as taken, translate_errors():
        raise DuplicateKeyError("13800138000", 11000, {"code": 11000, "keyPattern": {"user_name": 1}})
    assert taken.value.fields == ("user_name",)


async def test_what_can_be_inserted_is_whatever_is_taken(mongo: Mongo) -> None:
    things = mongo.collection("things")
    assert (await things.insert_many([])).duplicate_ids == frozenset()
    assert (await things.insert_many([{"_id": "a"}, {"_id": "b"}])).duplicate_ids == frozenset()
    assert (await things.insert_many([{"_id": "b"}, {"_id": "c"}])).duplicate_ids == {"b"}
    assert [each["_id"] for each in await things.find({}, sort=[("_id", 1)])] == ["a", "b", "c"]


async def test_an_index_of_a_large_collection_is_waited_for(mongo: Mongo, engines: Addresses, system: Mongo) -> None:
    """The server takes longer than for any other answer, which is given up for lost by then."""
    hasty = Mongo(engines.mongo_url, mongo.name, driver=mongo.driver, timeout_seconds=0.5)
    things = hasty.collection("things")
    await things.insert_one({"_id": "a"})
    slow = {
        "failCommands": ["createIndexes", "find"],
        "namespace": f"{mongo.name}.things",
        "blockConnection": True,
        "blockTimeMS": 2500,
    }
    await system.command("configureFailPoint", "failCommand", mode="alwaysOn", data=slow)
    try:
        await things.create_index([("name", 1)])
        with pytest.raises(Refusal):
            await things.find({})
    finally:
        await system.command("configureFailPoint", "failCommand", mode="off")
        await hasty.close()
    names = await mongo.command("listIndexes", "things")
    assert {each["name"] for each in names["cursor"]["firstBatch"]} == {"_id_", "name_1"}


async def test_a_start_without_a_database_is_refused_at_once() -> None:
    nowhere = Mongo("mongodb://127.0.0.1:1/", "x", driver="motor", timeout_seconds=0.2)
    with pytest.raises(Refusal), anyio.fail_after(10):
        await ensure_indexes(nowhere)
    await nowhere.close()
