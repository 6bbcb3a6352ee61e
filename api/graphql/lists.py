"""Answer lists by pages."""

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
    """Return one page of a list; `binding` is its name and filter, which its cursors hold for alone.

    `fetch` returns one record more than the page has, where there is one. Raise `Refusal(BAD_CURSOR | LIMIT_EXCEEDED)`.
    """
    seal = context.seal(*binding)
    page = seal.page(first, after)
    return seal.connection(await fetch(page), page, keyset_of)
