"""Find the viewer's own media, and process items concurrently so that one failure does not affect the others."""

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


def check_count(items: Sequence[Any], field: str) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` if a request has no items or more than `MAX_AT_ONCE`."""
    check_batch_size(MAX_AT_ONCE, items, field)


async def find_own_media(context: Context, ids: Sequence[str]) -> dict[str, Media]:
    """Return the media among `ids` that the viewer declared, by id. Skip unknown and malformed ids."""
    user_id = context.actor.user_id
    return {str(media.id): media for media in await context.store.media.many(ids) if media.uploader_id == user_id}


def require_own(mine: dict[str, Media], id: str) -> Media:
    """Return the medium `id` from `mine`.

    Raise `Refusal(BAD_ID)` if the id is malformed, and `Refusal(NOT_FOUND)` if it is not in `mine`.
    """
    media = mine.get(validate_id(id, "med"))
    if media is None:
        raise Refusal(RefusalCode.NOT_FOUND)
    return media


async def settle_all(
    items: Sequence[A], settle: Callable[[A], Awaitable[B]], refused: Callable[[A, Refused], B]
) -> list[B]:
    """Call `settle` for all items concurrently, since each call may wait for the object store.

    Return one answer per item, in the order of the items. If `settle` raises `Refusal` or fails, `refused` makes the
    answer.
    """
    answers: dict[int, B] = {}

    async def settle_one(index: int, item: A) -> None:
        try:
            answers[index] = await run_isolated(lambda: settle(item))
        except Refusal as refusal:
            answers[index] = refused(item, Refused.of(refusal))

    async with anyio.create_task_group() as tasks:
        for index, item in enumerate(items):
            tasks.start_soon(settle_one, index, item)
    return [answers[index] for index in range(len(items))]
