"""Build the filter of what a viewer finds, for each kind of record. A hidden record does not exist for the viewer.

`granted` are the cases assigned to the viewer.
They open the case, its observations and its assignments, whatever the viewer's scope.
"""

from collections.abc import Sequence
from datetime import datetime

from schema.access.viewers import COVERT_ROLES, Role, Viewer
from schema.organisation.units import SEPARATOR, range_end
from storage.mongodb.client import Document, Filter
from storage.mongodb.filters import NOTHING, all_of, any_of, within

_COVERT = sorted(str(role.value) for role in COVERT_ROLES)


def units(viewer: Viewer) -> Filter:
    """Match units in the viewer's scope, and the units above them."""
    above = {path[:end] for path in viewer.scopes for end in _ends(path)}
    return any_of(within("path", viewer.scopes), {"path": {"$in": sorted(above)}} if above else NOTHING)


def catalogue(viewer: Viewer) -> Filter:
    """Match entries of units in the viewer's scope, of the units above them, and of the whole tree."""
    above = {path[:end] for path in viewer.scopes for end in _ends(path)}
    return any_of(within("path", viewer.scopes), {"path": {"$in": ["", *sorted(above)]}})


def monitoring_points(viewer: Viewer) -> Filter:
    """Match a monitor's own points; for other roles also the points in scope."""
    if viewer.has(Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER, Role.ADMIN):
        return any_of(within("path", viewer.scopes), {"monitor_ids": viewer.user_id})
    return {"monitor_ids": viewer.user_id}


def people(viewer: Viewer) -> Filter:
    """Match people whose name the viewer may know.

    These are the viewer, everyone without a covert role, and with the clearance also the covert people in scope.
    """
    filters: list[Filter] = [{"_id": viewer.user_id}, {"roles": {"$nin": _COVERT}}]
    if viewer.sees_identities:
        filters.append(within("office_path", viewer.scopes))
    return any_of(*filters)


def works_within(paths: Sequence[str]) -> Filter:
    """Match people whose office, or one of whose scopes, lies in one of the subtrees at `paths`."""
    scopes = [{"scope_paths": {"$elemMatch": {"$gte": path, "$lt": range_end(path)}}} for path in paths]
    return any_of(within("office_path", paths), *scopes)


def colleagues(viewer: Viewer) -> Filter:
    """Match the active staff of the viewer's scope."""
    return all_of({"active": True}, staff(viewer))


def staff(viewer: Viewer) -> Filter:
    """Match people who work, or used to work, in the viewer's scope, the viewer among them.

    The viewer must be allowed to know them. A supervisor finds supervisors and officers only.
    """
    in_scope: Filter = any_of({"_id": viewer.user_id}, works_within(viewer.scopes))
    roles: Filter = {} if viewer.has(Role.OFFICER, Role.ADMIN) else {"roles": {"$in": ["SUPERVISOR", "OFFICER"]}}
    return all_of(in_scope, people(viewer), roles)


def observations(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """Match the viewer's own, those of granted cases, and for supervisors and officers those of offices in scope."""
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    in_granted: Document = {"case_ids": {"$in": list(granted)}}
    return any_of({"author_id": viewer.user_id}, in_scope, in_granted if granted else NOTHING)


def cases(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """Match granted cases, and for supervisors and officers those of offices in scope."""
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    in_granted: Document = {"_id": {"$in": list(granted)}}
    return any_of(in_scope, in_granted if granted else NOTHING)


def assignments(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """Match the viewer's own, those of granted cases, and for supervisors and officers those of offices in scope."""
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    in_granted: Document = {"case_id": {"$in": list(granted)}}
    return any_of({"assignee_id": viewer.user_id}, in_scope, in_granted if granted else NOTHING)


def flags(viewer: Viewer) -> Filter:
    """Match flags of offices in scope, for supervisors and officers. Never match those of the viewer's observations."""
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    return all_of(in_scope, {"author_id": {"$ne": viewer.user_id}})


def flags_of_observations(viewer: Viewer) -> Filter:
    """Match flags of any observation that a supervisor or officer sees, but never of the viewer's own."""
    return {"author_id": {"$ne": viewer.user_id}} if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING


def ratings(viewer: Viewer, now: datetime) -> Filter:
    """Match the viewer's own, and for supervisors and officers those of offices in scope.

    Without the clearance only published ratings match: the hour at which a rating appears would reveal its rater.
    """
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    published: Document = {} if viewer.sees_identities else {"published_at": {"$lte": now}}
    return any_of({"rater_id": viewer.user_id}, NOTHING if in_scope is NOTHING else all_of(in_scope, published))


def redactions(viewer: Viewer) -> Filter:
    """Match approved redactions, and for officers all of offices in scope.

    The caller must also check that the viewer finds the observation.
    """
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.OFFICER) else NOTHING
    return any_of(in_scope, {"state": "APPROVED"})


def _ends(path: str) -> list[int]:
    """Return the ends of the paths of the units above `path`."""
    return [index + 1 for index, letter in enumerate(path[:-1]) if letter == SEPARATOR]
