"""Build the database filters for what a viewer can see, including cases that assignments open to the viewer."""

from schema.access.viewers import Role, Viewer
from schema.core.context import Kind, Load
from storage.access import visibility
from storage.mongodb.client import Filter

GRANTED: Kind[str] = Kind("GrantedCase")


class ViewerFilters:
    """The filters for one viewer in one request.

    The ids of the granted cases are loaded once for a request.
    """

    def __init__(self, load: Load, viewer: Viewer) -> None:
        self._load = load
        self._viewer = viewer

    async def granted_cases(self) -> list[str]:
        """Return the ids of the granted cases: the cases that an assignment opens to the viewer.

        Only inspectors, supervisors and officers can have granted cases.
        """
        if not self._viewer.has(Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER):
            return []
        return await self._load.related(GRANTED, assignee=self._viewer.user_id)

    async def observations(self) -> Filter:
        return visibility.observations(self._viewer, await self.granted_cases())

    async def cases(self) -> Filter:
        return visibility.cases(self._viewer, await self.granted_cases())

    async def assignments(self) -> Filter:
        return visibility.assignments(self._viewer, await self.granted_cases())

    async def notices(self) -> Filter:
        return visibility.notices(self._viewer, await self.granted_cases())
