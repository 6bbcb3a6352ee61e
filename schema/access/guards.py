"""Guards: the field extensions that hold every root field and every sensitive field to the table of permits.

What the table says is in `permits.py`; a refused mutation answers with `Refused`, a refused query raises, and a field of
a visible record that would tell who is behind it reads as null.
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
    """Raise `Refusal(LEVEL_TOO_OLD)` for a phone that may only empty its outbox, and
    `Refusal(UNAUTHENTICATED | SESSION_ENDED | FORBIDDEN)` where the table does not admit the viewer here.
    """
    viewer, asked = info.context.viewer, f"{info.path.typename}.{info.field_name}"
    if info.context.outdated and asked not in OUTBOX:
        raise info.context.outdated
    if not info.context.permits[asked].admits(viewer):
        if viewer is None:
            raise info.context.denial or Refusal(RefusalCode.UNAUTHENTICATED)
        raise Refusal(RefusalCode.FORBIDDEN)


class RequirePermission(FieldExtension):
    """A root field of `Query`: whoever is not admitted gets a GraphQL error with the refusal's code."""

    async def resolve_async(self, next_: Resolve, source: Any, info: Info, **arguments: Any) -> Any:
        check_permit(info)
        return await next_(source, info, **arguments)


class Followed(FieldExtension):
    """A root field of `Subscription`: whoever is not admitted gets a GraphQL error, and no stream."""

    async def resolve_async(self, next_: Resolve, source: Any, info: Info, **arguments: Any) -> Any:
        check_permit(info)
        return await next_(source, info, **arguments)


class RequirePermissionOrRefuse(FieldExtension):
    """A root field of `Mutation`: every refusal becomes the `Refused` member of its union."""

    async def resolve_async(self, next_: Resolve, source: Any, info: Info, **arguments: Any) -> Any:
        try:
            check_permit(info)
            info.context.clear_loaded()  # the mutation before this one, in the same document
            return await next_(source, info, **arguments)
        except Refusal as refusal:
            info.context.count_refusal(refusal)
            return Refused.of(refusal)


class Owned(Protocol):
    """A record that knows whose it is; None where the viewer does not find what it belongs to."""

    async def owner(self, info: Info) -> Owner | None: ...


class IdentityOnly(FieldExtension):
    """A field that would tell who is behind a record: null but to its author, and to the cleared in whose scope it lies."""

    async def resolve_async(self, next_: Resolve, source: Owned, info: Info, **arguments: Any) -> Any:
        viewer, owner = info.context.viewer, await source.owner(info)
        if viewer is None or owner is None or not viewer.knows(owner):
            return None
        return await next_(source, info, **arguments)


class ExaminersOnly(FieldExtension):
    """What doesn't fit about a record: null but to the roles that the table admits, and always to its author."""

    async def resolve_async(self, next_: Resolve, source: Owned, info: Info, **arguments: Any) -> Any:
        viewer, owner = info.context.viewer, await source.owner(info)
        admitted = info.context.permits[f"{info.path.typename}.{info.field_name}"].admits(viewer)
        if viewer is None or owner is None or not admitted or viewer.user_id == owner.author_id:
            return None
        return await next_(source, info, **arguments)


class Located(Protocol):
    """A record that knows at which path of the tree it stands."""

    path: str


class UnitScoreOnly(FieldExtension):
    """What a unit comes to: null but to the roles that the table admits, in whose scope the unit lies."""

    async def resolve_async(self, next_: Resolve, source: Located, info: Info, **arguments: Any) -> Any:
        viewer = info.context.viewer
        admitted = info.context.permits[f"{info.path.typename}.{info.field_name}"].admits(viewer)
        if viewer is None or not admitted or not viewer.covers(source.path):
            return None
        return await next_(source, info, **arguments)


query = partial(strawberry.field, extensions=[RequirePermission()])
subscription = partial(strawberry.subscription, extensions=[Followed()])
mutation = partial(strawberry.mutation, extensions=[RequirePermissionOrRefuse()])
