"""Open the store of an installation for a command.

If the engines (database and object store) of the installation are not running, they are started for the command.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from api.connections import open_store
from api.settings import SettingError, Settings
from schema.core.refusals import Refusal
from scripts.local_stack import ROOT, StartError, has_own_engines
from storage.embedded import mongod, seaweedfs
from storage.embedded.data_folder import PORTS, DataFolder, FolderInUseError, FolderUnusableError
from storage.embedded.engines import Addresses, Engines, EnginesMissingError
from storage.indexes import ensure_indexes
from storage.processes.supervisor import ProcessLostError
from storage.store import Store

START_ERRORS = (StartError, FolderUnusableError, EnginesMissingError, ProcessLostError, SettingError, FolderInUseError)
"""The errors that `open_installation` raises. Their messages are for the operator."""


def data_folder(data: Path | None) -> Path:
    return data or Path(os.environ.get("MINGCHA_DATA") or ROOT / "data")


@contextlib.asynccontextmanager
async def open_installation(data: Path | None, say: Callable[[str], None]) -> AsyncIterator[tuple[Settings, Store]]:
    """Open an installation. Yield its settings and its store.

    If the environment names a database and an object store, they are used. Otherwise the engines of the data folder are
    used, and started if they are not running.
    Raise one of `START_ERRORS` if the installation can't be opened. Errors inside the block pass through unchanged.
    """
    folder = DataFolder.open(data_folder(data))
    environment = {**os.environ, "MINGCHA_DATA": str(folder.root)}
    async with contextlib.AsyncExitStack() as stack:
        if not has_own_engines(os.environ):
            environment |= (await _engine_addresses(folder, say, stack)).environment()
        settings = Settings.from_environment(environment)
        store = open_store(settings)
        stack.push_async_callback(store.close)
        try:
            await ensure_indexes(store.mongo)
        except Refusal as refusal:
            raise StartError("The database can't be reached: check whether Mingcha is still starting.") from refusal
        yield settings, store


async def _engine_addresses(
    folder: DataFolder, say: Callable[[str], None], stack: contextlib.AsyncExitStack
) -> Addresses:
    try:
        lock = folder.acquire_lock(wait_seconds=1)
    except FolderInUseError:
        return _running_addresses(folder)
    stack.callback(os.close, lock)
    say(f"Mingcha isn't running on {folder.root}: starting its engines for this command.")
    lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
    engines = Engines(folder, lock, say, lost)
    stack.push_async_callback(engines.stop)
    return await engines.start()


def _running_addresses(folder: DataFolder) -> Addresses:
    """Return the addresses of the engines that another process runs on a folder.

    Raise `StartError` if that process has not started the engines yet.
    """
    try:
        first = int((folder.root / "engines" / "port").read_text())
    except (OSError, ValueError) as error:
        raise StartError(f"Mingcha is still starting on {folder.root}: try again in a moment.") from error
    access_key, secret_key = seaweedfs.keys(folder)
    endpoint = seaweedfs.endpoint(range(first + 1, first + PORTS))
    return Addresses(mongod.url(folder, first), endpoint, access_key, secret_key)
