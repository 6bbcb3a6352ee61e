"""Terminals: one phone by its commands, each in a process of its own, and photos for it.

How the processes are made and killed is left to `scripts/spawner.py`, what the phone talks to is left to `served`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image

from scripts.spawner import Spawner
from tests.made_pictures import saved

__all__ = ["Spawner", "Terminal", "photo"]
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
    output: str = ""
    started: Callable[[int], None] = lambda _: None
    ahead: timedelta = timedelta()
    """So far the phone's clock is ahead of the true one."""
    level: int | None = None
    """Of the contract that the phone was made for, where that is an earlier one."""

    def run(self, *arguments: str | Path, kill_at: int = 0, dies_after: float = 0.0, password: str = "") -> int:
        """Exit code of a command.

        `kill_at`: killed at that moment of the outbox; each of its steps has two, just before it counts and just after.
        `dies_after`: killed so many seconds after its start.
        """
        log = self.folder.with_name(f"{self.folder.name}.out")
        code = self.spawner.run(
            self.started,
            arguments=[str(each) for each in arguments],
            environment={"MINGCHA_PHONE_FOLDER": str(self.folder), "MINGCHA_PHONE_PASSWORD": password},
            output=str(log),
            kill_at=kill_at,
            dies_after=dies_after,
            ahead=self.ahead,
            level=self.level,
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
