"""A spawner: commands of the reference phone, each in a process of its own, forked from one that has them loaded, to be killed.

`python -m scripts.benchmarks.phone_processes` is that one. What the phone is to do, and with whom it talks, is left
to the week and the tests.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOOK_SECONDS = 0.005


class Spawner:
    """Loading the phone takes longer than most commands: it is done once.

    `light_locks`: a password locks a store at no cost, where what guessing one costs is no matter.
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
        """Exit code of one command, which prints to `output`; negative where a signal ended it. `started` gets its pid.

        `kill_at`: killed at that moment of the outbox; each of its steps has two, just before it counts and just after.
        `dies_after`: killed so many seconds after its start. `ahead`: so far its clock is ahead of the true one.
        `level`: of the contract that it was made for, where that is an earlier one: it says so, and sends the documents of then.
        """
        wanted = {
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
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        started(int(self._process.stdout.readline()))
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


def _serve() -> None:
    """Fork for each line; no thread ever runs here, so that a fork is whole."""
    for line in sys.stdin:
        wanted = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(wanted)
        print(pid, flush=True)
        print(_ended(pid, wanted["dies_after"]), flush=True)


def _ended(pid: int, seconds: float) -> int:
    """Wait for a child, killing it after so many seconds where there are any; its exit code."""
    deadline = time.monotonic() + seconds
    while seconds and time.monotonic() < deadline:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            return os.waitstatus_to_exitcode(status)
        time.sleep(LOOK_SECONDS)
    if seconds:
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _become(wanted: dict[str, Any]) -> None:
    """The command's own process; never returns."""
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(wanted["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(wanted["environment"])
        if wanted["kill_at"]:
            _kill_at(wanted["kill_at"])
        if wanted["ahead_seconds"]:
            _set_clock(timedelta(seconds=wanted["ahead_seconds"]))
        if wanted["level"] is not None:
            _be_of_level(wanted["level"])
        try:
            app(wanted["arguments"], prog_name="scripts/phone")
        except SystemExit as end:
            code = int(end.code or 0)
    except BaseException:  # noqa: BLE001  the fork must not go on as the one that forks
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill_at(moment: int) -> None:
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
    """Every reading of the wall clock in this process is that much later; what is measured in seconds runs on evenly."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + ahead

    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + ahead.total_seconds()
    time.time_ns = lambda: true_time_ns() + int(ahead.total_seconds() * 1e9)
    _replace("datetime", datetime, Moved)


def _be_of_level(level: int) -> None:
    """As if the phone's own files were of that level; a document that none has retired since is as it was."""
    kept, current = Levels.read(), documents.text_of
    other = Levels(level, min(level, kept.oldest), kept.until)
    Levels.read = classmethod(lambda cls: other)  # type: ignore[assignment,method-assign]
    retired = json.loads(documents.RETIRED.read_text(encoding="utf-8"))["operations"]
    latest_first = sorted(retired, key=lambda each: -int(each["level"]))
    texts = {each["name"]: each["body"] for each in latest_first if each["level"] >= level}

    def text_of(name: str) -> str:
        return str(texts.get(name) or current(name))

    _replace("text_of", current, text_of)


def _replace(name: str, known: Any, other: Any) -> None:
    """Under that name in every module of the phone that has it."""
    for module in [module for place, module in sys.modules.items() if place.startswith("mobile_contract")]:
        if getattr(module, name, None) is known:
            setattr(module, name, other)


if __name__ == "__main__":
    from mobile_contract import documents
    from mobile_contract.levels import Levels
    from mobile_contract.phone.cli.main import app
    from mobile_contract.phone.outbox.outbox import Outbox
    from mobile_contract.phone.storage import key_wrapping

    if "--light-locks" in sys.argv:
        key_wrapping.MEMORY_KIB, key_wrapping.PASSES = 8, 1
    _serve()
