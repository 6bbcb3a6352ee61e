"""Test that nobody can cancel a call of the database driver: a cancelled caller waits until its call has ended."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from schema.core.refusals import Refusal
from storage.embedded.engines import Addresses
from storage.mongodb.client import Collection, CommandListener, Mongo, Session
from storage.mongodb.driver_calls import open_calls, run_to_end
from tests.support.fail_points import COMMANDS, failing
from tests.support.small_schema import until

Call = Callable[[Mongo, Collection], Awaitable[Any]]


class Seen(CommandListener):
    """The commands of this test that have begun, and those that have succeeded."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []

    def started(self, event: Any) -> None:
        if event.command_name in COMMANDS:
            self.begun.append(event.command_name)

    def succeeded(self, event: Any) -> None:
        if event.command_name in COMMANDS:
            self.ended.append(event.command_name)

    def failed(self, event: Any) -> None:
        """Do nothing, because a command that failed has not succeeded."""


async def in_transaction(mongo: Mongo, things: Collection) -> None:
    async def work(session: Session) -> None:
        await things.insert_one({"_id": "b"}, session=session)

    await mongo.transact(work)


CALLS: dict[str, Call] = {
    "find": lambda _, things: things.find({}),
    "find_one": lambda _, things: things.find_one({}),
    "insert_one": lambda _, things: things.insert_one({"_id": "b"}),
    "insert_many": lambda _, things: things.insert_many([{"_id": "b"}]),
    "upsert_many": lambda _, things: things.upsert_many([({"_id": "b"}, {"$set": {"n": 1}})]),
    "update_one": lambda _, things: things.update_one({}, {"$set": {"n": 1}}),
    "update_many": lambda _, things: things.update_many({}, {"$set": {"n": 1}}),
    "change_one": lambda _, things: things.change_one({}, {"$set": {"n": 1}}),
    "delete_many": lambda _, things: things.delete_many({}),
    "aggregate": lambda _, things: things.aggregate([{"$match": {}}]),
    "distinct": lambda _, things: things.distinct("n", {}),
    "count": lambda _, things: things.count({}),
    "command": lambda mongo, _: mongo.command("find", "things"),
    "transact": in_transaction,
}


def test_every_method_that_calls_the_driver_is_tried() -> None:
    """`drop` and `close` are for the end of a connection, and a test of its own tries `create_index`."""
    methods = {
        name
        for cls in (Collection, Mongo)
        for name, method in vars(cls).items()
        if inspect.iscoroutinefunction(method) and not name.startswith("_")
    }
    assert methods - CALLS.keys() == {"create_index", "drop", "close"}


@pytest.mark.both_drivers
@pytest.mark.parametrize("cancelled_by", ["asyncio", "anyio"])
async def test_a_cancelled_caller_waits_until_its_call_has_ended(
    mongo: Mongo, engines: Addresses, system: Mongo, cancelled_by: str
) -> None:
    seen = Seen()
    own = Mongo(engines.mongo_url, mongo.name, driver=mongo.driver, listeners=[seen])
    things = own.collection("things")
    await own.command("ping")
    for name, call in CALLS.items():
        seen.begun, seen.ended = [], []
        scope = anyio.CancelScope()
        went_on = False

        async def caller(call: Call = call, scope: anyio.CancelScope = scope) -> None:
            nonlocal went_on
            with scope:
                await call(own, things)
                await anyio.lowlevel.checkpoint()
                went_on = True

        async with failing(system, mongo, "things", blockConnection=True, blockTimeMS=100):
            task = asyncio.create_task(caller())
            await until(lambda: bool(seen.begun))
            assert open_calls(), name
            for _ in range(2):
                (task.cancel if cancelled_by == "asyncio" else scope.cancel)()
                await asyncio.sleep(0)
            await asyncio.wait([task])
        assert not went_on, name
        assert seen.ended == seen.begun != [], name
        assert not open_calls(), name
    await own.close()


async def test_a_call_in_its_own_task_takes_two_turns_of_the_event_loop() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def call() -> int:
        return turns

    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    begun = turns
    assert await run_to_end(call()) == begun + 1
    assert turns == begun + 2
    counting.cancel()


@pytest.mark.both_drivers
async def test_a_loop_of_calls_ends_when_it_is_cancelled(mongo: Mongo) -> None:
    things, counted = mongo.collection("things"), 0
    with anyio.CancelScope() as scope:
        while counted < 1000:
            await things.find_one({})
            counted += 1
            scope.cancel()
    assert counted == 1


@pytest.mark.both_drivers
async def test_a_cancelled_reader_closes_its_change_stream(mongo: Mongo, system: Mongo) -> None:
    things = mongo.collection("things")
    await things.insert_one({"_id": 1})
    opened = anyio.Event()

    async def follow() -> None:
        async with things.changes([]) as stream:
            await stream.try_next()
            opened.set()
            async for _ in stream:
                continue

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        await opened.wait()
        tasks.cancel_scope.cancel()
    own: dict[str, Any] = {"ns": f"{mongo.name}.things", "type": "idleCursor"}
    found = await system.command(
        "aggregate", 1, pipeline=[{"$currentOp": {"idleCursors": True, "allUsers": True}}, {"$match": own}], cursor={}
    )
    assert found["cursor"]["firstBatch"] == []


@pytest.mark.both_drivers
async def test_a_failed_sibling_does_not_hang_the_calls_that_select_a_server(mongo: Mongo) -> None:
    """This is the way in which the worker hung: one task fails, and so its siblings are cancelled."""
    lost = Mongo("mongodb://127.0.0.1:1/?replicaSet=r", "x", driver=mongo.driver, timeout_seconds=0.2)

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise LookupError

    async def run_siblings() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(lost.collection("things").find_one, {"_id": number})
            tasks.start_soon(fail)

    for _ in range(5):
        with pytest.raises(ExceptionGroup):
            await run_siblings()
        assert not open_calls()
        with pytest.raises(Refusal), anyio.fail_after(10):
            await lost.collection("things").find_one({})
    await lost.close()
