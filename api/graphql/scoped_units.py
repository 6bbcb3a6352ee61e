"""Load a unit that a caller names and must have in scope."""

from api.graphql.context import Context
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.organisation.units import Unit


async def unit_in_scope(context: Context, id: str, *, field: str = "unitId") -> Unit:
    """Return the unit. Raise `Refusal(NOT_FOUND)` if there is no such unit in the viewer's scope."""
    unit = await context.load.one(Unit, validate_id(id, "unt", field=field))
    if unit is None or not context.actor.covers(unit.path):
        raise Refusal(RefusalCode.NOT_FOUND, field=field)
    return unit
