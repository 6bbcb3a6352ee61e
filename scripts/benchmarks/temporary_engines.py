"""Engines for a measurement: started in a temporary folder, stopped and thrown away with it.

What is measured on them is left to `bench`.
"""

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
    """The folder, and where they answer. Raise one of `reach.FAULTS`."""
    with tempfile.TemporaryDirectory(prefix="mingcha-bench-") as root:
        folder = DataFolder.open(Path(root) / "data")
        lock = folder.acquire_lock()
        lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
        started = Engines(folder, lock, typer.echo, lost, durable=False)
        try:
            yield Path(root), await started.start()
        finally:
            await started.stop()
            os.close(lock)
