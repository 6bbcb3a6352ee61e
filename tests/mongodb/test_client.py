"""Test how driver errors reach callers: as unavailable, duplicate or fault, and without the values that were sent."""

from typing import Any

import anyio
import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
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
        # What the driver says on a connection that was made while its member started up.
        ConfigurationError("Sessions are not supported by this MongoDB deployment"),
        reported(ExecutionTimeout, 50, "MaxTimeMSExpired"),
        reported(WTimeoutError, 64, "WriteConcernFailed"),
        # The answer of a mongod that has just restarted.
        reported(OperationFailure, 134, "ReadConcernMajorityNotAvailableYet"),
        reported(OperationFailure, 11600, "InterruptedAtShutdown"),
        reported(OperationFailure, 211, "KeyNotFound"),
        reported(WriteConcernError, 91, "ShutdownInProgress"),
        bulk(writeConcernErrors=[{"code": 91, "codeName": "ShutdownInProgress"}]),
        bulk(writeErrors=[{"index": 0, "code": 11602, "errmsg": "interrupted"}]),
    ],
    ids=repr,
)
def test_an_unreachable_database_is_reported_as_unavailable(error: PyMongoError) -> None:
    with pytest.raises(Refusal) as refusal, translate_errors():
        raise error
    assert refusal.value.code is RefusalCode.UNAVAILABLE


def test_a_fault_is_named_without_its_values() -> None:
    with pytest.raises(StoreError, match=r"^OperationFailure BadValue$") as fault, translate_errors():
        raise reported(OperationFailure, 2, "BadValue")
    assert fault.value.code == 2
    with pytest.raises(StoreError, match=r"^BulkWriteError 121$"), translate_errors():
        raise bulk(writeErrors=[{"index": 0, "code": 121, "errmsg": "13800138000"}])


def test_a_duplicate_key_is_named_by_its_fields() -> None:
    with pytest.raises(DuplicateError) as taken, translate_errors():
        raise DuplicateKeyError("13800138000", 11000, {"code": 11000, "keyPattern": {"user_name": 1}})
    assert taken.value.fields == ("user_name",)


async def test_duplicates_do_not_stop_the_other_inserts(mongo: Mongo) -> None:
    things = mongo.collection("things")
    assert (await things.insert_many([])).duplicate_ids == frozenset()
    assert (await things.insert_many([{"_id": "a"}, {"_id": "b"}])).duplicate_ids == frozenset()
    assert (await things.insert_many([{"_id": "b"}, {"_id": "c"}])).duplicate_ids == {"b"}
    assert [each["_id"] for each in await things.find({}, sort=[("_id", 1)])] == ["a", "b", "c"]


async def test_index_creation_has_no_timeout(mongo: Mongo, engines: Addresses, system: Mongo) -> None:
    """Indexing a large collection may take longer than the time limit of all other commands."""
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


async def test_a_start_without_a_database_fails_at_once() -> None:
    nowhere = Mongo("mongodb://127.0.0.1:1/", "x", driver="motor", timeout_seconds=0.2)
    with pytest.raises(Refusal), anyio.fail_after(10):
        await ensure_indexes(nowhere)
    await nowhere.close()
