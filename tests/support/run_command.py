"""Start `scripts/run` as an operator does."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from storage.processes.fork_server import TITLE as FORK_SERVER
from tests.support.process_states import is_alive, wait_until

ROOT = Path(__file__).parents[2]


class Run:
    """One process of `scripts/run`, its output and its children. `prefix` is a command that executes it."""

    def __init__(self, data: Path, *arguments: str, prefix: Sequence[str] = (), **environment: str) -> None:
        self.log = data.with_name(f"{data.name}-{time.monotonic_ns()}.out")
        own = {name: value for name, value in os.environ.items() if not name.startswith("MINGCHA_")}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-P", "-m", "scripts.run", f"--data={data}", *arguments],
                env={**own, "PYTHONPATH": str(ROOT), **environment},
                cwd=data.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def serving(self) -> str:
        """Wait until the product serves, and return the product's address."""
        wait_until(lambda: self.process.poll() is not None or "Ctrl-C\n" in self.output, 180)
        found = re.search(r"Mingcha +(\S+)", self.output)
        assert found, self.output
        return found[1]

    def ended(self) -> int:
        return self.process.wait(90)

    def children(self) -> dict[str, int]:
        """Return the pids of the children mongod, weed, api.server.serve and api.server.worker, keyed by name."""
        names = {}
        for pid in _children_of(self.process.pid):
            command = _command_of(pid)
            below = _children_of(pid) if command == FORK_SERVER else [pid]
            for child in below:
                command = _command_of(child)
                known = [word for word in ("api.server.serve", "api.server.worker") if word in command]
                if command:
                    names[known[0] if known else Path(command.split()[0]).name] = child
        return names


def _children_of(pid: int) -> list[int]:
    """Return the children of a process that are no zombies."""
    try:
        listed = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for line in listed for child in line.split() if is_alive(int(child))]


def _command_of(pid: int) -> str:
    """Return the command that a process shows, or an empty string if the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""
