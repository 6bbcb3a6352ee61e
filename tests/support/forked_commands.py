"""Start commands of the product by forking a process that has imported them.

Importing a command takes seconds of CPU. A forked command is the same process as an executed one: see
`tests/processes/test_forks.py`.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from storage.processes.fork_server import MODULE_COMMAND, serve_forks
from storage.processes.parent_death_signal import die_with_parent

ROOT = Path(__file__).parents[2]
COMMANDS = ("scripts.run", "api.server.serve", "api.server.worker")


class CommandProcess(Protocol):
    """What the tests use of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class ForkedCommand:
    """A forked command, used like a `subprocess.Popen`."""

    def __init__(self, pid: int, server: "CommandServer") -> None:
        self.pid = pid
        self.server = server

    def poll(self) -> int | None:
        return self.server.exit_code(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked command", timeout or 0)
            time.sleep(0.01)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class CommandServer:
    """A process that has imported `COMMANDS`, and forks them. It ends with this process."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*MODULE_COMMAND, "tests.support.forked_commands", str(theirs.fileno()), str(os.getpid())],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                pass_fds=(theirs.fileno(),),
            )
        self._received = b""
        self._codes: dict[int, int | None] = {}

    def close(self) -> None:
        self._connection.close()
        self._process.wait()

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        output: int,
        passed: Sequence[int] = (),
    ) -> ForkedCommand:
        """Start a command that writes to the descriptor `output` and inherits the descriptors `passed`."""
        request = {
            "command": list(command),
            "environment": dict(environment),
            "folder": str(folder),
            "descriptors": [1, 2, *passed],
        }
        line = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._connection, [line], [output, output, *passed])
        self._connection.sendall(line[sent:])
        known = set(self._codes)
        while not (started := set(self._codes) - known):
            self._read()
        return ForkedCommand(started.pop(), self)

    def exit_code(self, pid: int) -> int | None:
        with contextlib.suppress(BlockingIOError):
            self._read(socket.MSG_DONTWAIT)
        return self._codes[pid]

    def _read(self, flags: int = 0) -> None:
        data = self._connection.recv(4096, flags)
        assert data, "the server of commands has ended"
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            assert "error" not in told, told
            self._codes |= {told["pid"]: told["code"]} if "code" in told else {told["started"]: None}


@functools.cache
def command_server() -> CommandServer:
    """Return the server of this test process. The first call takes seconds."""
    made = CommandServer()
    atexit.register(made.close)
    return made


if __name__ == "__main__":
    die_with_parent(int(sys.argv[2]))
    for name in COMMANDS:
        importlib.import_module(name)
    serve_forks(socket.socket(fileno=int(sys.argv[1])))()
