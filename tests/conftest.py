"""Provide fixtures for all tests: real engines, empty databases and buckets, worlds, phones."""

import asyncio
import fcntl
import gc
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from structlog.processors import KeyValueRenderer, add_log_level, format_exc_info

from api.accounts.key_ring import KeyRing
from api.settings import Settings
from storage.embedded import mongod
from storage.embedded.data_folder import DataFolder
from storage.embedded.engines import Addresses
from storage.indexes import INDEXES
from storage.mongodb.client import Mongo
from storage.s3.client import ObjectStore
from storage.store import Store
from tests.support.import_office import Office
from tests.support.shared_indexes import prepare
from tests.support.shared_objects import for_this_loop, record_operations
from tests.support.world import World

ROOT = Path(__file__).parent.parent
gc.disable()  # until all tests are collected: a third of that time would go into collections that find nothing
hypothesis.settings.register_profile("slow", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("slow")
# The default prints the variables of each frame with an error, which takes seconds for each line.
structlog.configure([add_log_level, format_exc_info, KeyValueRenderer()])
SESSION = pytest.StashKey[Path]()
pytest_plugins = ["tests.support.distribution"]


def pytest_addoption(parser: pytest.Parser) -> None:
    chaos = parser.getgroup("chaos", "the storms of tests/server/test_chaos.py and test_failover.py")
    chaos.addoption("--chaos-minutes", type=float, default=0.0, metavar="N", help="go on with the faults for N minutes")
    examples = parser.getgroup("examples", "the payloads of mobile_contract/examples")
    examples.addoption("--record-examples", action="store_true", help="write the answers of the examples again")
    chaos.addoption("--chaos-seed", type=int, metavar="SEED", help="draw the same faults and pauses as before")
    goldens = parser.getgroup("goldens", "the stored documents of tests/stored/goldens")
    goldens.addoption("--record-goldens", action="store_true", help="write the goldens as documents are stored now")
    replay = parser.getgroup("replay", "the office of tests/fieldwork/test_replay.py")
    replay.addoption("--replay-cases", type=int, default=20, metavar="N", help="cases of the day, a multiple of 10")
    storms = parser.getgroup("storms", "the phones of tests/phone/test_state_machine.py, and generated documents")
    storms.addoption("--documents", type=int, default=120, metavar="N", help="number of documents to draw")
    storms.addoption("--operations", type=int, metavar="N", help="examples of each operation for each role")
    storms.addoption("--comparisons", type=int, default=300, metavar="N", help="documents to execute in both ways")
    storms.addoption("--documents-seed", type=int, default=9, metavar="SEED", help="seed of the draws")
    storms.addoption(
        "--field-faults", type=int, default=4, metavar="N", help="number of the kit's faults; 0 plants all"
    )
    storms.addoption("--phone-steps", type=int, default=20, metavar="N", help="steps of a phone in a storm")


def pytest_configure(config: pytest.Config) -> None:
    """Make the session's folder in the main process, if xdist is used its controller. Workers inherit its name."""
    if not hasattr(config, "workerinput"):
        config.stash[SESSION] = Path(tempfile.mkdtemp(prefix="mingcha-tests-"))
        os.environ["MINGCHA_TEST_FOLDER"] = str(config.stash[SESSION])
        os.environ["MINGCHA_TEST_SESSION"] = str(os.getpid())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the session's folder unless engines were started.

    Engines end after this process, and then they remove the folder themselves.
    """
    folder = config.stash.get(SESSION, None)
    if folder and not (folder / "log").exists():
        shutil.rmtree(folder)


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collections, because they are half a million lasting objects."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def engines() -> Addresses:
    """Return the session's mongod and SeaweedFS, which the first test that needs them starts."""
    folder = Path(os.environ["MINGCHA_TEST_FOLDER"])
    answer, log = folder / "ready.json", folder / "log"
    with (folder / "starting").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not log.exists():
            _start(folder, log)
        deadline = time.monotonic() + 60
        while not answer.exists():
            if time.monotonic() > deadline:
                pytest.fail(f"The engines did not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)
    return Addresses(**json.loads(answer.read_text()))


def _start(folder: Path, log: Path) -> None:
    """Start the engines in a POSIX session of their own, because they must outlive this process.

    They end when the main process of the test session has ended.
    """
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "tests.support.engines", str(folder), os.environ["MINGCHA_TEST_SESSION"]],
        {**os.environ, "PYTHONPATH": str(ROOT)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        ],
        setsid=True,
    )


