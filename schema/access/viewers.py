"""The viewer: who asks, with which roles and in which subtrees; made by sign-in, read by every filter.

What a role may do is the table in `permits.py`.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import strawberry


@strawberry.enum(description="What a person does here (角色).")
class Role(enum.Enum):
    INSPECTOR = strawberry.enum_value(
        "INSPECTOR", description="巡查员: records what happens at counters; identity is confidential."
    )
    MONITOR = strawberry.enum_value(
        "MONITOR", description="监测员: reports from a monitoring point; identity is confidential."
    )
    SUPERVISOR = strawberry.enum_value("SUPERVISOR", description="监督员: follows cases up and queries the case graph.")
    OFFICER = strawberry.enum_value("OFFICER", description="效能办、投诉中心: runs the office of one jurisdiction.")
    LIAISON = strawberry.enum_value("LIAISON", description="单位联络员: answers for an inspected unit.")
    ADMIN = strawberry.enum_value(
        "ADMIN", description="管理员: units, points, users and catalogues; reads no evidence."
    )


@strawberry.enum(description="A permission beside the roles (特别授权).")
class Clearance(enum.Enum):
    IDENTITY = strawberry.enum_value("IDENTITY", description="May see who inspected, reported or complained.")


COVERT_ROLES = frozenset({Role.INSPECTOR, Role.MONITOR})
"""Roles whose holders stay unknown to all without the clearance (rule 7: covert work stays covert)."""


@dataclass(frozen=True)
class Owner:
    """Whose a record is: its author, and the path of the office that the author worked for."""

    author_id: str
    office_path: str


@dataclass(frozen=True)
class Viewer:
    """The signed-in person behind a request.

    `scopes` are paths of unit subtrees; `office_id` and `office_path` name the office the person works for, or None.
    """

    user_id: str
    roles: frozenset[Role]
    scopes: tuple[str, ...]
    office_id: str | None
    office_path: str | None
    clearances: frozenset[Clearance]
    device_id: str | None

    def has(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)

    def covers(self, path: str) -> bool:
        """Whether the unit at `path` lies in one of the viewer's subtrees (a path ends with its separator)."""
        return covers(self.scopes, path)

    @property
    def sees_identities(self) -> bool:
        return Clearance.IDENTITY in self.clearances

    def knows(self, owner: Owner) -> bool:
        """Whether the viewer may learn who is behind a record: its author may, and the cleared whose scope it lies in."""
        return self.user_id == owner.author_id or (self.sees_identities and self.covers(owner.office_path))


def covers(scopes: Sequence[str], path: str) -> bool:
    """Whether the unit at `path` lies in one of the subtrees at `scopes`."""
    return any(path.startswith(scope) for scope in scopes)
