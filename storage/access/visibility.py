"""Visibility: one filter per kind of record that says what a viewer finds; what the filter hides does not exist for them.

Which roles may ask at all is the table in `schema/access/permissions.py`. `granted` are the cases given to the
viewer by assignment:
they open the case and what it rests on, whatever the viewer's scope.
"""

from collections.abc import Sequence
from datetime import datetime

from schema.access.viewers import COVERT_ROLES, Role, Viewer
from schema.organisation.units import SEPARATOR, range_end
from storage.mongodb.client import Document, Filter
from storage.mongodb.filters import NOTHING, all_of, any_of, within

_COVERT = sorted(str(role.value) for role in COVERT_ROLES)


def units(viewer: Viewer) -> Filter:
    """The subtrees of the viewer's scope, and the units above them."""
    above = {path[:end] for path in viewer.scopes for end in _ends(path)}
    return any_of(within("path", viewer.scopes), {"path": {"$in": sorted(above)}} if above else NOTHING)


def catalogue(viewer: Viewer) -> Filter:
    """Entries of units in the viewer's scope and of those above them, and what holds in the whole tree."""
    above = {path[:end] for path in viewer.scopes for end in _ends(path)}
    return any_of(within("path", viewer.scopes), {"path": {"$in": ["", *sorted(above)]}})


def monitoring_points(viewer: Viewer) -> Filter:
    """A monitor finds the points that are the monitor's own; others those in scope."""
    if viewer.has(Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER, Role.ADMIN):
        return any_of(within("path", viewer.scopes), {"monitor_ids": viewer.user_id})
    return {"monitor_ids": viewer.user_id}


def people(viewer: Viewer) -> Filter:
    """Those whose name the viewer may know: oneself, all of open roles, and covert ones in scope with the clearance."""
    seen: list[Filter] = [{"_id": viewer.user_id}, {"roles": {"$nin": _COVERT}}]
    if viewer.sees_identities:
        seen.append(within("office_path", viewer.scopes))
    return any_of(*seen)


def works_within(paths: Sequence[str]) -> Filter:
    """People whose office, or one of whose scopes, lies in one of the subtrees at `paths`."""
    scopes = [{"scope_paths": {"$elemMatch": {"$gte": path, "$lt": range_end(path)}}} for path in paths]
    return any_of(within("office_path", paths), *scopes)


def colleagues(viewer: Viewer) -> Filter:
    """Oneself and those who work in the viewer's scope, as far as known; a supervisor finds supervisors and officers."""
    return all_of({"active": True}, staff(viewer))


def staff(viewer: Viewer) -> Filter:
    """Colleagues, and those who were."""
    near: Filter = any_of({"_id": viewer.user_id}, works_within(viewer.scopes))
    roles: Filter = {} if viewer.has(Role.OFFICER, Role.ADMIN) else {"roles": {"$in": ["SUPERVISOR", "OFFICER"]}}
    return all_of(near, people(viewer), roles)


def observations(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """One's own; those of offices in scope, for supervisors and officers; and those of cases given to the viewer."""
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    given: Document = {"case_ids": {"$in": list(granted)}}
    return any_of({"author_id": viewer.user_id}, in_scope, given if granted else NOTHING)


def cases(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """Those of offices in scope, for supervisors and officers, and those given to the viewer."""
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    given: Document = {"_id": {"$in": list(granted)}}
    return any_of(in_scope, given if granted else NOTHING)


def assignments(viewer: Viewer, granted: Sequence[str]) -> Filter:
    """One's own, those of offices in scope, for supervisors and officers, and those of cases given to the viewer."""
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    given: Document = {"case_id": {"$in": list(granted)}}
    return any_of({"assignee_id": viewer.user_id}, in_scope, given if granted else NOTHING)


def flags(viewer: Viewer) -> Filter:
    """Those of offices in scope, for supervisors and officers, but never of what one has observed oneself."""
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    return all_of(in_scope, {"author_id": {"$ne": viewer.user_id}})


def flags_of_observations(viewer: Viewer) -> Filter:
    """Of observations that the viewer has been shown: also of a case given from elsewhere; never one's own."""
    return {"author_id": {"$ne": viewer.user_id}} if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING


def ratings(viewer: Viewer, now: datetime) -> Filter:
    """One's own; those of offices in scope, for supervisors and officers: without the clearance once they are published,
    so that nobody learns from the hour at which a rating comes up whose it is.
    """
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.SUPERVISOR, Role.OFFICER) else NOTHING
    published: Document = {} if viewer.sees_identities else {"published_at": {"$lte": now}}
    return any_of({"rater_id": viewer.user_id}, NOTHING if in_scope is NOTHING else all_of(in_scope, published))


def redactions(viewer: Viewer) -> Filter:
    """Officers: those of offices in scope; besides, approved ones, where the viewer finds the observation behind them."""
    in_scope = within("office_path", viewer.scopes) if viewer.has(Role.OFFICER) else NOTHING
    return any_of(in_scope, {"state": "APPROVED"})


def _ends(path: str) -> list[int]:
    """Where the paths of the units above `path` end."""
    return [index + 1 for index, letter in enumerate(path[:-1]) if letter == SEPARATOR]
