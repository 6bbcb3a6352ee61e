"""Build the database filters for what a viewer can see, including cases that assignments open to the viewer."""

import anyio

from schema.access.viewers import Role, Viewer
from storage.access import visibility
from storage.mongodb.client import Filter
from storage.store import Store


class ViewerFilters:
    """The filters for one viewer in one request.

    The first filter fetches the ids of the granted cases, and later filters use them again.
    """

    def __init__(self, store: Store, viewer: Viewer) -> None:
        self._store = store
        self._viewer = viewer
        self._granted: list[str] | None = None
        self._fetching = anyio.Lock()

    async def granted_cases(self) -> list[str]:
        """Return the ids of the granted cases: the cases that an assignment opens to the viewer.

        Only inspectors, supervisors and officers can have granted cases.
        """
        async with self._fetching:
            if self._granted is None:
                can_have = self._viewer.has(Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER)
                self._granted = await self._store.assignments.granted_cases(self._viewer.user_id) if can_have else []
        return self._granted

    async def observations(self) -> Filter:
        return visibility.observations(self._viewer, await self.granted_cases())

    async def cases(self) -> Filter:
        return visibility.cases(self._viewer, await self.granted_cases())

    async def assignments(self) -> Filter:
        return visibility.assignments(self._viewer, await self.granted_cases())
