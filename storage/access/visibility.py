"""Build, for each kind of record, the filter that matches what a viewer may see.

For the viewer, a hidden record does not exist. `granted` are the ids of the cases that are assigned to the viewer. The
viewer sees these cases, their observations and their assignments even if they are outside the viewer's scope. These
filters are about reading only. `schema.casework.standing` says who may act on a case.
"""

from collections.abc import Sequence
from datetime import datetime

from schema.access.viewers import COVERT_ROLES, POINT_FINDERS, Role, Viewer
from schema.casework import assignments as casework
from schema.organisation.units import SEPARATOR, range_end
from storage.mongodb.client import Document, Filter
from storage.mongodb.filters import NOTHING, all_of, any_of, one_of, within

OPENS_CASE: Filter = {"state": one_of(casework.OPENS_CASE)}
"""Match the assignments that let their assignee read the case."""
_COVERT = sorted(str(role.value) for role in COVERT_ROLES)


def units(viewer: Viewer) -> Filter:
    """Match units in the viewer's scope, and the units above them."""
    above = {path[:end] for path in viewer.scopes for end in _ends(path)}
    return any_of(within("path", viewer.scopes), {"path": {"$in": sorted(above)}} if above else NOTHING)


def catalogue(viewer: Viewer) -> Filter:
    """Match catalogue entries of units in the viewer's scope, of the units above, and entries without a unit."""
    above = {path[:end] for path in viewer.scopes for end in _ends(path)}
    return any_of(within("path", viewer.scopes), {"path": {"$in": ["", *sorted(above)]}})


def monitoring_points(viewer: Viewer) -> Filter:
    """Match the points where the viewer is a monitor. For `POINT_FINDERS`, also match the points in scope."""
    if viewer.has(*POINT_FINDERS):
        return any_of(within("path", viewer.scopes), {"monitor_ids": viewer.user_id})
    return {"monitor_ids": viewer.user_id}


def people(viewer: Viewer) -> Filter:
    """Match people whose names the viewer may know.

    These are the viewer and all people without a covert role. If the viewer has the clearance to see identities, all
    people whose office is in the viewer's scope match too.
    """
    filters: list[Filter] = [{"_id": viewer.user_id}, {"roles": {"$nin": _COVERT}}]
    if viewer.sees_identities:
        filters.append(within("office_path", viewer.scopes))
    return any_of(*filters)


def works_within(paths: Sequence[str]) -> Filter:
    """Match people whose office is in one of the subtrees at `paths`, or who have a scope in one of these subtrees."""
    scopes = [{"scope_paths": {"$elemMatch": {"$gte": path, "$lt": range_end(path)}}} for path in paths]
    return any_of(within("office_path", paths), *scopes)


def colleagues(viewer: Viewer) -> Filter:
    """Match the people of `staff` whose accounts are active."""
    return all_of({"active": True}, staff(viewer))


def staff(viewer: Viewer) -> Filter:
    """Match the viewer and the people who work or used to work in the viewer's scope.

    Only people whose names the viewer may know match. For a supervisor, only supervisors and officers match.
    """
    in_scope: Filter = any_of({"_id": viewer.user_id}, works_within(viewer.scopes))
    roles: Filter = {} if viewer.has(Role.OFFICER, Role.ADMIN) else {"roles": {"$in": ["SUPERVISOR", "OFFICER"]}}
    return all_of(in_scope, people(viewer), roles)


def of_offices(viewer: Viewer) -> Filter:
    """For supervisors and officers, match the records of offices in scope."""
    return within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING


def observations(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """Match the viewer's own observations and the observations of granted cases.

    For supervisors and officers, also match the observations of offices in scope.
    """
    in_scope = of_offices(viewer)
    in_granted: Document = {"case_ids": {"$in": list(granted)}}
    return any_of({"author_id": viewer.user_id}, in_scope, in_granted if granted else NOTHING)


def cases(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """Match granted cases. For supervisors and officers, also match the cases of offices in scope."""
    in_scope = of_offices(viewer)
    in_granted: Document = {"_id": {"$in": list(granted)}}
    return any_of(in_scope, in_granted if granted else NOTHING)


def assignments(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """Match the viewer's own assignments and the assignments of granted cases.

    For supervisors and officers, also match the assignments of offices in scope.
    """
    in_scope = of_offices(viewer)
    in_granted: Document = {"case_id": {"$in": list(granted)}}
    return any_of({"assignee_id": viewer.user_id}, in_scope, in_granted if granted else NOTHING)


def notices(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """Match the notices of granted cases. For supervisors and officers, also match the notices of offices in scope.

    For liaisons, also match the notices to units in scope. A liaison may read the notice, but not its case.
    """
    to_units = within("unit_path", viewer.scopes) if viewer.has(Role.LIAISON) else NOTHING
    in_granted: Document = {"case_id": {"$in": list(granted)}}
    return any_of(of_offices(viewer), to_units, in_granted if granted else NOTHING)


def flags(viewer: Viewer) -> Filter:
    """For supervisors and officers, match flags of offices in scope, except flags of the viewer's own observations."""
    in_scope = of_offices(viewer)
    return all_of(in_scope, {"author_id": {"$ne": viewer.user_id}})


def flags_of_observations(viewer: Viewer) -> Filter:
    """For supervisors and officers, match all flags, except flags of the viewer's own observations.

    Use it only for the flags of observations that the viewer may see.
    """
    return {"author_id": {"$ne": viewer.user_id}} if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING


def ratings(viewer: Viewer, now: datetime) -> Filter:
    """Match the viewer's own ratings. For supervisors and officers, also match the ratings of offices in scope.

    If the viewer may not see identities, only published ratings of other people match, because the time when an
    unpublished rating appears could reveal its rater.
    """
    in_scope = of_offices(viewer)
    published: Document = {} if viewer.sees_identities else {"published_at": {"$lte": now}}
    return any_of({"rater_id": viewer.user_id}, NOTHING if in_scope is NOTHING else all_of(in_scope, published))


def redactions(viewer: Viewer) -> Filter:
    """Match approved redactions. For officers, also match all redactions of offices in scope.

    The caller must also check that the viewer may see the photo's observation.
    """
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.OFFICER) else NOTHING
    return any_of(in_scope, {"state": "APPROVED"})


def _ends(path: str) -> list[int]:
    """Return the lengths of the prefixes of `path` that are the paths of the units above it."""
    return [index + 1 for index, letter in enumerate(path[:-1]) if letter == SEPARATOR]
