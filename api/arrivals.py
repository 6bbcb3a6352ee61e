"""Arrivals: what is found in the store when a phone says that the bytes of a medium are there.

Verifying them is the worker's (`verification.py`); where they are put is told by `uploads.py`.
"""

from collections.abc import Sequence

import strawberry

from api.context import Context
from api.isolation import isolated
from api.own_media import most_at_once, of_ones_own, one_of, side_by_side
from schema.media import ARRIVED, Media
from schema.refusals import Refusal, RefusalCode, Refused
from schema.uploads import ConfirmResult
from storage.arrivals import has_arrived


async def confirm_media(context: Context, media_ids: Sequence[strawberry.ID]) -> list[ConfirmResult]:
    """Look for the bytes of media of one's own, and hand those that are there to the worker."""
    most_at_once(media_ids, "mediaIds")
    mine = await of_ones_own(context, media_ids)

    async def settle(id: strawberry.ID) -> ConfirmResult:
        try:
            return ConfirmResult(media_id=id, media=await isolated(lambda: arrive(context, one_of(mine, id))))
        except Refusal as refusal:
            return ConfirmResult(media_id=id, refusal=Refused.of(refusal))

    return await side_by_side(settle, media_ids)


async def arrive(context: Context, media: Media) -> Media:
    """UPLOADED when the store has the bytes; raises `Refusal(NOT_ARRIVED)` when it has not. Confirming twice is harmless."""
    if media.state in ARRIVED:
        return media
    if not await has_arrived(context.store.objects, media):
        raise Refusal(RefusalCode.NOT_ARRIVED)
    confirmed = await context.store.media.confirm(media.id, context.now)
    if confirmed is None:
        [confirmed] = await context.store.media.many([media.id])
    return confirmed
