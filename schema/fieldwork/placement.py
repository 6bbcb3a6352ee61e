"""Find the unit and the monitoring point that a phone named in an observation.

A unit counts only if it is in the author's scope. A name that is unknown or out of scope is no error. The name is
stored as sent, and may become known later.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schema.access.viewers import covers
from schema.fieldwork.observations import ObservationContent, Placement
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit


@dataclass(frozen=True)
class PlacementResult:
    """The unit and the monitoring point of an observation. An id is None if unknown, out of scope or not named."""

    unit_id: str | None
    unit_path: str | None
    monitoring_point_id: str | None
    placement: Placement


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

    def resolve(self, content: ObservationContent, *, scopes: Sequence[str], author_id: str) -> PlacementResult:
        """Find the unit and the monitoring point that `content` names.

        The unit must be in `scopes`. The point must be in `scopes`, or the author must be one of its monitors.
        """
        unit_name, point_name = content.claimed_unit, content.claimed_monitoring_point
        unit = self.find_unit(unit_name or "", scopes)
        point = self._points.get(point_name or "")
        if point and not (covers(scopes, point.path) or author_id in point.monitor_ids):
            point = None
        unknown = (unit_name is not None and unit is None) or (point_name is not None and point is None)
        return PlacementResult(
            unit_id=unit.id if unit else None,
            unit_path=unit.path if unit else None,
            monitoring_point_id=point.id if point else None,
            placement=Placement.UNPLACED if unknown else Placement.PLACED,
        )
