"""Check the viewer's permit before a root field or a sensitive field is resolved.

Without a permit, a query or subscription fails with an error, and a mutation returns `Refused`.
A sensitive field of a visible record returns null.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

import strawberry
from strawberry.extensions import FieldExtension

from schema.access.permissions import IRREVERSIBLE, OUTBOX, WITHOUT_SPACE
from schema.access.viewers import Owner
from schema.core.context import Context, Info
from schema.core.refusals import Refusal, RefusalCode, Refused

Resolve = Callable[..., Awaitable[Any]]
FRESH_SIGN_IN = timedelta(minutes=15)
"""How long after a sign-in a person may take steps that can't be undone. It is the time of one sitting at the screen."""


def check_permit(info: Info) -> None:
    """Check that the viewer may use this root field.

    Raise `Refusal(LEVEL_TOO_OLD)` if the phone's contract level is too old and the field is not in `OUTBOX`.
    Raise `Refusal(UNAUTHENTICATED | SESSION_ENDED | FORBIDDEN)` if the field's permit does not admit the viewer.
    Raise `Refusal(SIGN_IN_TOO_OLD)` if the field is in `IRREVERSIBLE` and the viewer has not just signed in.
    """
    viewer, field = info.context.viewer, f"{info.path.typename}.{info.field_name}"
    if info.context.outdated and field not in OUTBOX:
        raise info.context.outdated
    if not info.context.permits[field].admits(viewer):
        if viewer is None:
            raise info.context.denial or Refusal(RefusalCode.UNAUTHENTICATED)
        raise Refusal(RefusalCode.FORBIDDEN)
    if field in IRREVERSIBLE:
        check_fresh_sign_in(info.context)


def check_fresh_sign_in(context: Context) -> None:
    """Raise `Refusal(SIGN_IN_TOO_OLD)` unless the viewer has proved who they are within `FRESH_SIGN_IN`."""
    viewer = context.viewer
    if viewer is not None and not viewer.has_signed_in_since(context.now - FRESH_SIGN_IN):
        raise Refusal(RefusalCode.SIGN_IN_TOO_OLD)


def check_space(info: Info) -> None:
    """Check that there is space for what this mutation writes. Raise `Refusal(UNAVAILABLE)` if a disk is full."""
    if f"{info.path.typename}.{info.field_name}" not in WITHOUT_SPACE and info.context.is_disk_full:
        raise Refusal(
            RefusalCode.UNAVAILABLE, "The server's disk is nearly full. Nothing was changed or lost. Try again later."
        )


class RequirePermission(FieldExtension):
    """Check the permit of a query or subscription. A refusal becomes a GraphQL error with the refusal's code."""

    async def resolve_async(self, next_: Resolve, source: Any, info: Info, **arguments: Any) -> Any:
        check_permit(info)
        return await next_(source, info, **arguments)


class RequirePermissionOrRefuse(FieldExtension):
    """Check the permit of a mutation, and that this machine's clock may be used for what the mutation stores.

    Every refusal is returned as `Refused`, also a refusal that the mutation itself raises.
    """

    async def resolve_async(self, next_: Resolve, source: Any, info: Info, **arguments: Any) -> Any:
        try:
            check_permit(info)
            info.context.check_clock()
            check_space(info)
            info.context.clear_loaded()  # an earlier mutation of the same document may have changed loaded records
            return await next_(source, info, **arguments)
        except Refusal as refusal:
            info.context.count_refusal(refusal)
            return Refused.of(refusal)


class Owned(Protocol):
    """A record with an owner.

    `owner` returns None if the record is part of another record that the viewer must not see.
    """

    async def owner(self, info: Info) -> Owner | None: ...


class IdentityOnly(FieldExtension):
    """Hide a field that identifies the record's author.

    The author can read the field. A viewer with the identity clearance can read the field if the viewer's scope covers
    the author's office. All others get null.
    """

    async def resolve_async(self, next_: Resolve, source: Owned, info: Info, **arguments: Any) -> Any:
        viewer, owner = info.context.viewer, await source.owner(info)
        if viewer is None or owner is None or not viewer.knows(owner):
            return None
        return await next_(source, info, **arguments)


class ExaminersOnly(FieldExtension):
    """Hide a field that says what is suspicious about a record.

    Only viewers with a role of the field's permit can read the field. The record's author always gets null.
    """

    async def resolve_async(self, next_: Resolve, source: Owned, info: Info, **arguments: Any) -> Any:
        viewer, owner = info.context.viewer, await source.owner(info)
        admitted = info.context.permits[f"{info.path.typename}.{info.field_name}"].admits(viewer)
        if viewer is None or owner is None or not admitted or viewer.user_id == owner.author_id:
            return None
        return await next_(source, info, **arguments)


class Located(Protocol):
    """A record with a path in the tree of units."""

    path: str


class UnitScoreOnly(FieldExtension):
    """Hide a unit's score.

    Only viewers with a role of the field's permit can read the score, and only of units in their scope.
    """

    async def resolve_async(self, next_: Resolve, source: Located, info: Info, **arguments: Any) -> Any:
        viewer = info.context.viewer
        admitted = info.context.permits[f"{info.path.typename}.{info.field_name}"].admits(viewer)
        if viewer is None or not admitted or not viewer.covers(source.path):
            return None
        return await next_(source, info, **arguments)


query = partial(strawberry.field, extensions=[RequirePermission()])
subscription = partial(strawberry.subscription, extensions=[RequirePermission()])
mutation = partial(strawberry.mutation, extensions=[RequirePermissionOrRefuse()])
