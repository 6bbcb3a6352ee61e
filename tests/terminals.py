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
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from mobile_contract.phone.folder import Folder
from mobile_contract.phone.locks import StoreKey
from mobile_contract.phone.outbox import Outbox
from mobile_contract.phone.session import Session
from mobile_contract.phone.stores import Place, Stores
from tests.made_pictures import saved

PASSWORD = "correct-horse-密码"
"""That of `phones`, which loads more than a process should that is forked for each command."""
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
    password: str = PASSWORD
    output: str = ""
    key: StoreKey | None = None
    started: Callable[[int], None] = lambda _: None

    def run(
        self, *arguments: str | Path, kill_at: int = 0, dies_after: float = 0.0, password: str | None = None
    ) -> int:
        """Exit code of a command.

        `kill_at`: killed at that moment of the outbox; each of its steps has two, just before it counts and just after.
        `dies_after`: ended by a signal that nobody handles, so many seconds after its start.
        `password`: given instead of the key that the phone was last unlocked with.
        """
        log = self.folder.with_name(f"{self.folder.name}.out")
        code = self.spawner.run(
            self.started,
            arguments=[str(each) for each in arguments],
            environment=self.environment(password),
            output=str(log),
            kill_at=kill_at,
            dies_after=dies_after,
        )
        self.output = log.read_text(encoding="utf-8")
        return code

    def environment(self, password: str | None) -> dict[str, str]:
        """With the key where there is one: it spares a command the long way from a password to it."""
        opening = {"MINGCHA_PHONE_PASSWORD": self.password if password is None else password, "MINGCHA_PHONE_KEY": ""}
        if password is None and self.stores.current() is not None:
            opening["MINGCHA_PHONE_KEY"] = self.unlocked()[1].text
        return {"MINGCHA_PHONE_FOLDER": str(self.folder)} | opening

    @property
    def stores(self) -> Stores:
        return Stores(Folder(self.folder))

    def unlocked(self) -> tuple[Place, StoreKey]:
        """The store in use, opened by the phone's password where that wasn't done before."""
        place = self.stores.current()
        assert place
        if self.key is None or not place.lock.admits(self.key):
            self.key = place.lock.opened_by_password(self.password)
        assert self.key
        return place, self.key

    @contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """What the store in use holds, opened past the phone."""
        place, key = self.unlocked()
        with closing(Outbox(place.outbox, key.database)) as outbox:
            yield outbox

    def execute(self, statement: str) -> None:
        with self.outbox() as outbox, outbox.step() as database:
            database.execute(statement)

    @property
    def copies(self) -> list[Path]:
        """The encrypted photos of the store in use."""
        return sorted(self.unlocked()[0].originals.iterdir())

    def session(self) -> Session:
        with self.outbox() as outbox:
            session = Session.read(outbox)
        assert session
        return session

    def set_session(self, session: Session) -> None:
        with self.outbox() as outbox:
            session.keep(outbox)

    def do(self, *arguments: str | Path, password: str | None = None) -> str:
        """What a command that goes well prints."""
        code = self.run(*arguments, password=password)
        assert code == 0, f"{code}: {self.output}"
        return self.output

    def sign_in(self, address: str, user: str, password: str) -> None:
        self.do("sign-in", address, "--user", user, password=password)
        self.password = password

    def status(self) -> dict[str, Any]:
        standing: dict[str, Any] = json.loads(self.do("status", "--json"))
        return standing

    def states(self) -> list[tuple[str, list[str]]]:
        """State of each observation, and of its media."""
        return [
            (each["state"], [medium["state"] for medium in each["media"]]) for each in self.status()["observations"]
        ]


def _serve() -> None:
    """Fork for each line; no thread ever runs here, so that a fork is whole.

    Stores are locked by a password at no cost here: what guessing one costs is no matter of these tests.
    """
    locks.MEMORY_KIB, locks.PASSES = 8, 1
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
    from mobile_contract.phone import locks
    from mobile_contract.phone.commands import app

    _serve()
