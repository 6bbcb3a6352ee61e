"""Nodes: any record by its id alone; the prefix says which kind it is, and visibility is that kind's own."""

from collections.abc import Awaitable, Callable

import strawberry

from api.graphql.context import Context, Info
from schema.access.guards import query
from schema.access.permissions import PERMITS
from schema.core.ids import kind_of
from schema.core.nodes import Node
from schema.media.media import Media
from schema.publication.redactions import Redaction
from storage.access import visibility

ROOTS = {
    "cas": "Query.case",
    "obs": "Query.observation",
    "asg": "Query.assignments",
    "pnt": "Query.monitoringPoints",
    "flg": "Query.flags",
    "red": "Query.redaction",
    "rat": "Query.ratings",
    "whk": "Query.webhooks",
}
"""The root field whose permit stands for each kind that not everybody reads."""


async def find(context: Context, id: str) -> Node | None:
    """The record, or None where the viewer finds none; raises `Refusal(BAD_ID)` for what is no id at all."""
    kind = kind_of(id)
    if kind not in FINDERS or (kind in ROOTS and not PERMITS[ROOTS[kind]].admits(context.actor)):
        return None
    return await FINDERS[kind](context, id)


async def handed_in(context: Context, media_id: str) -> Media | None:
    """The medium, where the viewer finds its observation; one that its observation doesn't name was never handed in."""
    found = await context.links.media([media_id])
    visible = found and await context.links.observation(found[0].observation_id)
    return found[0] if visible and media_id in visible.content.media_ids else None


async def visible_redaction(context: Context, id: str) -> Redaction | None:
    found = await context.store.redactions.many([id], visibility.redactions(context.actor))
    return found[0] if found and await handed_in(context, found[0].media_id) else None


async def _unit(context: Context, id: str) -> Node | None:
    found = await context.store.units.many([id], visibility.units(context.actor))
    return found[0] if found else None


async def _point(context: Context, id: str) -> Node | None:
    found = await context.store.monitoring_points.many([id], visibility.monitoring_points(context.actor))
    return found[0] if found else None


async def _flag(context: Context, id: str) -> Node | None:
    found = await context.store.flags.many([id], visibility.flags(context.actor))
    return found[0] if found else None


async def _rating(context: Context, id: str) -> Node | None:
    found = await context.store.ratings.many([id], visibility.ratings(context.actor, context.now))
    return found[0] if found else None


async def _entry(context: Context, id: str) -> Node | None:
    found = await context.store.catalogue.many([id], visibility.catalogue(context.actor))
    return found[0] if found else None


async def _webhook(context: Context, id: str) -> Node | None:
    found = await context.store.webhooks.many([id], visibility.within("office_path", context.actor.scopes))
    return found[0] if found else None


FINDERS: dict[str, Callable[[Context, str], Awaitable[Node | None]]] = {
    "cas": lambda context, wanted: context.links.case(wanted),
    "obs": lambda context, wanted: context.links.observation(wanted),
    "asg": lambda context, wanted: context.links.assignment(wanted),
    "usr": lambda context, wanted: context.links.user(wanted),
    "med": handed_in,
    "red": visible_redaction,
    "flg": _flag,
    "whk": _webhook,
    "unt": _unit,
    "pnt": _point,
    "rat": _rating,
    "cat": _entry,
}


@strawberry.type
class NodeQueries:
    @query(description="Any record by its id; null when there is none that you may see.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        return await find(info.context, id)
