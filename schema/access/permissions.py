"""Say who may call or read what: each noun has rows beside its types, and a test fails for a field without a row.

Which *records* a viewer finds is decided by scope and clearance in the filters of storage.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from schema.access.viewers import Clearance, Role, Viewer


@dataclass(frozen=True)
class Permit:
    """Who passes: everybody, or the signed-in with one of `roles`, and with the clearance where one is named."""

    roles: frozenset[Role] = frozenset(Role)
    public: bool = False
    clearance: Clearance | None = None

    def admits(self, viewer: Viewer | None) -> bool:
        if self.public:
            return True
        if viewer is None or viewer.roles.isdisjoint(self.roles):
            return False
        return self.clearance is None or self.clearance in viewer.clearances


def only(*roles: Role) -> Permit:
    return Permit(roles=frozenset(roles))


PUBLIC = Permit(public=True)
SIGNED_IN = Permit()
SEEN = Permit(public=True)
"""Whoever was shown the record may read the field."""
CLEARED = Permit(clearance=Clearance.IDENTITY)
"""The record's author, and those with the clearance in whose scope the record's office lies."""

_R = Role
AUTHORS = only(_R.INSPECTOR, _R.MONITOR, _R.OFFICER)
READERS = only(_R.INSPECTOR, _R.MONITOR, _R.SUPERVISOR, _R.OFFICER)
FOLLOWERS = only(_R.INSPECTOR, _R.SUPERVISOR, _R.OFFICER)
OFFICERS = only(_R.OFFICER)
ADMINS = only(_R.ADMIN)
EXAMINERS = only(_R.SUPERVISOR, _R.OFFICER)
"""Who may know what doesn't fit about an observation; its author never, who would learn what is seen and what is not."""
UNIT_SCORE_READERS = only(_R.SUPERVISOR, _R.OFFICER)
"""Who may know what a unit comes to; the unit itself and its raters not."""

OUTBOX = frozenset(
    f"Mutation.{name}"
    for name in (
        "signIn",
        "refreshSession",
        "submitObservations",
        "requestUploads",
        "confirmMedia",
        "submitRatings",
        "answerAssignments",
        "editAssignmentNotes",
    )
)
"""What phones of every level may do for ever: an app that is too old must still give up what it holds."""

Row = tuple[str, Permit, str]
"""A type of the SDL, who passes, and the names of its fields."""

CORE: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "node"),
    ("GeoPoint", SEEN, "latitude longitude originalLatitude originalLongitude originalDatum accuracyMetres"),
    ("GeoPoint", SEEN, "altitudeMetres originalAltitudeMetres source isMock fixedAt datum problem"),
    ("PageInfo", SEEN, "hasNextPage hasPreviousPage startCursor endCursor"),
    ("Refused", SEEN, "code message messageZh nextStep field proof"),
)
"""Types that no one noun owns."""


def connection(name: str) -> tuple[Row, Row]:
    """Give the rows of the generic types that page through records."""
    return (f"{name}Connection", SEEN, "edges pageInfo"), (f"{name}Edge", SEEN, "cursor node")


def compose(rows: Iterable[Row]) -> dict[str, Permit]:
    """Return who passes for each `Type.field`; raises `ValueError` for a field that has two rows."""
    permits: dict[str, Permit] = {}
    for owner, permit, names in rows:
        for name in names.split():
            if f"{owner}.{name}" in permits:
                raise ValueError(f"{owner}.{name} has two rows.")
            permits[f"{owner}.{name}"] = permit
    return permits
