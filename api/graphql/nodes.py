"""Find any record by its id. The prefix of an id tells the kind of record, and each kind has its own visibility."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import strawberry

from api.graphql.context import Context, Info
from schema.access.guards import query
from schema.core.ids import kind_of
from schema.core.nodes import Node
from schema.sync.changes import ChangeKind

R = TypeVar("R", bound=Node)


@dataclass(frozen=True)
class Pull:
    """How phones pull changes of one kind of record.

    `read` returns those records with the given ids that the viewer can see now.
    """

    kind: ChangeKind
    read: Callable[[Context, Sequence[str]], Awaitable[Sequence[Node]]]


@dataclass(frozen=True)
class RecordKind:
    """A kind of record: how to find a record by its id and, with `pull`, how phones pull records.

    `permit` names a root field, such as `Query.ratings`. Only viewers who may call that field find records of this
    kind. None means every viewer.
    """

    prefix: str
    find: Callable[[Context, str], Awaitable[Node | None]]
    permit: str | None = None
    pull: Pull | None = None

    def admits(self, context: Context) -> bool:
        return self.permit is None or context.permits[self.permit].admits(context.actor)


def find_by_loader(kind: type[R]) -> Callable[[Context, str], Awaitable[R | None]]:
    """Return a function that finds a record of `kind` with its loader."""

    async def find(context: Context, id: str) -> R | None:
        return await context.load.one(kind, id)

    return find


def first_or_none(records: Sequence[R]) -> R | None:
    """Return the record of a look-up by one id, or None if nothing was found."""
    return records[0] if records else None


async def find_node(context: Context, id: str) -> Node | None:
    """Return the record with this id, or None if the viewer can see no such record.

    Raise `Refusal(BAD_ID)` for a malformed id.
    """
    kind = context.services.registry.kinds.get(kind_of(id))
    return await kind.find(context, id) if kind and kind.admits(context) else None


@strawberry.type
class NodeQueries:
    @query(description="Any record, by its id. Null if there is no such record, or if the viewer can't see it.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        return await find_node(info.context, id)
