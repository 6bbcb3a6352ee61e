"""Store items that were sent with an id that belongs to other content, and refuse them with CONFLICT."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.graphql.context import Context
from schema.core.digests import canonical, digest_of
from schema.core.refusals import NextStep, Refusal, RefusalCode

MAX_CONFLICTS_PER_DAY = 200
"""Largest number of conflicting items that are stored for one person within a day. This is four full batches."""
NOT_STORED = (
    "This id is already used for something else. Nothing was overwritten. Too many of your items conflicted today, so "
    "this one was not stored: keep it and send it again tomorrow, or give it an id of its own."
)


@dataclass(frozen=True)
class ConflictingItem:
    """An item that was sent with an id that is already taken. `field` is the path of the id in the input."""

    id: str
    sent: Any
    field: str


async def store_conflicts(context: Context, items: Sequence[ConflictingItem]) -> list[Refusal]:
    """Store the conflicting items apart from the records. Return one refusal per item, in the order of the items.

    A stored item is refused with `CONFLICT`. An item beyond the day's limit is not stored. Its refusal `LIMIT_EXCEEDED`
    tells the phone to keep the item and to send it again later.
    """
    digests = [digest_of(item.sent) for item in items]
    rows = [(item.id, digest, canonical(item.sent)) for item, digest in zip(items, digests, strict=True)]
    stored = await context.store.observations.store_conflicts(
        rows, context.actor.user_id, context.now, MAX_CONFLICTS_PER_DAY
    )
    return [
        Refusal(RefusalCode.CONFLICT, field=item.field)
        if digest in stored
        else Refusal(RefusalCode.LIMIT_EXCEEDED, NOT_STORED, field=item.field, next_step=NextStep.RETRY_LATER)
        for item, digest in zip(items, digests, strict=True)
    ]
