"""Run the engines of one test session in a process of its own: `python -m tests.support.engines FOLDER SESSION_PID`.

The engines serve until the test session's process has ended, even if somebody has killed it. Then they stop, and the
folder is removed.
"""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from storage.embedded.data_folder import DataFolder
from storage.embedded.engines import Addresses, Engines
from storage.mongodb.client import Mongo
from storage.processes.supervisor import ProcessLostError

# Failure tests switch on the server's own fail points. Its diagnostic data would only cost time.
MONGOD_OPTIONS = (
    "--setParameter=enableTestCommands=1",
    "--setParameter=diagnosticDataCollectionEnabled=false",
    # Every test opens its own connection, for which the default of 15,000 iterations takes 13 ms.
    "--setParameter=scramSHA256IterationCount=5000",
    # Every test empties its database: a history of snapshots would be thousands of open files.
    "--setParameter=minSnapshotHistoryWindowInSeconds=0",
    "--wiredTigerEngineConfigString=file_manager=(close_idle_time=10,close_scan_interval=2,close_handle_minimum=250)",
)


async def serve(root: Path, session: int) -> None:
    folder = DataFolder.open(root / "data")
    lock = folder.acquire_lock()
    lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
    engines = Engines(folder, lock, print, lost, mongod_options=MONGOD_OPTIONS, durable=False)
    answer = root / "ready.json"
    try:
        found = await engines.start()
        answer.with_suffix(".part").write_text(json.dumps(asdict(found)))
        answer.with_suffix(".part").rename(answer)
        gone = os.pidfd_open(session)
        ended = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(gone, ended.cancel)
        await asyncio.wait([ended, lost], return_when=asyncio.FIRST_COMPLETED)
    finally:
        engines.kill()
        await engines.stop()
        shutil.rmtree(root, ignore_errors=True)


@contextlib.asynccontextmanager
async def running(root: Path, *, durable: bool = False) -> AsyncIterator[tuple[Engines, Addresses]]:
    folder = DataFolder.open(root)
    lock = folder.acquire_lock()
    lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
    engines = Engines(folder, lock, print, lost, mongod_options=MONGOD_OPTIONS, durable=durable)
    try:
        yield engines, await engines.start()
        assert not lost.done()
    finally:
        engines.kill()
        await engines.stop()
        os.close(lock)


@contextlib.asynccontextmanager
async def connected(url: str, database: str = "mingcha") -> AsyncIterator[Mongo]:
    mongo = Mongo(url, database, driver="pymongo")
    try:
        yield mongo
    finally:
        await mongo.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