@pytest.fixture
def driver() -> str:
    """Return the default MongoDB driver's name; tests marked `both_drivers` run with each driver."""
    return "motor"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "driver" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_drivers"):
        metafunc.parametrize("driver", ["motor", "pymongo"])


@pytest.fixture(scope="session")
def databases() -> list[str]:
    """Return the names of empty databases that no test of this process uses."""
    return []


@pytest.fixture
async def mongo(engines: Addresses, driver: str, databases: list[str]) -> AsyncIterator[Mongo]:
    """Provide an empty database for one test. It may have the product's indexes, made for an earlier test.

    Databases are used again because making indexes takes longer than most tests, and because each index is a file that
    the server keeps open for minutes.
    """
    name = databases.pop() if databases else f"test_{uuid.uuid4().hex}"
    made = Mongo(engines.mongo_url, name, driver=driver)
    yield made
    await emptied(made)
    databases.append(name)
    await made.close()


async def emptied(mongo: Mongo) -> None:
    """Empty the product's collections, and drop all others with their indexes."""
    listed = (await mongo.command("listCollections", nameOnly=True))["cursor"]["firstBatch"]
    names = {collection["name"] for collection in listed}
    await asyncio.gather(
        *(mongo.collection(name).delete_many({}) for name in await filled(mongo, sorted(names & INDEXES.keys()))),
        *(mongo.command("drop", name) for name in names - INDEXES.keys()),
    )


async def filled(mongo: Mongo, names: list[str]) -> list[str]:
    """Return the names of those collections that contain documents. This takes one command.

    A test writes to few collections, so only few must be emptied.
    """
    if not names:
        return []
    first = {name: [{"$limit": 1}, {"$project": {"_id": {"$literal": name}}}] for name in names}
    others = [{"$unionWith": {"coll": name, "pipeline": first[name]}} for name in names[1:]]
    answer = await mongo.command("aggregate", names[0], pipeline=[*first[names[0]], *others], cursor={})
    return [document["_id"] for document in answer["cursor"]["firstBatch"]]


@pytest.fixture(scope="session")
def objects(engines: Addresses) -> Iterator[ObjectStore]:
    """Share the connections to the session's object store, because making connections takes longer than most tests."""
    made = engines.store()
    yield made
    made.close()


@pytest.fixture(scope="session")
def buckets() -> list[str]:
    """Return the names of buckets that exist and that no test has touched."""
    return []


@pytest.fixture
async def store(objects: ObjectStore, buckets: list[str]) -> AsyncIterator[ObjectStore]:
    """Provide an unused bucket for one test."""
    made = for_this_loop(objects)
    made.bucket = buckets.pop() if buckets else ""
    if not made.bucket:
        made.bucket = f"test-{uuid.uuid4().hex}"
        await made.make_bucket()
    with record_operations(objects) as asked:
        yield made
        is_untouched = not asked and not (await made.ask("list_objects_v2", MaxKeys=1))["KeyCount"]
    if is_untouched:
        buckets.append(made.bucket)
    else:
        await made.drop_bucket()


@pytest.fixture
async def kept(mongo: Mongo, store: ObjectStore) -> Store:
    """Provide a store on the test's own database and bucket."""
    return Store(mongo, store)


@pytest.fixture
async def system(engines: Addresses) -> AsyncIterator[Mongo]:
    """Connect to the session's mongod as the user who may switch on fail points. One test at a time may do so."""
    session = Path(os.environ["MINGCHA_TEST_FOLDER"])
    port = int(engines.mongo_url.rsplit(":", 1)[1].split("/")[0])
    with (session / "fail-points").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Mongo(mongod.system_url(DataFolder.open(session / "data"), port), "admin", driver="pymongo")
        yield made
        await made.close()


@pytest.fixture
async def world(kept: Store, tmp_path: Path) -> World:
    """Build a small world in a real store."""
    settings = Settings(data=tmp_path)
    return await World(kept, settings, KeyRing(settings.keys_folder)).build()


@pytest.fixture
async def office(kept: Store, tmp_path: Path) -> Office:
    """Provide an empty installation and a folder for files to import."""
    await prepare(kept.mongo)
    return Office(kept, tmp_path)
