"""Confine this process, try what it can still do, and print what happened as JSON.

Usage: `python -m storage.processes.confinement_trial FOLDER`. FOLDER is one that this account can read.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from storage.processes.confinement import confine


def main() -> None:
    folder = sys.argv[1]
    confinement = confine(["storage"])
    found = {
        "opens_files": _succeeds(lambda: list(Path(folder).iterdir())),
        "reaches_network": _succeeds(_reach),
        "starts_programs": _succeeds(_start),
    }
    print(json.dumps({"confinement": asdict(confinement), **found}))


def _succeeds(deed: Callable[[], object]) -> bool:
    try:
        deed()
    except OSError:
        return False
    return True


def _reach() -> None:
    """Call a port of this machine. That nobody listens there is an answer of the network too."""
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()


def _start() -> None:
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
