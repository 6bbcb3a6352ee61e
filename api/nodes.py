"""Nodes: any record by its id alone; the prefix says which kind it is, and visibility is that kind's own."""

import strawberry

from api.context import Context, Info
from schema.guards import query
from schema.ids import kind_of
from schema.media import Media
from schema.nodes import Node
from schema.permits import PERMITS
from schema.redactions import Redaction
from storage import visibility

ROOTS = {
    "cas": "Query.case",
    "obs": "Query.observation",
    "asg": "Query.assignments",
    "pnt": "Query.monitoringPoints",
    "red": "Query.redaction",
}
"""The root field whose permit stands for each kind that not everybody reads."""


async def find(context: Context, id: str) -> Node | None:  # noqa: PLR0911  one return a kind
    """The record, or None where the viewer finds none; raises `Refusal(BAD_ID)` for what is no id at all."""
    kind, links, viewer = kind_of(id), context.links, context.actor
    if kind in ROOTS and not PERMITS[ROOTS[kind]].admits(viewer):
        return None
    match kind:
        case "cas":
            return await links.case(id)
        case "obs":
            return await links.observation(id)
        case "asg":
            return await links.assignment(id)
        case "usr":
            return await links.user(id)
        case "med":
            return await handed_in(context, id)
        case "red":
            return await visible_redaction(context, id)
        case "unt":
            units = await context.store.units.many([id], visibility.units(viewer))
            return units[0] if units else None
        case "pnt":
            points = await context.store.monitoring_points.many([id], visibility.monitoring_points(viewer))
            return points[0] if points else None
        case _:
            return None


async def handed_in(context: Context, media_id: str) -> Media | None:
    """The medium, where the viewer finds its observation; one that its observation doesn't name was never handed in."""
    found = await context.links.media([media_id])
    visible = found and await context.links.observation(found[0].observation_id)
    return found[0] if visible and media_id in visible.content.media_ids else None


async def visible_redaction(context: Context, id: str) -> Redaction | None:
    found = await context.store.redactions.many([id], visibility.redactions(context.actor))
    return found[0] if found and await handed_in(context, found[0].media_id) else None


@strawberry.type
class NodeQueries:
    @query(description="Any record by its id; null when there is none that you may see.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        return await find(info.context, id)
