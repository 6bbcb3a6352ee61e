"""Media of one's own: those that the viewer announced, found by id and settled one by one, side by side.

What is done with each is left to `uploads.py` and `arrivals.py`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio

from api.graphql.context import Context, check_batch_size
from api.graphql.item_isolation import run_isolated
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.media.media import Media

A = TypeVar("A")
B = TypeVar("B")
MAX_AT_ONCE = 50


def most_at_once(items: Sequence[Any], field: str) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` for none, or for more than one request may name."""
    check_batch_size(MAX_AT_ONCE, items, field)


async def of_ones_own(context: Context, ids: Sequence[str]) -> dict[str, Media]:
    """Media that the viewer announced, by id; a malformed id is simply not among them."""
    user_id = context.actor.user_id
    return {str(each.id): each for each in await context.store.media.many(ids) if each.uploader_id == user_id}


def one_of(mine: dict[str, Media], id: str) -> Media:
    """Raise `Refusal(BAD_ID)` or, where it is not among them, `Refusal(NOT_FOUND)`."""
    media = mine.get(validate_id(id, "med"))
    if media is None:
        raise Refusal(RefusalCode.NOT_FOUND)
    return media


async def settled(
    items: Sequence[A], settle: Callable[[A], Awaitable[B]], refused: Callable[[A, Refused], B]
) -> list[B]:
    """Settle all at once, for each may wait for the store; answers in the order of the items, a refusal is one of them."""
    answers: dict[int, B] = {}

    async def one(index: int, item: A) -> None:
        try:
            answers[index] = await run_isolated(lambda: settle(item))
        except Refusal as refusal:
            answers[index] = refused(item, Refused.of(refusal))

    async with anyio.create_task_group() as tasks:
        for index, item in enumerate(items):
            tasks.start_soon(one, index, item)
    return [answers[index] for index in range(len(items))]
