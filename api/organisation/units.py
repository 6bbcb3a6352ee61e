"""Units: the tree that people browse and phones carry along."""

import strawberry

from api.graphql.context import Info
from schema.access.guards import query
from schema.core.ids import checked
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.organisation.units import Unit, UnitLevel
from storage.access import visibility


async def path_of(info: Info, unit_id: str | None, field: str) -> str | None:
    """Path of a unit that a filter names; of one that there isn't, a path that nothing lies below."""
    if unit_id is None:
        return None
    unit = await info.context.links.unit(checked(unit_id, "unt", field=field))
    return unit.path if unit else "-/"


@strawberry.type
class UnitQueries:
    @query(description="One unit of one's scope, or above it; null when there is none (单位).")
    async def unit(self, info: Info, id: strawberry.ID) -> Unit | None:
        wanted = checked(id, "unt", field="id")
        found = await info.context.store.units.many([wanted], visibility.units(info.context.actor))
        return found[0] if found else None

    @query(description="Units of one's scope, and those above it, by code (单位).")
    async def units(
        self,
        info: Info,
        below: strawberry.ID | None = None,
        level: UnitLevel | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[Unit]:
        seal = info.context.seal("units", below, level)
        page = seal.page(first, after)
        path = await path_of(info, below, "below")
        visible = visibility.units(info.context.actor)
        level_name = str(level.value) if level else None
        found = await info.context.store.units.page(visible, page, below=path, level=level_name)
        return seal.connection(found, page, lambda unit: (unit.code, unit.id))
