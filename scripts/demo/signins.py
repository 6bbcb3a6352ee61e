"""List the users of the demo for signing in. They share one password, which is stored in the data folder."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from api.settings import Settings
from schema.access.viewers import Role
from storage.demo import Demos
from storage.embedded.data_folder import write_private
from storage.store import Store

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
SHOWN_PEOPLE = (
    ("巡查员", Role.INSPECTOR, "inspector001"),
    ("监测员", Role.MONITOR, "monitor001"),
    ("监督员", Role.SUPERVISOR, "supervisor001"),
    ("效能办，可见身份", Role.OFFICER, "officer.360703"),
    ("效能办", Role.OFFICER, "clerk.360703"),
    ("市投诉中心", Role.OFFICER, "complaints1"),
    ("联络员", Role.LIAISON, "liaison.360703-jt"),
    ("管理员", Role.ADMIN, "admin"),
)
"""One or two people for each role. All but two work in Nankang (360703), which has a case in every state."""


@dataclass(frozen=True)
class Signins:
    """People to sign in as: title, role and user name.

    They all have the same `password`; None if it is unknown on this machine.
    """

    people: tuple[tuple[str, Role, str], ...]
    password: str | None

    def lines(self) -> Iterator[str]:
        yield f"Password for all: {self.password or 'not known on this machine'}"
        for shown, role, user_name in self.people:
            yield f"{role.value:<11}{user_name:<20}{shown}"


async def signins(store: Store, settings: Settings) -> Signins | None:
    """Return the people to sign in as, or None if the demo isn't completely loaded."""
    demo = await Demos(store.mongo).find()
    return signins_of(settings) if demo and demo.is_whole else None


def signins_of(settings: Settings) -> Signins:
    return Signins(SHOWN_PEOPLE, read_password(settings.data))


def read_password(data: Path) -> str | None:
    """Read the demo's password. Each installation has its own: attackers would try a common one everywhere."""
    try:
        return (data / "demo-password").read_text().strip() or None
    except FileNotFoundError:
        return None


def new_password(data: Path) -> str:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    words = ["".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4)]
    return write_private(data / "demo-password", "-".join(words))
