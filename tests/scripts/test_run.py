"""Test `scripts/run` for an operator: it serves, refuses clearly, recovers from kills and leaves nothing behind."""

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import httpx

from storage.embedded import mongod
from storage.embedded.data_folder import DataFolder
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from tests.support.process_states import is_alive, parent_of, wait_until
from tests.support.run_command import Run


async def keep(data: Path, name: str) -> list[str]:
    """Write a document with this name into the embedded database. Return the names of all documents, oldest first."""
    mongo = Mongo(mongod.url(DataFolder(data), int((data / "engines" / "port").read_text())), "test", driver="pymongo")
    try:
        kept = mongo.collection("kept")
        await kept.insert_one({"_id": await kept.count({}), "name": name})
        return [document["name"] for document in await kept.find({}, sort=[("_id", 1)])]
    finally:
        await mongo.close()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def test_a_new_folder_is_served_only_once_and_ctrl_c_leaves_nothing(tmp_path: Path, started: list[Run]) -> None:
    data = tmp_path / "data"
    run = Run(data, "--port=0", "--no-demo", prefix=("env",))
    started.append(run)
    address = run.serving()
    assert answers(address)
    children = run.children()
    assert sorted(children) == ["api.server.serve", "api.server.worker", "mongod", "weed"]
    assert "rocesses that read media or print packs" in run.output, "the start says what confines them"

    second = Run(data, "--port=0")
    started.append(second)
    assert second.ended() == 1
    assert f"already running on {data}: process {run.process.pid}, at {address}." in second.output
    assert run.children() == children

    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0
    assert "all data is kept" in run.output
    assert not [name for name, pid in children.items() if is_alive(pid)]
    assert not answers(address)


def test_a_killed_parent_ends_its_children_and_the_next_start_recovers(tmp_path: Path, started: list[Run]) -> None:
    data = tmp_path / "data"
    run = Run(data, "--port=0", "--no-demo", "--workers=2")
    started.append(run)
    run.serving()
    asyncio.run(keep(data, "before"))
    children = run.children()
    run.process.kill()
    run.process.wait()
    wait_until(lambda: not [name for name, pid in children.items() if is_alive(pid)])

    again = Run(data, "--port=0", "--no-demo")
    started.append(again)
    assert answers(again.serving())
    assert asyncio.run(keep(data, "after")) == ["before", "after"]


def test_an_engine_that_ends_while_starting_is_reported_in_one_sentence(tmp_path: Path, started: list[Run]) -> None:
    data = tmp_path / "data"
    (DataFolder.open(data).path("mongo") / "storage.bson").write_bytes(b"damaged")
    run = Run(data, "--port=0", "--no-demo")
    started.append(run)
    assert run.ended() == 1
    assert "\nmingcha: mongod ended while starting, by " in run.output
    assert "Traceback" not in run.output
    assert not run.children()


def test_killed_children_are_restarted(tmp_path: Path, started: list[Run]) -> None:
    """With the fork server, the processes end that it has forked. They are restarted without it."""
    run = Run(tmp_path / "data", "--port=0", "--no-demo")
    started.append(run)
    address = run.serving()
    for name, pid in run.children().items():
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda name=name, pid=pid: run.children().get(name, pid) != pid)  # type: ignore[misc]
        assert "died by SIGKILL and is started again" in run.output
        wait_until(lambda: answers(address), 20)
    forked = {name: pid for name, pid in run.children().items() if parent_of(pid) != run.process.pid}
    assert sorted(forked) == ["api.server.serve", "api.server.worker"]
    os.kill(parent_of(forked["api.server.serve"]), signal.SIGKILL)
    wait_until(lambda: all(run.children().get(name, pid) != pid for name, pid in forked.items()))
    wait_until(lambda: answers(address), 60)
    run.process.terminate()
    assert run.ended() == 0


def test_no_embedded_engine_starts_beside_external_engines(
    tmp_path: Path, started: list[Run], engines: Addresses
) -> None:
    data = tmp_path / "data"
    environment = {**engines.environment(), "MINGCHA_MONGO_DATABASE": f"test_{tmp_path.name}"}
    run = Run(data, "--port=0", "--role=api", **environment)
    started.append(run)
    assert answers(run.serving())
    assert list(run.children()) == ["api.server.serve"]
    assert not (data / "mongo").exists()
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0


def test_a_single_external_engine_is_refused(tmp_path: Path, started: list[Run]) -> None:
    run = Run(tmp_path / "data", MINGCHA_MONGO_URL="mongodb://127.0.0.1:1/")
    started.append(run)
    assert run.ended() == 1
    assert run.output.endswith(
        "mingcha: MINGCHA_MONGO_URL is set and MINGCHA_S3_ENDPOINT is not: "
        "set both to use your own engines, or neither.\n"
    )
    assert not (tmp_path / "data").exists()


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path, started: list[Run]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = Run(tmp_path / "data", f"--port={port}")
        started.append(run)
        assert run.ended() == 1
    assert f"Can't serve on 127.0.0.1, port {port} (Address already in use)" in run.output
    assert "--port" in run.output
    assert not (tmp_path / "data" / "mongo").exists()


def test_an_unwritable_data_folder_is_named(tmp_path: Path, started: list[Run]) -> None:
    (tmp_path / "file").write_text("kept")
    run = Run(tmp_path / "file", "--port=0")
    started.append(run)
    assert run.ended() == 1
    assert re.search(r"\nmingcha: The data folder \S+/file can't be written \(.+\)\. .*--data\.\n$", run.output)
    assert (tmp_path / "file").read_text() == "kept"
