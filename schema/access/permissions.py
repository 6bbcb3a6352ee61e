"""Define who may call or read each field.

Each module that defines GraphQL types has a table `PERMITS` for their fields. A test fails if a field has no row.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from schema.access.viewers import Clearance, Role, Viewer


@dataclass(frozen=True)
class Permit:
    """A rule that says who may use a field.

    Everybody may use a field if `public` is true. Otherwise the field needs a signed-in person who has one of `roles`
    and, if `clearance` is set, that clearance.
    """

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
"""Anyone who can see the record may read the field."""
CLEARED = Permit(clearance=Clearance.IDENTITY)
"""The author may read the field. So may a viewer with the clearance whose scope covers the author's office."""

_R = Role
AUTHORS = only(_R.INSPECTOR, _R.MONITOR, _R.OFFICER)
UPLOADERS = only(_R.INSPECTOR, _R.MONITOR, _R.OFFICER, _R.LIAISON)
"""Roles whose media the object store takes in: authors of observations, and liaisons who reply to notices."""
READERS = only(_R.INSPECTOR, _R.MONITOR, _R.SUPERVISOR, _R.OFFICER)
FOLLOWERS = only(_R.INSPECTOR, _R.SUPERVISOR, _R.OFFICER)
OFFICERS = only(_R.OFFICER)
ADMINS = only(_R.ADMIN)
EXAMINERS = only(_R.SUPERVISOR, _R.OFFICER)
"""Roles that may know what is suspicious about an observation.

The observation's author must not know it, because the author would learn what the checks miss.
"""
UNIT_SCORE_READERS = only(_R.SUPERVISOR, _R.OFFICER)
"""Roles that may read a unit's score. The unit itself and its raters must not read the score."""

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
"""Mutations that phones of every contract level may call, because even an outdated app must send its unsent work."""

IRREVERSIBLE = frozenset(
    f"Mutation.{name}"
    for name in (
        "wipeDevices",
        "approveRedaction",
        "registerWebhook",
        "rotateWebhookSecret",
        "removeWebhook",
    )
)
"""Mutations that no later call takes back: they erase something, or let something out of the system.

They need a sign-in of the last minutes, because a stolen access token alone must not be enough. So does `revokeDevice`
with `wipe`. Every other mutation adds something, or can be taken back by another mutation or by a new sign-in.
"""

WITHOUT_SPACE = frozenset(
    f"Mutation.{name}"
    for name in (
        "signIn",
        "signOut",
        "refreshSession",
        "changePassword",
        "revokeDevice",
        "wipeDevices",
        "sync",
        "forgetPushToken",
        "abortUploads",
    )
)
"""Mutations that are allowed while a disk is full. Readers need them, or they protect accounts, or they free space.

Each of them writes only a few hundred bytes.
"""

Row = tuple[str, Permit, str]
"""A type of the SDL, a permit, and the names of the fields that need the permit, separated by blanks."""

CORE: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "node"),
    ("GeoPoint", SEEN, "latitude longitude originalLatitude originalLongitude originalDatum accuracyMetres"),
    ("GeoPoint", SEEN, "altitudeMetres originalAltitudeMetres source isMock fixedAt datum problem"),
    ("PageInfo", SEEN, "hasNextPage hasPreviousPage startCursor endCursor"),
    ("Refused", SEEN, "code message messageZh nextStep field proof retryAfterSeconds"),
)
"""Rows of the types that many modules share."""


def connection(name: str) -> tuple[Row, Row]:
    """Return the rows of the connection type and the edge type of a record type, such as `Case`."""
    return (f"{name}Connection", SEEN, "edges pageInfo"), (f"{name}Edge", SEEN, "cursor node")


def compose(rows: Iterable[Row]) -> dict[str, Permit]:
    """Return the permit of each `Type.field`. Raise `ValueError` if two rows name the same field."""
    permits: dict[str, Permit] = {}
    for owner, permit, names in rows:
        for name in names.split():
            if f"{owner}.{name}" in permits:
                raise ValueError(f"{owner}.{name} has two rows.")
            permits[f"{owner}.{name}"] = permit
    return permits
