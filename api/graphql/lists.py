"""Return lists in pages."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from api.graphql.context import Context
from schema.core.pagination import Connection, Page

S = TypeVar("S")
T = TypeVar("T")


async def both(first: Awaitable[S], second: Awaitable[T]) -> tuple[S, T]:
    """Await two things at once, so that their loads are one command. If both fail, raise the error of `first`."""
    one, two = asyncio.ensure_future(first), asyncio.ensure_future(second)
    await asyncio.gather(one, two, return_exceptions=True)
    return one.result(), two.result()


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
