"""Test a restore as it is documented: the roles of both tools, and that no case number is given twice afterwards."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from api.graphql.context import clock
from schema.core.refusals import Refusal
from scripts.restored import begin_anew
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.mongodb.errors import StoreError
from tests.support.phone_sessions import Phone, is_ended, with_passwords
from tests.support.world import World

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
PASSWORD = "dump-and-restore"
BOOKKEEPING = frozenset({"ui", "lsid", "txnNumber", "stmtId", "stmtIds", "prevOpTime", "wall", "t", "v", "ts"})
"""Fields of an oplog entry that `mongorestore` leaves out, because they are of the server that wrote the entry."""


def documented() -> list[tuple[str, dict[str, Any]]]:
    """Return the commands by which the page makes the roles and users, as they stand there."""
    page = OPERATIONS.read_text(encoding="utf-8")
    lines = re.findall(r'^db\.getSiblingDB\("admin"\)\.(createUser|createRole)\((\{.*\})\)$', page, re.MULTILINE)
    told = []
    for command, text in lines:
        quoted = re.sub(r"(\w+): ", r'"\1": ', text.replace("passwordPrompt()", f'"{PASSWORD}"'))
        told.append((command, json.loads(quoted)))
    return [each for each in told if each[1].get("user") != "mingcha"]


def replayed(entry: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the operations of an oplog entry on this database, as `mongorestore` replays them.

    A transaction is one entry, which holds its operations.
    """
    operations = entry["o"].get("applyOps", [entry])
    own = [each for each in operations if each["ns"].startswith(f"{name}.") and each["op"] in {"i", "u", "d"}]
    return [{key: value for key, value in each.items() if key not in BOOKKEEPING} for each in own]


@asynccontextmanager
async def connected(url: str, *names: str) -> AsyncIterator[list[Mongo]]:
    """Connect to these databases."""
    opened = [Mongo(url, name, driver="pymongo") for name in names]
    try:
        yield opened
    finally:
        for mongo in opened:
            await mongo.close()


@pytest.fixture
async def granted(system: Mongo, engines: Addresses) -> AsyncIterator[dict[str, str]]:
    """Make the documented users, and yield their connection strings. Drop users and role afterwards."""
    names = {"createUser": "user", "createRole": "role"}
    drops = {"createUser": "dropUser", "createRole": "dropRole"}
    made: list[tuple[str, str]] = []
    for command, given in documented():
        name = given.pop(names[command])
        await system.command(command, name, **given)
        made.append((command, name))
    host = engines.mongo_url.rsplit("@", 1)[1]
    yield {name: f"mongodb://{name}:{PASSWORD}@{host}&authSource=admin" for command, name in made if "User" in command}
    for command, name in reversed(made):
        await system.command(drops[command], name)


async def test_the_documented_roles_dump_and_restore(world: World, granted: dict[str, str]) -> None:
    """Issue the server commands that `mongodump --oplog` and `mongorestore --oplogReplay` issue."""
    mongo = world.store.mongo
    before = await world.observe()
    async with connected(granted["mingcha-dump"], mongo.name, "local", "admin") as (dumping, local, admin):
        newest = await local.command("find", "oplog.rs", sort={"$natural": -1}, limit=1, projection={"ts": 1})
        listed = (await dumping.command("listCollections", nameOnly=True))["cursor"]["firstBatch"]
        names = sorted(each["name"] for each in listed)
        dump = {name: await dumping.collection(name).find({}) for name in names}
        during = await world.observe()
        await world.open_case("officer", during)
        await mongo.collection("units").delete_many({"code": "360783-JT-1"})
        since = {"ts": {"$gt": newest["cursor"]["firstBatch"][0]["ts"]}}
        entries = (await local.command("find", "oplog.rs", filter=since, batchSize=1000))["cursor"]["firstBatch"]
        oplog = [each for entry in entries for each in replayed(entry, mongo.name)]
        assert {each["op"] for each in oplog} >= {"i", "u", "d"}
        dumped = {name: await mongo.collection(name).find({}, sort=[("_id", 1)]) for name in names}
        assert {each["_id"] for each in dumped["observations"]} == {before, during}
        for name in names:
            await mongo.collection(name).delete_many({})
        with pytest.raises((Refusal, StoreError)):
            await admin.command("applyOps", oplog)
    async with connected(granted["mingcha-restore"], mongo.name, "admin") as (restoring, admin):
        for name, documents in dump.items():
            await restoring.collection(name).insert_many(documents)
        [left] = await mongo.collection("observations").find({})
        assert left["_id"] == before, "the refused replay has changed nothing"
        await admin.command("applyOps", oplog)
    for name in names:
        assert await mongo.collection(name).find({}, sort=[("_id", 1)]) == dumped[name], name


async def test_no_case_number_is_given_twice_after_a_restore(world: World) -> None:
    store, kept = (await with_passwords(world)).store, ("counters", "cases", "sessions")
    phone = Phone(world)
    await phone.sign_in()
    await store.changes.claim("worker", clock(), clock())
    known = await world.open_case()
    dump = {name: await store.mongo.collection(name).find({}) for name in kept}
    lost = [
        await world.open_case(),
        await world.open_case("neighbour", await world.observe("neighbour", unit="360783-JT")),
    ]
    assert [case["sequence"] for case in (known, *lost)] == [1, 2, 1]
    await phone.refresh()
    for name, documents in dump.items():
        await store.mongo.collection(name).delete_many({})
        await store.mongo.collection(name).insert_many(documents)
    begun = await begin_anew(store, 1000, clock())
    assert begun.sessions == 1
    given = [
        await world.open_case(),
        await world.open_case("neighbour", await world.observe("neighbour", unit="360783-JT")),
    ]
    assert [case["sequence"] for case in given] == [1002, 1001]
    assert not {case["number"] for case in given} & {case["number"] for case in lost}
    assert is_ended(await phone.refresh()), "the phone signs in again"
    assert await phone.sign_in()
    assert await store.changes.sequence() is None, "phones pull everything again"
