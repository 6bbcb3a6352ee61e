"""Test that another account of this machine gets nothing from any port or socket of the embedded engines."""

import json
import os
import socket
import ssl
import sys
from pathlib import Path

import anyio
import pytest

from storage.embedded import mongod, seaweedfs
from storage.embedded.certificates import certificate
from storage.embedded.data_folder import PORTS, DataFolder
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.mongodb.errors import StoreError
from tests.support.doc_pages import ROOT
from tests.support.false_mongod import false_mongod
from tests.support.listening_sockets import listening_paths, listening_ports, process_listening_on
from tests.support.local_stranger import call, methods

KEY = "stranger/original"


@pytest.fixture
def folder(engines: Addresses) -> DataFolder:
    """Return the data folder of the session's engines."""
    return DataFolder(Path(os.environ["MINGCHA_TEST_FOLDER"]) / "data")


def first_port(folder: DataFolder) -> int:
    return int((folder.root / "engines" / "port").read_text())


async def test_another_account_gets_nothing_from_any_port_or_socket(engines: Addresses, folder: DataFolder) -> None:
    first, store = first_port(folder), engines.store()
    await store.put(KEY, b"an original", "text/plain")
    pids = {process_listening_on(port) for port in (first, first + 1)}
    ports = [port for pid in pids for port in listening_ports(pid)]
    paths = [path for pid in pids for path in listening_paths(pid)]
    assert set(range(first, first + PORTS)) <= set(ports)
    assert set(seaweedfs.sockets(range(first + 1, first + PORTS))) <= set(paths)
    secrets = [str(path) for path in folder.root.rglob("*")]
    given = {
        "ports": ports,
        # Without root, the stranger is this same account, which may use its own sockets.
        "paths": [str(path) for path in paths] if os.geteuid() == 0 else [],
        "object": [engines.s3_bucket, KEY],
        "files": secrets if os.geteuid() == 0 else [],
    }
    command = [sys.executable, "-m", "tests.support.local_stranger"]
    done = await anyio.run_process(command, cwd=ROOT, input=json.dumps(given).encode(), stderr=None)
    stranger = json.loads(done.stdout)
    assert stranger["found"] == []
    assert stranger["uid"] != 0
    for path in paths:
        assert {part.stat().st_mode & 0o077 for part in (path, path.parent)} & {0}, path
    assert await store.size_of(KEY) == 11
    store.close()


@pytest.mark.both_drivers
async def test_another_account_on_the_port_of_mongod_learns_no_password(driver: str, tmp_path: Path) -> None:
    """The driver ends the sign-in when the other side can't prove that it knows the password too (SCRAM)."""
    folder = DataFolder.open(tmp_path)
    async with false_mongod() as false:
        mongo = Mongo(mongod.url(folder, false.port), "mingcha", driver=driver, timeout_seconds=5)
        with pytest.raises(StoreError):
            await mongo.collection("things").insert_one({"_id": "a secret"})
        await mongo.close()
    assert set(false.commands) <= {"ismaster", "hello", "saslStart", "saslContinue"}
    assert "saslContinue" in false.commands
    assert folder.secret("mongo-password").encode() not in false.received
    assert b"a secret" not in false.received


def test_the_certificate_opens_the_same_ports(engines: Addresses, folder: DataFolder) -> None:
    """The stranger's calls are refused for want of the certificate only: with it, the same calls are carried out."""
    context = ssl.create_default_context(cafile=certificate(folder))
    context.load_cert_chain(certificate(folder))
    context.set_alpn_protocols(["h2"])
    first, requests = first_port(folder), methods(engines.s3_bucket, KEY)
    for port, path in ((first + 8, "/filer_pb.SeaweedFiler/ListEntries"), (first + 4, "/master_pb.Seaweed/VolumeList")):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
        ):
            assert call(connection, f"127.0.0.1:{port}", path, requests[path])


def test_a_damaged_certificate_is_made_again(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)
    path = certificate(folder)
    made = path.read_text()
    assert certificate(folder).read_text() == made
    assert path.stat().st_mode & 0o077 == 0
    path.write_text(made[:-100])
    assert certificate(folder).read_text() not in {made, made[:-100]}


def test_ports_whose_sockets_another_account_has_taken_are_left_out(tmp_path: Path) -> None:
    """A folder can't be removed like a socket, as a file of another account in /tmp can't."""
    folder = DataFolder.open(tmp_path)
    taken: list[Path] = []

    def usable(ports: range) -> bool:
        if not taken:
            taken.append(seaweedfs.sockets(ports[1:])[2])
            taken[0].mkdir()
        return seaweedfs.remove_sockets(ports[1:])

    try:
        chosen = folder.ports(usable)
        assert taken[0] not in seaweedfs.sockets(chosen[1:])
    finally:
        taken[0].rmdir()
