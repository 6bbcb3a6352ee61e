"""Return lists in pages."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from api.graphql.context import Context
from schema.core.pagination import Connection, Page

T = TypeVar("T")


async def paged(
    context: Context,
    binding: Sequence[Any],
    first: int,
    after: str | None,
    fetch: Callable[[Page], Awaitable[Sequence[T]]],
    keyset_of: Callable[[T], Sequence[Any]],
) -> Connection[T]:
    """Return one page of a list.

    `binding` is the name of the list and its filter. A cursor is valid only for the binding that it was made for.
    `fetch` returns one record more than the page has, if more records follow. Raise `Refusal(BAD_CURSOR)` if `after` is
    not a cursor of this list, `Refusal(LIMIT_EXCEEDED)` if `first` is out of range.
    """
    seal = context.seal(*binding)
    page = seal.page(first, after)
    return seal.connection(await fetch(page), page, keyset_of)
