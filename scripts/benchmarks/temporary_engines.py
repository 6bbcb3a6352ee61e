"""Start engines for a measurement in a temporary folder, then stop and delete them. A given folder is kept."""

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


def _folder(kept: Path | None) -> contextlib.AbstractContextManager[str]:
    if kept is None:
        return tempfile.TemporaryDirectory(prefix="mingcha-bench-")
    kept.mkdir(parents=True, exist_ok=True)
    return contextlib.nullcontext(str(kept.absolute()))


@contextlib.asynccontextmanager
async def engines(kept: Path | None = None) -> AsyncIterator[tuple[Path, Addresses]]:
    """Yield the folder and the engines' addresses. Raise one of `START_ERRORS` if they don't start.

    With `kept`, use that folder, and leave its data there.
    """
    with _folder(kept) as root:
        folder = DataFolder.open(Path(root) / "data")
        lock = folder.acquire_lock()
        lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
        running = Engines(folder, lock, typer.echo, lost, durable=False)
        try:
            yield Path(root), await running.start()
        finally:
            await running.stop()
            os.close(lock)
