"""Define the viewer: the signed-in person, with the roles and scopes that decide what the person may see and do."""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import strawberry

from schema.core.sequences import KnownSequences


@strawberry.enum(description="A person's role (角色).")
class Role(enum.Enum):
    INSPECTOR = strawberry.enum_value(
        "INSPECTOR", description="巡查员: records what happens at service counters. The identity is confidential."
    )
    MONITOR = strawberry.enum_value(
        "MONITOR", description="监测员: reports from a monitoring point. The identity is confidential."
    )
    SUPERVISOR = strawberry.enum_value(
        "SUPERVISOR", description="监督员: follows up cases, and queries cases with their related records."
    )
    OFFICER = strawberry.enum_value(
        "OFFICER", description="效能办、投诉中心: works in the office that handles the cases of one jurisdiction."
    )
    LIAISON = strawberry.enum_value("LIAISON", description="单位联络员: represents an inspected unit.")
    ADMIN = strawberry.enum_value(
        "ADMIN", description="管理员: manages units, monitoring points, users and catalogues. Cannot read evidence."
    )


@strawberry.enum(description="A permission in addition to the roles (特别授权).")
class Clearance(enum.Enum):
    IDENTITY = strawberry.enum_value("IDENTITY", description="May see who inspected, who reported and who complained.")


POINT_FINDERS = frozenset({Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER, Role.ADMIN})
"""Roles that may find every monitoring point in their scope. A monitor finds only the points where they are a monitor."""
COVERT_ROLES = frozenset({Role.INSPECTOR, Role.MONITOR})
"""Roles for covert work. Only viewers with the identity clearance may know who has these roles."""


@dataclass(frozen=True)
class Capacity:
    """In which capacity a person acted: whether covertly, and for the office at which path, if known.

    It is stored with the act. A person's later roles do not change who may learn of the act.
    """

    is_covert: bool
    office_path: str | None


UNKNOWN_COVERT = Capacity(is_covert=True, office_path=None)
"""The capacity of an act that may be a covert person's and was stored before capacities were."""
UNKNOWN_OPEN = Capacity(is_covert=False, office_path=None)
"""The capacity of an act that needs an open role and was stored before capacities were."""


@dataclass(frozen=True)
class Owner:
    """The owner of a record: its author, and the path of the office that the author worked for."""

    author_id: str
    office_path: str


@dataclass(frozen=True)
class Viewer:
    """The signed-in person behind a request.

    `scopes` holds the path of each unit in whose subtree the person works. `office_id` and `office_path` are the id and
    the path of the person's office, or None. `signed_in_at` is when the person last proved who they are, by a password or
    at the identity provider. It is None if that is not known. `sequences` are the sequence numbers of the device that
    earlier syncs have found. Both are no part of who the viewer is.
    """

    user_id: str
    roles: frozenset[Role]
    scopes: tuple[str, ...]
    office_id: str | None
    office_path: str | None
    clearances: frozenset[Clearance]
    device_id: str | None
    signed_in_at: datetime | None = field(default=None, compare=False)
    sequences: KnownSequences | None = field(default=None, compare=False)

    def has_signed_in_since(self, at: datetime) -> bool:
        return self.signed_in_at is not None and self.signed_in_at >= at

    @property
    def capacity(self) -> Capacity:
        return capacity_of(self.roles, self.office_path)

    def has(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)

    def covers(self, path: str) -> bool:
        """Whether the unit at `path` lies in one of the subtrees at the viewer's `scopes`."""
        return covers(self.scopes, path)

    @property
    def sees_identities(self) -> bool:
        return Clearance.IDENTITY in self.clearances

    def may_name(self, user_id: str, capacity: Capacity) -> bool:
        """Whether the viewer may learn that this person acted in `capacity`.

        Everybody may if the person acted openly. If they acted for an unknown office, the identity clearance is enough.
        """
        if not capacity.is_covert:
            return True
        if capacity.office_path is None:
            return self.user_id == user_id or self.sees_identities
        return self.knows(Owner(user_id, capacity.office_path))

    def knows(self, owner: Owner) -> bool:
        """Whether the viewer may learn who made a record.

        The author may, and so may a viewer with the identity clearance whose scope covers the author's office.
        """
        return self.user_id == owner.author_id or (self.sees_identities and self.covers(owner.office_path))


def capacity_of(roles: Collection[Role], office_path: str | None) -> Capacity:
    """Return the capacity in which a person with these roles acts for an office."""
    return Capacity(not COVERT_ROLES.isdisjoint(roles), office_path)


def covers(scopes: Sequence[str], path: str) -> bool:
    """Whether the unit at `path` lies in one of the subtrees at `scopes`. Every path ends with a separator."""
    return any(path.startswith(scope) for scope in scopes)
