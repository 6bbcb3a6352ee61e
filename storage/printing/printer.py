"""Print a document in a separate, confined process, so that no other request waits for it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import anyio
import orjson

SECONDS = 120.0
_ROOT = Path(__file__).resolve().parents[2]
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
_LIBRARIES = {"RAYON_NUM_THREADS": "1"}
"""Makes the typesetter use one thread. More are no faster, and each reserves some of the process's address space."""


class PrintingError(Exception):
    """The process took too long, failed, or wrote no PDF."""


async def print_pdf(template: str, data: Mapping[str, Any], made_at: str) -> bytes:
    """Return the PDF/A of a template with its data, which `storage.printing.typesetting` describes.

    `made_at` is a time in ISO 8601 format. If the caller is cancelled, the process is killed. Raise `PrintingError` if
    the process makes no PDF.
    """
    job = orjson.dumps({"template": template, "data": data, "made_at": made_at})
    command = [sys.executable, "-P", "-m", "storage.printing.printer_child", str(os.getpid())]
    # The process gets none of our secrets, because it doesn't need them.
    inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment = inherited | _LIBRARIES | {"PYTHONPATH": str(_ROOT)}
    try:
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process(command, input=job, stderr=None, cwd=_ROOT, env=environment)
    except (CalledProcessError, TimeoutError) as error:
        raise PrintingError("The process that prints documents failed.") from error
    if not done.stdout.startswith(b"%PDF-"):
        raise PrintingError("The process that prints documents wrote no PDF.")
    return done.stdout
