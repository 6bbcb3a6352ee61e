"""Start engines for a measurement in a temporary folder, then stop and delete them."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import typer

from storage.embedded.data_folder import DataFolder
from storage.embedded.engines import Addresses, Engines
from storage.processes.supervisor import ProcessLostError


@contextlib.asynccontextmanager
async def engines() -> AsyncIterator[tuple[Path, Addresses]]:
    """Yield the folder and the engines' addresses. Raise one of `START_ERRORS` if they don't start."""
    with tempfile.TemporaryDirectory(prefix="mingcha-bench-") as root:
        folder = DataFolder.open(Path(root) / "data")
        lock = folder.acquire_lock()
        lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
        running = Engines(folder, lock, typer.echo, lost, durable=False)
        try:
            yield Path(root), await running.start()
        finally:
            await running.stop()
            os.close(lock)
