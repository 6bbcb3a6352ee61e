"""Test the embedded engines: setup that survives a kill, changing ports, keys, and durable acknowledged writes."""

import asyncio
import contextlib
import os
import signal
import socket
import uuid
from pathlib import Path

import pytest

from schema.core.refusals import Refusal
from storage.embedded import mongod, seaweedfs
from storage.embedded.data_folder import PORTS, DataFolder
from storage.embedded.engines import Addresses
from storage.mongodb.causal_reads import begin_causal_reads
from storage.mongodb.client import Mongo, Session
from storage.mongodb.errors import StoreError
from storage.processes.supervisor import Child, ProcessLostError, is_listening
from tests.support.engines import MONGOD_OPTIONS, connected, running
from tests.support.process_states import wait_until_async


async def test_stored_data_survives_a_change_of_ports_and_an_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions ran the S3 engine without certificates."""
    with monkeypatch.context() as earlier:
        earlier.setattr(seaweedfs, "security", lambda _: "")
        former = await stored_by_an_earlier_version(tmp_path)
    (tmp_path / "engines" / "certificate.pem").unlink()
    async with (
        await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", former),
        running(tmp_path, durable=True) as (_, found),
        connected(found.mongo_url) as mongo,
    ):
        assert mongo_port(found) != former
        assert await mongo.collection("kept").find({}) == [{"_id": "a"}]
        assert await found.store().size_of("kept/a") == 5
        await found.store().put("kept/b", b"new bytes", "text/plain")
        assert await found.store().size_of("kept/b") == 9


async def stored_by_an_earlier_version(root: Path) -> int:
    """Store a document and an object. Return the port of mongod."""
    async with running(root, durable=True) as (_, found), connected(found.mongo_url) as mongo:
        await mongo.collection("kept").insert_one({"_id": "a"})
        await found.store().put("kept/a", b"bytes", "text/plain")
        return mongo_port(found)


def mongo_port(found: Addresses) -> int:
    return int(found.mongo_url.rsplit(":", 1)[1].split("/")[0])


async def test_setup_resumes_after_a_kill_between_any_two_steps(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)
    lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()

    async def killed_after(steps: int, port: int) -> None:
        child = Child(mongod.program(folder, port, options=MONGOD_OPTIONS), print, lost)

        async def these_steps() -> bool:
            if not await is_listening(port):
                return False
            if steps == 0:
                await expect_no_first_user(port)
            async with connected(mongod.system_url(folder, port), "admin") as system:
                try:
                    if steps >= 1:
                        await mongod._form_replica_set(system, f"127.0.0.1:{port}")
                    if steps >= 2:
                        await mongod._put_user(system, folder.secret("mongo-password"))
                except (StoreError, Refusal):  # not yet elected
                    return False
            return True

        await child.start(these_steps)
        child.kill()
        await child.stop()

    ports = DataFolder.open(tmp_path / "elsewhere").ports()
    for steps, port in ((0, ports[0]), (1, ports[1]), (1, ports[2]), (2, ports[3])):
        await killed_after(steps, port)
    (tmp_path / "engines" / "mongo-password").unlink()  # as after a kill before it was on disk
    async with running(tmp_path) as (_, found), connected(found.mongo_url) as mongo:
        await mongo.collection("kept").insert_one({"_id": "a"})
        assert await mongo.collection("kept").count({}) == 1


async def expect_no_first_user(port: int) -> None:
    """Before the set-up there is no user yet. By default, mongod lets any local user create the first one."""
    async with connected(f"mongodb://127.0.0.1:{port}/?directConnection=true", "admin") as stranger:
        for command, value, more in (
            ("replSetInitiate", {"_id": mongod.REPLICA_SET, "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}, {}),
            ("createUser", "stranger", {"pwd": "x", "roles": ["root"]}),
        ):
            with pytest.raises(StoreError, match="Unauthorized"):
                await stranger.command(command, value, **more)


async def test_connections_that_take_no_sessions_are_replaced(tmp_path: Path) -> None:
    """A member without a configuration is neither primary nor secondary, as one that starts or rolls back."""
    folder = DataFolder.open(tmp_path)
    port = folder.ports()[0]
    lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
    child = Child(mongod.program(folder, port, options=MONGOD_OPTIONS), print, lost)
    url = mongod.system_url(folder, port)
    clients = [Mongo(url, "kept", driver=driver) for driver in ("motor", "pymongo") for _ in range(2)]
    early = list(clients)

    async def set_up() -> bool:
        """Use each client before the member has its configuration."""
        if not await is_listening(port):
            return False
        while early:
            with pytest.raises(Refusal):
                await read_and_write(early.pop())
        return await mongod.ready(folder, port)()

    await child.start(set_up)
    for mongo, use in zip(clients, (read_causally, read_and_write) * 2, strict=True):
        await use(mongo)
        await mongo.close()
    child.kill()
    await child.stop()


async def read_and_write(mongo: Mongo) -> None:
    async def work(session: Session) -> None:
        await mongo.collection("things").find({}, session=session)
        await mongo.collection("things").insert_one({"by": mongo.driver}, session=session)

    await mongo.transact(work)


async def read_causally(mongo: Mongo) -> None:
    begin_causal_reads()
    await mongo.collection("things").find({})


async def test_acknowledged_writes_survive_killed_engines(tmp_path: Path) -> None:
    async with running(tmp_path) as (engines, found), connected(found.mongo_url) as mongo:
        store, kept = found.store(), mongo.collection("kept")
        documents: list[str] = []
        objects: list[str] = []
        enough = asyncio.Event()  # no cancelling: a driver call may swallow it, and the writer would go on for ever

        async def write_documents() -> None:
            while not enough.is_set():
                name = uuid.uuid4().hex  # a new name each time: a lost reply leaves a write that was not acknowledged
                with contextlib.suppress(Refusal):
                    await kept.insert_one({"_id": name})
                    documents.append(name)

        async def write_objects() -> None:
            while not enough.is_set():
                key = f"kept/{len(objects)}"
                with contextlib.suppress(Refusal):
                    await store.put(key, b"x" * 20_000, "application/octet-stream")
                    objects.append(key)

        async with asyncio.TaskGroup() as group:
            group.create_task(write_documents())
            group.create_task(write_objects())
            await wait_until_async(lambda: len(documents) > 20 and len(objects) > 20)
            former = engines.pids
            for pid in former.values():
                assert pid
                os.kill(pid, signal.SIGKILL)
            await wait_until_async(lambda: all(pid not in {None, former[name]} for name, pid in engines.pids.items()))
            seen = len(documents), len(objects)
            await wait_until_async(lambda: len(documents) > seen[0] and len(objects) > seen[1], 20)
            enough.set()

        assert set(documents) <= {document["_id"] for document in await kept.find({})}
        assert not [key for key in objects if await store.size_of(key) != 20_000]


def test_only_the_owner_has_access_to_the_engines_files(tmp_path: Path) -> None:
    asyncio.run(started_once(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"engines", "lock", "logs", "mongo", "s3"}
    for path in (tmp_path, *tmp_path.iterdir(), *(tmp_path / "engines").iterdir(), *(tmp_path / "logs").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


async def started_once(root: Path) -> None:
    async with running(root):
        pass


async def test_engines_answer_only_on_loopback_and_only_with_their_keys(engines: Addresses) -> None:
    password = engines.mongo_url.split("@")[0].rsplit(":", 1)[1]
    async with connected(engines.mongo_url.replace(password, "wrong")) as mongo:
        with pytest.raises(Refusal) as refusal:
            await mongo.collection("kept").find({})
        assert "Authentication failed" in str(refusal.value.__cause__)
    async with connected("mongodb://" + engines.mongo_url.split("@")[1]) as mongo:
        with pytest.raises(StoreError, match="Unauthorized"):
            await mongo.collection("kept").find({})
    async with connected(engines.mongo_url, "admin") as mongo:
        with pytest.raises(StoreError, match="Unauthorized"):
            await mongo.command("createUser", "other", pwd="x", roles=["root"])
    for port in range(mongo_port(engines), mongo_port(engines) + PORTS):
        with socket.socket() as elsewhere, pytest.raises(ConnectionRefusedError):
            elsewhere.connect(("127.0.0.2", port))  # this address is local too, but nothing listens there
    stranger = Addresses(engines.mongo_url, engines.s3_endpoint, engines.s3_access_key, "wrong").store()
    with pytest.raises(Refusal):
        await stranger.ping()
    stranger.close()


@pytest.mark.both_drivers
async def test_both_drivers_read_what_they_wrote(mongo: Mongo, store: object) -> None:
    await mongo.collection("kept").insert_one({"_id": "a"})
    assert await mongo.collection("kept").find({}) == [{"_id": "a"}]
    assert store
