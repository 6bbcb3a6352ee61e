"""Query the tree of units. Phones store the units for use offline."""

from collections.abc import Sequence

import strawberry

from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.graphql.loaders import by_id
from api.graphql.nodes import Pull, RecordKind, first_or_none
from api.registration import Registration
from schema.access.guards import query
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.organisation import units
from schema.organisation.units import Unit, UnitLevel
from schema.sync.changes import ChangeKind
from storage.access import visibility


async def path_of(info: Info, unit_id: str | None, field: str) -> str | None:
    """Return the path of the unit that a filter names, or None if the filter names no unit.

    For an unknown unit, return a path under which there are no units, so that the filter matches nothing.
    """
    if unit_id is None:
        return None
    unit = await info.context.load.one(Unit, validate_id(unit_id, "unt", field=field))
    return unit.path if unit else "-/"


@strawberry.type
class UnitQueries:
    @query(
        description="One unit (单位). Null if it does not exist, or if it is neither in the viewer's scope nor above"
        " the scope."
    )
    async def unit(self, info: Info, id: strawberry.ID) -> Unit | None:
        return await _find(info.context, validate_id(id, "unt", field="id"))

    @query(description="Units in the viewer's scope and the units above the scope, sorted by code (单位).")
    async def units(
        self,
        info: Info,
        below: strawberry.ID | None = None,
        level: UnitLevel | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[Unit]:
        path = await path_of(info, below, "below")
        visible = visibility.units(info.context.actor)
        level_name = str(level.value) if level else None
        return await paged(
            info.context,
            ("units", below, level),
            first,
            after,
            lambda page: info.context.store.units.page(visible, page, below=path, level=level_name),
            lambda unit: (unit.code, unit.id),
        )


async def _visible_units(context: Context, ids: Sequence[str]) -> list[Unit]:
    return await context.store.units.many(ids, visibility.units(context.actor))


async def _find(context: Context, id: str) -> Unit | None:
    return first_or_none(await _visible_units(context, [id]))


REGISTRATION = Registration(
    queries=(UnitQueries,),
    kinds=(RecordKind("unt", _find, "Query.units", Pull(ChangeKind.UNIT, _visible_units)),),
    loaders=(by_id(Unit, lambda context, ids: context.store.units.read_many(ids)),),
    permits=units.PERMITS,
)
