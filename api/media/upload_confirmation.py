"""Arrivals: what is found in the store when a phone says that the bytes of a medium are there.

Verifying them is the worker's (`verification.py`); where they are put is told by `uploads.py`.
"""

from collections.abc import Sequence

import strawberry

from api.graphql.context import Context
from api.media.owned_media import most_at_once, of_ones_own, one_of, settled
from schema.core.refusals import Refusal, RefusalCode
from schema.media.media import ARRIVED, Media
from schema.media.uploads import ConfirmResult
from storage.media.upload_completion import has_arrived


async def confirm_media(context: Context, media_ids: Sequence[strawberry.ID]) -> list[ConfirmResult]:
    """Look for the bytes of media of one's own, and hand those that are there to the worker."""
    most_at_once(media_ids, "mediaIds")
    mine = await of_ones_own(context, media_ids)

    async def settle(id: strawberry.ID) -> ConfirmResult:
        return ConfirmResult(media_id=id, media=await arrive(context, one_of(mine, id)))

    return await settled(media_ids, settle, lambda each, why: ConfirmResult(media_id=each, refusal=why))


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
