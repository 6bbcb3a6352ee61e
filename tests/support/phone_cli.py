"""Drive one phone by its commands, each in a process of its own, and make photos for it."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image

from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.storage.folder import Folder
from mobile_contract.phone.storage.key_wrapping import StoreKey
from mobile_contract.phone.users.session import Session
from mobile_contract.phone.users.user_stores import StoreLocation, UserStores
from scripts.benchmarks.phone_processes import Spawner
from tests.support.picture_files import saved

__all__ = ["Spawner", "Terminal", "photo"]
PASSWORD = "correct-horse-密码"
"""The same as `phone_sessions.PASSWORD`. Importing that module would load too much for a process that forks often."""
KIB = 1024
MIB = 1024 * KIB


def photo(folder: Path, name: str, size: int = 0) -> Path:
    """Write a photo followed by `size` zero bytes. The bytes differ for each name."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(saved(Image.new("RGB", (48, 36), "#2a6")) + name.encode() + bytes(size))
    return path


@dataclass
class Terminal:
    """One phone: its folder, and the output of its last command."""

    spawner: Spawner
    folder: Path
    password: str = PASSWORD
    output: str = ""
    key: StoreKey | None = None
    started: Callable[[int], None] = lambda _: None
    ahead: timedelta = timedelta()
    """The difference by which the phone's clock is ahead of the true time."""
    level: int | None = None
    """The contract level that the phone was made for. None is the current level."""

    def run(
        self, *arguments: str | Path, kill_at: int = 0, dies_after: float = 0.0, password: str | None = None
    ) -> int:
        """Run a command and return its exit code.

        `kill_at`: kill the process at this moment. Each step of the outbox has two moments, just before and just after
        its commit. The moments of a command are counted from 1; 0 means no kill.
        `dies_after`: kill the process that many seconds after its start.
        `password`: use it instead of the key that last unlocked the phone.
        """
        log = self.folder.with_name(f"{self.folder.name}.out")
        code = self.spawner.run(
            self.started,
            arguments=[str(each) for each in arguments],
            environment=self.environment(password),
            output=str(log),
            kill_at=kill_at,
            dies_after=dies_after,
            ahead=self.ahead,
            level=self.level,
        )
        self.output = log.read_text(encoding="utf-8")
        return code

    def environment(self, password: str | None) -> dict[str, str]:
        """Return the environment of a command.

        If the phone has a store and there is no `password`, the environment contains the store's key, because deriving
        the key from the password takes long.
        """
        opening = {"MINGCHA_PHONE_PASSWORD": self.password if password is None else password, "MINGCHA_PHONE_KEY": ""}
        if password is None and self.stores.current() is not None:
            opening["MINGCHA_PHONE_KEY"] = self.unlocked()[1].text
        return {"MINGCHA_PHONE_FOLDER": str(self.folder)} | opening

    @property
    def stores(self) -> UserStores:
        return UserStores(Folder(self.folder))

    def unlocked(self) -> tuple[StoreLocation, StoreKey]:
        """Return the store in use and its key. The password unwraps the key only if the last known key does not fit."""
        place = self.stores.current()
        assert place
        if self.key is None or not place.lock.admits(self.key):
            self.key = place.lock.unwrap_with_password(self.password)
        assert self.key
        return place, self.key

    @contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """Open the outbox of the store in use directly, without the phone."""
        place, key = self.unlocked()
        with closing(Outbox(place.outbox, key.database)) as outbox:
            yield outbox

    def execute(self, statement: str) -> None:
        with self.outbox() as outbox, outbox.transaction() as database:
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
            session.save(outbox)

    def do(self, *arguments: str | Path, password: str | None = None) -> str:
        """Run a command that must succeed, and return its output."""
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
        """Return the state of each observation, and the states of its media."""
        return [
            (each["state"], [medium["state"] for medium in each["media"]]) for each in self.status()["observations"]
        ]
