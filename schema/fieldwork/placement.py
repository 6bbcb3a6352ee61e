"""Find the unit and the monitoring point that a phone named in an observation.

A unit counts only if it is in the author's scope. A monitoring point counts only if the author may find it. Otherwise
an author could learn from the placement which enterprises are points. A name that is unknown or must not be found is no
error. The name is stored as sent, and may become known later.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from schema.access.viewers import POINT_FINDERS, Role, covers
from schema.fieldwork.observations import METHODS_OF, ObservationContent, Placement
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit


@dataclass(frozen=True)
class PlacementResult:
    """The unit and the monitoring point of an observation. An id is None if unknown, out of scope or not named."""

    unit_id: str | None
    unit_path: str | None
    monitoring_point_id: str | None
    placement: Placement


@dataclass(frozen=True)
class PlacementAuthor:
    """The author of an observation, with the roles and scopes that decide what the author may find."""

    id: str
    roles: Collection[Role]
    scopes: Sequence[str]


class Directory:
    """An index of units by id, code and former code, and of monitoring points by id and code.

    If two units have had the same code, the unit that has the code now comes first.
    """

    def __init__(self, units: Sequence[Unit], points: Sequence[MonitoringPoint]) -> None:
        self._units: dict[str, list[Unit]] = {}
        for unit in units:
            for name in (unit.id, unit.code):
                self._units.setdefault(name, []).append(unit)
        for unit in units:
            for former in unit.former_names:
                self._units.setdefault(former.code, []).append(unit)
        self._points = {name: point for point in points for name in (point.id, point.code)}

    def find_unit(self, name: str, scopes: Sequence[str]) -> Unit | None:
        """Return the unit with this id, code or former code, if it is in one of the subtrees at `scopes`."""
        return next((unit for unit in self._units.get(name, ()) if covers(scopes, unit.path)), None)

    def find_own_point(self, name: str, monitor_id: str) -> MonitoringPoint | None:
        """Return the point with this id or code, if `monitor_id` is one of its monitors."""
        point = self._points.get(name)
        return point if point and monitor_id in point.monitor_ids else None

    def find_point(self, name: str, author: PlacementAuthor, content: ObservationContent) -> MonitoringPoint | None:
        """Return the point with this id or code, if its author may find it in the role in which they made `content`.

        For example, a monitor who is an inspector too reports as a monitor from own points only.
        """
        finders = [
            role for role in POINT_FINDERS.intersection(author.roles) if content.method in METHODS_OF.get(role, ())
        ]
        point = self._points.get(name)
        if point and finders and covers(author.scopes, point.path):
            return point
        return self.find_own_point(name, author.id)

    def resolve(self, content: ObservationContent, author: PlacementAuthor) -> PlacementResult:
        """Find the unit and the monitoring point that `content` names, and that the author may find."""
        unit_name, point_name = content.claimed_unit, content.claimed_monitoring_point
        unit = self.find_unit(unit_name or "", author.scopes)
        point = self.find_point(point_name or "", author, content)
        unknown = (unit_name is not None and unit is None) or (point_name is not None and point is None)
        return PlacementResult(
            unit_id=unit.id if unit else None,
            unit_path=unit.path if unit else None,
            monitoring_point_id=point.id if point else None,
            placement=Placement.UNPLACED if unknown else Placement.PLACED,
        )
