"""Guard every root field and every sensitive field by the table of permits.

A refused query raises; a refused mutation answers with `Refused`.
A sensitive field of a visible record reads as null.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import strawberry
from strawberry.extensions import FieldExtension

from schema.access.permissions import OUTBOX
from schema.access.viewers import Owner
from schema.core.context import Info
from schema.core.refusals import Refusal, RefusalCode, Refused

Resolve = Callable[..., Awaitable[Any]]


def check_permit(info: Info) -> None:
    """Check that the viewer may use this root field.

    Raise `Refusal(LEVEL_TOO_OLD)` if an old phone calls anything but its outbox.
    Raise `Refusal(UNAUTHENTICATED | SESSION_ENDED | FORBIDDEN)` if the table does not admit the viewer.
    """
    viewer, field = info.context.viewer, f"{info.path.typename}.{info.field_name}"
    if info.context.outdated and field not in OUTBOX:
        raise info.context.outdated
    if not info.context.permits[field].admits(viewer):
        if viewer is None:
            raise info.context.denial or Refusal(RefusalCode.UNAUTHENTICATED)
        raise Refusal(RefusalCode.FORBIDDEN)


class RequirePermission(FieldExtension):
    """Answer a refused query or subscription with a GraphQL error that has the refusal's code."""

    async def resolve_async(self, next_: Resolve, source: Any, info: Info, **arguments: Any) -> Any:
        check_permit(info)
        return await next_(source, info, **arguments)


class RequirePermissionOrRefuse(FieldExtension):
    """Turn every refusal of a mutation into the `Refused` member of its union."""

    async def resolve_async(self, next_: Resolve, source: Any, info: Info, **arguments: Any) -> Any:
        try:
            check_permit(info)
            info.context.clear_loaded()  # an earlier mutation of the same document may have changed loaded records
            return await next_(source, info, **arguments)
        except Refusal as refusal:
            info.context.count_refusal(refusal)
            return Refused.of(refusal)


class Owned(Protocol):
    """A record that knows its owner; None if the viewer does not find the record it belongs to."""

    async def owner(self, info: Info) -> Owner | None: ...


class IdentityOnly(FieldExtension):
    """Hide a field that identifies the record's author.

    The author reads it, and so does a viewer with the identity clearance whose scope covers the record. All others read
    null.
    """

    async def resolve_async(self, next_: Resolve, source: Owned, info: Info, **arguments: Any) -> Any:
        viewer, owner = info.context.viewer, await source.owner(info)
        if viewer is None or owner is None or not viewer.knows(owner):
            return None
        return await next_(source, info, **arguments)


class ExaminersOnly(FieldExtension):
    """Hide a field that says what is suspicious about a record.

    Only the roles of the table read it. The author always reads null.
    """

    async def resolve_async(self, next_: Resolve, source: Owned, info: Info, **arguments: Any) -> Any:
        viewer, owner = info.context.viewer, await source.owner(info)
        admitted = info.context.permits[f"{info.path.typename}.{info.field_name}"].admits(viewer)
        if viewer is None or owner is None or not admitted or viewer.user_id == owner.author_id:
            return None
        return await next_(source, info, **arguments)


class Located(Protocol):
    """A record that knows its path in the tree of units."""

    path: str


class UnitScoreOnly(FieldExtension):
    """Hide a unit's score: only the roles of the table read it, for units in their scope."""

    async def resolve_async(self, next_: Resolve, source: Located, info: Info, **arguments: Any) -> Any:
        viewer = info.context.viewer
        admitted = info.context.permits[f"{info.path.typename}.{info.field_name}"].admits(viewer)
        if viewer is None or not admitted or not viewer.covers(source.path):
            return None
        return await next_(source, info, **arguments)


query = partial(strawberry.field, extensions=[RequirePermission()])
subscription = partial(strawberry.subscription, extensions=[RequirePermission()])
mutation = partial(strawberry.mutation, extensions=[RequirePermissionOrRefuse()])
