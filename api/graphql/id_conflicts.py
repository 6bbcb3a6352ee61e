"""Setting aside: what comes under an id that stands for something else already is kept, and its sender told of it.

That it does stand for something else is found by whoever settles the item; keeping it is `storage/fieldwork/observations.py`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.graphql.context import Context
from schema.core.digests import canonical, digest_of
from schema.core.refusals import NextStep, Refusal, RefusalCode

MAX_SET_ASIDE = 200
"""Newcomers under taken ids that are kept of one person within a day: four batches full of them."""
NOT_KEPT = (
    "This id already stands for something else. Nothing was overwritten; so much of yours was set aside today that this "
    "was not. Keep it and send it again tomorrow, or give it an id of its own."
)


@dataclass(frozen=True)
class Newcomer:
    """What was sent under a taken id; `field` is where in the input the id stands that was taken."""

    id: str
    sent: Any
    field: str


async def store_conflicts(context: Context, newcomers: Sequence[Newcomer]) -> list[Refusal]:
    """With what each is refused, in their order: `CONFLICT` once it is kept.

    What is not kept any more today stays on the phone: `LIMIT_EXCEEDED` tells it to come again.
    """
    digests = [digest_of(each.sent) for each in newcomers]
    named = [(each.id, digest, canonical(each.sent)) for each, digest in zip(newcomers, digests, strict=True)]
    kept = await context.store.observations.set_aside(named, context.actor.user_id, context.now, MAX_SET_ASIDE)
    return [
        Refusal(RefusalCode.CONFLICT, field=each.field)
        if digest in kept
        else Refusal(RefusalCode.LIMIT_EXCEEDED, NOT_KEPT, field=each.field, next_step=NextStep.RETRY_LATER)
        for each, digest in zip(newcomers, digests, strict=True)
    ]
