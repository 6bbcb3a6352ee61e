"""Print the PDF of a report in a separate, confined process, so that no other request waits for it."""

import base64
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CalledProcessError

import anyio
import orjson

from api.evidence.report.blocks import PackReport, to_json

SECONDS = 120.0
_ROOT = Path(__file__).resolve().parents[3]
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


class PrintingError(Exception):
    """The process took too long, failed, or wrote no PDF."""


async def print_pdf(report: PackReport, pictures: Mapping[str, bytes]) -> bytes:
    """Return the PDF. `pictures` are JPEG files by media id.

    If the caller is cancelled, the process is killed. Raise `PrintingError` if the process makes no PDF.
    """
    job = {
        "report": to_json(report),
        "pictures": {id: base64.b64encode(jpeg).decode() for id, jpeg in pictures.items()},
    }
    command = [sys.executable, "-P", "-m", "api.evidence.report.pdf_child", str(os.getpid())]
    # The process gets none of our secrets, because it doesn't need them.
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | {"PYTHONPATH": str(_ROOT)}
    try:
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process(command, input=orjson.dumps(job), stderr=None, cwd=_ROOT, env=environment)
    except (CalledProcessError, TimeoutError) as error:
        raise PrintingError("The process that prints packs failed.") from error
    if not done.stdout.startswith(b"%PDF-"):
        raise PrintingError("The process that prints packs wrote no PDF.")
    return done.stdout
