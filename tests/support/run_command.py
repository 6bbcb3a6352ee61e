"""Start `scripts/run` as an operator does."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks.process_memory import children_of, name_of
from storage.processes.fork_server import MODULE_COMMAND
from storage.processes.fork_server import TITLE as FORK_SERVER
from tests.support.forked_commands import ROOT, CommandProcess, command_server
from tests.support.process_states import is_alive, wait_until


class Run:
    """One process of `scripts/run`, its output and its children. It is forked, unless a `prefix` executes it."""

    def __init__(self, data: Path, *arguments: str, prefix: Sequence[str] = (), **environment: str) -> None:
        self.log = data.with_name(f"{data.name}-{time.monotonic_ns()}.out")
        own = {name: value for name, value in os.environ.items() if not name.startswith("MINGCHA_")}
        own |= {"PYTHONPATH": str(ROOT), **environment}
        command = [*MODULE_COMMAND, "scripts.run", f"--data={data}", *arguments]
        self.process: CommandProcess
        with self.log.open("wb") as output:
            if prefix:
                self.process = subprocess.Popen(
                    [*prefix, *command],
                    env=own,
                    cwd=data.parent,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            else:
                self.process = command_server().start(command, own, data.parent, output.fileno())

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
        for pid in children_of(self.process.pid):
            for each in children_of(pid) if _name_of(pid) == FORK_SERVER else [pid]:
                if is_alive(each):
                    names[_name_of(each)] = each
        return names


def _name_of(pid: int) -> str:
    """Return the name of a process, or an empty string if the process has ended."""
    try:
        return name_of(pid)
    except OSError:
        return ""
