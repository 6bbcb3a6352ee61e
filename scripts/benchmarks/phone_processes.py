"""Run commands of the reference phone, each in its own process that can be killed.

The processes are forked from one process that has loaded the phone: `python -m scripts.benchmarks.phone_processes`.
"""

import asyncio
import gc
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.005


class Spawner:
    """Runs the phone's commands. The phone is loaded only once, because loading takes longer than most commands.

    `light_locks` makes password hashing cheap, for tests that don't measure its cost.
    """

    def __init__(self, *, light_locks: bool = False) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("MINGCHA_")}
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "scripts.benchmarks.phone_processes",
                *(["--light-locks"] if light_locks else []),
            ],
            cwd=ROOT,
            env=own | {"COLUMNS": "200", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        started: Callable[[int], None],
        *,
        arguments: Sequence[str],
        environment: dict[str, str],
        output: str,
        kill_at: int = 0,
        dies_after: float = 0.0,
        ahead: timedelta = timedelta(),
        level: int | None = None,
    ) -> int:
        """Run one command and return its exit code, which is negative if a signal ended the command.

        The command prints to `output`. `started` is called with the command's pid. `kill_at` kills the command at that
        moment of the outbox: each outbox step has two moments, just before and just after its commit. `dies_after`
        kills the command that many seconds after its start. `ahead` is how far the command's clock is ahead of the true
        time. `level` makes the phone act as one of an earlier contract level: it names that level and sends the
        documents of that level.
        """
        command = {
            "arguments": list(arguments),
            "environment": environment,
            "output": output,
            "kill_at": kill_at,
            "dies_after": dies_after,
            "ahead_seconds": ahead.total_seconds(),
            "level": level,
        }
        assert self._process.stdin  # noqa: S101  both are pipes
        assert self._process.stdout  # noqa: S101
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        started(int(self._process.stdout.readline()))
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


def _warm_up() -> None:
    """Load the modules that a first command would load. Otherwise every forked command would load them itself.

    Loading takes longer than running a command.
    """
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        for arguments in (["--help"], ["status", "--folder", folder]):
            with suppress(SystemExit):
                app(arguments, prog_name="scripts/phone")
    asyncio.run(_connect_once())
    gc.freeze()


async def _connect_once() -> None:
    async with open_client() as client:
        with suppress(httpx.ConnectError):
            await client.get("http://127.0.0.1:9")


def _serve() -> None:
    """Fork a process for each line of input.

    This process must have no other threads, because a fork copies only the calling thread.
    """
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run_command(command)
        print(pid, flush=True)
        print(_wait_for(pid, command["dies_after"]), flush=True)


def _wait_for(pid: int, seconds: float) -> int:
    """Wait for a child, and return its exit code. Kill it after `seconds`, unless that is 0."""
    deadline = time.monotonic() + seconds
    while seconds and time.monotonic() < deadline:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_SECONDS)
    if seconds:
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _run_command(command: dict[str, Any]) -> None:
    """Run the command in this forked process; never return."""
    code = 70
    try:
        # A shell that starts the tests in the background makes all below ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(command["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(command["environment"])
        if command["kill_at"]:
            _kill_at(command["kill_at"])
        if command["ahead_seconds"]:
            _set_clock(timedelta(seconds=command["ahead_seconds"]))
        if command["level"] is not None:
            _set_level(command["level"])
        try:
            app(command["arguments"], prog_name="scripts/phone")
        except SystemExit as end:
            code = int(end.code or 0)
    except BaseException:  # noqa: BLE001  the fork must not continue in the parent's loop
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill_at(moment: int) -> None:
    """Make this process kill itself at that moment of the outbox."""
    moments = itertools.count(1)
    step = Outbox.transaction

    def die_at_last() -> None:
        if next(moments) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def dying(self: Outbox) -> Iterator[Any]:
        with step(self) as database:
            yield database
            die_at_last()
        die_at_last()

    Outbox.transaction = dying  # type: ignore[method-assign]


def _set_clock(ahead: timedelta) -> None:
    """Set the wall clock of this process ahead. The monotonic clock does not change."""

    class MovedDatetime(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + ahead

    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + ahead.total_seconds()
    time.time_ns = lambda: true_time_ns() + int(ahead.total_seconds() * 1e9)
    _replace("datetime", datetime, MovedDatetime)


def _set_level(level: int) -> None:
    """Turn the phone into one of an earlier contract level. Documents retired since then replace today's documents."""
    levels, current = Levels.read(), documents.text_of
    earlier = Levels(level, min(level, levels.oldest), levels.until)
    Levels.read = classmethod(lambda cls: earlier)  # type: ignore[assignment,method-assign]
    retired = json.loads(documents.RETIRED.read_text(encoding="utf-8"))["operations"]
    latest_first = sorted(retired, key=lambda operation: -int(operation["level"]))
    texts = {operation["name"]: operation["body"] for operation in latest_first if operation["level"] >= level}

    def text_of(name: str) -> str:
        return str(texts.get(name) or current(name))

    _replace("text_of", current, text_of)


def _replace(name: str, old: Any, new: Any) -> None:
    """Replace an object in every module of the phone that contains the object under that name."""
    for module in [module for path, module in sys.modules.items() if path.startswith("mobile_contract")]:
        if getattr(module, name, None) is old:
            setattr(module, name, new)


if __name__ == "__main__":
    import httpx

    from mobile_contract import documents
    from mobile_contract.levels import Levels
    from mobile_contract.phone.cli.main import app
    from mobile_contract.phone.outbox.outbox import Outbox
    from mobile_contract.phone.storage import key_wrapping
    from mobile_contract.proxies import open_client

    if "--light-locks" in sys.argv:
        key_wrapping.MEMORY_KIB, key_wrapping.PASSES = 8, 1
    _warm_up()
    _serve()
