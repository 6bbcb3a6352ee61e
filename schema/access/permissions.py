"""Define who may call or read each field.

Each noun has its rows beside its types. A test fails for a field without a row.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from schema.access.viewers import Clearance, Role, Viewer


@dataclass(frozen=True)
class Permit:
    """Who may pass: everybody if `public`; else a signed-in person with one of `roles` and, if named, the clearance."""

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
"""Anyone who sees the record may read the field."""
CLEARED = Permit(clearance=Clearance.IDENTITY)
"""For the record's author, and for viewers with the clearance whose scope covers the record's office."""

_R = Role
AUTHORS = only(_R.INSPECTOR, _R.MONITOR, _R.OFFICER)
READERS = only(_R.INSPECTOR, _R.MONITOR, _R.SUPERVISOR, _R.OFFICER)
FOLLOWERS = only(_R.INSPECTOR, _R.SUPERVISOR, _R.OFFICER)
OFFICERS = only(_R.OFFICER)
ADMINS = only(_R.ADMIN)
EXAMINERS = only(_R.SUPERVISOR, _R.OFFICER)
"""They may know what is suspicious about an observation. Its author must not: that would show what the checks miss."""
UNIT_SCORE_READERS = only(_R.SUPERVISOR, _R.OFFICER)
"""They may read a unit's score. The unit itself and its raters must not."""

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
"""Phones of every contract level may always call these: an app that is too old must still hand in what it holds."""

Row = tuple[str, Permit, str]
"""A type of the SDL, its permit, and the names of its fields."""

CORE: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "node"),
    ("GeoPoint", SEEN, "latitude longitude originalLatitude originalLongitude originalDatum accuracyMetres"),
    ("GeoPoint", SEEN, "altitudeMetres originalAltitudeMetres source isMock fixedAt datum problem"),
    ("PageInfo", SEEN, "hasNextPage hasPreviousPage startCursor endCursor"),
    ("Refused", SEEN, "code message messageZh nextStep field proof"),
)
"""Types that belong to no single noun."""


def connection(name: str) -> tuple[Row, Row]:
    """Return the rows of the generic types that page through records."""
    return (f"{name}Connection", SEEN, "edges pageInfo"), (f"{name}Edge", SEEN, "cursor node")


def compose(rows: Iterable[Row]) -> dict[str, Permit]:
    """Return the permit of each `Type.field`. Raise `ValueError` if a field has two rows."""
    permits: dict[str, Permit] = {}
    for owner, permit, names in rows:
        for name in names.split():
            if f"{owner}.{name}" in permits:
                raise ValueError(f"{owner}.{name} has two rows.")
            permits[f"{owner}.{name}"] = permit
    return permits
