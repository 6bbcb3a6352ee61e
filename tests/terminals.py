"""Terminals: the phone's commands, each in a process of its own that can be killed, forked from one that has them loaded.

`python -m tests.terminals` is that one; what the phone talks to is left to `served`.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.made_pictures import saved

ROOT = Path(__file__).parent.parent
KIB = 1024
MIB = 1024 * KIB


def photo(folder: Path, name: str, size: int = 0) -> Path:
    """A photo unlike any of another name, with so many bytes behind its end."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(saved(Image.new("RGB", (48, 36), "#2a6")) + name.encode() + bytes(size))
    return path


class Spawner:
    """Loading the phone takes longer than most commands: it is done once."""

    def __init__(self) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("MINGCHA_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.terminals"],
            cwd=ROOT,
            env=own | {"COLUMNS": "200"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, started: Callable[[int], None], **wanted: Any) -> int:
        """Exit code of one command; negative where a signal ended it. `started` gets its pid first."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        started(int(self._process.stdout.readline()))
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


@dataclass
class Terminal:
    """One phone: its folder, and what its last command printed."""

    spawner: Spawner
    folder: Path
    output: str = ""
    started: Callable[[int], None] = lambda _: None

    def run(self, *arguments: str | Path, kill_at: int = 0, dies_after: float = 0.0, password: str = "") -> int:
        """Exit code of a command.

        `kill_at`: killed at that moment of the outbox; each of its steps has two, just before it counts and just after.
        `dies_after`: ended by a signal that nobody handles, so many seconds after its start.
        """
        log = self.folder.with_name(f"{self.folder.name}.out")
        code = self.spawner.run(
            self.started,
            arguments=[str(each) for each in arguments],
            environment={"MINGCHA_PHONE_FOLDER": str(self.folder), "MINGCHA_PHONE_PASSWORD": password},
            output=str(log),
            kill_at=kill_at,
            dies_after=dies_after,
        )
        self.output = log.read_text(encoding="utf-8")
        return code

    def do(self, *arguments: str | Path, password: str = "") -> str:
        """What a command that goes well prints."""
        code = self.run(*arguments, password=password)
        assert code == 0, f"{code}: {self.output}"
        return self.output

    def sign_in(self, address: str, user: str, password: str) -> None:
        self.do("sign-in", address, "--user", user, password=password)

    def status(self) -> dict[str, Any]:
        standing: dict[str, Any] = json.loads(self.do("status", "--json"))
        return standing

    def states(self) -> list[tuple[str, list[str]]]:
        """State of each observation, and of its media."""
        return [
            (each["state"], [medium["state"] for medium in each["media"]]) for each in self.status()["observations"]
        ]


def _serve() -> None:
    """Fork for each line; no thread ever runs here, so that a fork is whole."""
    for line in sys.stdin:
        wanted = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(wanted)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


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
        signal.setitimer(signal.ITIMER_REAL, wanted["dies_after"])
        try:
            app(wanted["arguments"], prog_name="scripts/phone")
        except SystemExit as end:
            code = int(end.code or 0)
    except BaseException:  # noqa: BLE001  the fork must not go on as the spawner
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill_at(moment: int) -> None:
    moments = itertools.count(1)
    step = Outbox.step

    def die_at_last() -> None:
        if next(moments) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def dying(self: Outbox) -> Iterator[Any]:
        with step(self) as database:
            yield database
            die_at_last()
        die_at_last()

    Outbox.step = dying  # type: ignore[method-assign]


if __name__ == "__main__":
    from mobile_contract.phone.commands import app
    from mobile_contract.phone.outbox import Outbox

    _serve()
