"""Test that no session ends by a read that misses its sign-in, as a majority read can just after a failover."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from schema.access.viewers import Role
from schema.accounts.users import Device, User
from storage.accounts.users import Users
from storage.embedded import mongod
from storage.embedded.data_folder import DataFolder
from storage.mongodb.client import Mongo
from storage.mongodb.codecs import to_document
from tests.support.engines import running
from tests.support.world import new_id

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PAUSE = "pauseJournalFlusherThread"


async def test_a_session_that_a_majority_read_misses_is_found(tmp_path: Path) -> None:
    """A server that does not know yet what the majority has is like a new primary just after a failover.

    The test has a mongod of its own, because any other writer would let the server know.
    """
    async with running(tmp_path) as (_, found):
        port = int(found.mongo_url.rsplit(":", 1)[1].split("/")[0])
        system = Mongo(mongod.system_url(DataFolder.open(tmp_path), port), "admin", driver="pymongo")
        await system.command("configureFailPoint", "pauseCheckpointThread", mode="alwaysOn")
        for driver in ("motor", "pymongo"):
            mongo = Mongo(found.mongo_url, "mingcha", driver=driver)
            await find_a_missed_session(mongo, system)
            await mongo.close()
        await system.close()


async def find_a_missed_session(mongo: Mongo, system: Mongo) -> None:
    users, session = Users(mongo), new_id("ses")
    made = User(id=new_id("usr"), display_name="王某", roles=[Role.SUPERVISOR], user_name=mongo.driver, created_at=NOW)
    await users.put_all([made])
    phone = Device(id=new_id("dev"), name="手机", signed_in_at=NOW, seen_at=NOW)
    began = {"$push": {"devices": to_document(phone) | {"session_id": session}}}
    before = await system.command("configureFailPoint", PAUSE, mode="alwaysOn")
    try:
        await system.command("waitForFailPoint", PAUSE, timesEntered=before["count"] + 1, maxTimeMS=10_000)
        update = {"q": {"_id": made.id}, "u": began}
        await mongo.command("update", "users", updates=[update], writeConcern={"w": 1, "j": False})
        assert (await users.many([made.id]))[0].devices == (), "a majority read does not show the sign-in"
        finding = asyncio.create_task(users.by_session(made.id, phone.id, session))
        asked = {"command.readConcern.level": "linearizable"}  # it comes after the majority read
        while not finding.done() and not (await system.command("currentOp", **asked))["inprog"]:
            await asyncio.wait([finding], timeout=0.01)
    finally:
        await system.command("configureFailPoint", PAUSE, mode="off")
    await users.put_all([made])  # the flusher goes on at the next write
    assert await finding is not None
