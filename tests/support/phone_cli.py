"""Terminals: one phone by its commands, each in a process of its own, and photos for it.

How the processes are made and killed is left to `scripts/benchmarks/phone_processes.py`, what the phone talks to is
left to `served`.
"""

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
"""That of `phones`, which loads more than a process should that is forked for each command."""
KIB = 1024
MIB = 1024 * KIB


def photo(folder: Path, name: str, size: int = 0) -> Path:
    """A photo unlike any of another name, with so many bytes behind its end."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(saved(Image.new("RGB", (48, 36), "#2a6")) + name.encode() + bytes(size))
    return path


@dataclass
class Terminal:
    """One phone: its folder, and what its last command printed."""

    spawner: Spawner
    folder: Path
    password: str = PASSWORD
    output: str = ""
    key: StoreKey | None = None
    started: Callable[[int], None] = lambda _: None
    ahead: timedelta = timedelta()
    """So far the phone's clock is ahead of the true one."""
    level: int | None = None
    """Of the contract that the phone was made for, where that is an earlier one."""

    def run(
        self, *arguments: str | Path, kill_at: int = 0, dies_after: float = 0.0, password: str | None = None
    ) -> int:
        """Exit code of a command.

        `kill_at`: killed at that moment of the outbox; each of its steps has two, just before it counts and just after.
        `dies_after`: killed so many seconds after its start.
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
            ahead=self.ahead,
            level=self.level,
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
    def stores(self) -> UserStores:
        return UserStores(Folder(self.folder))

    def unlocked(self) -> tuple[StoreLocation, StoreKey]:
        """The store in use, opened by the phone's password where that wasn't done before."""
        place = self.stores.current()
        assert place
        if self.key is None or not place.lock.admits(self.key):
            self.key = place.lock.unwrap_with_password(self.password)
        assert self.key
        return place, self.key

    @contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """What the store in use holds, opened past the phone."""
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
