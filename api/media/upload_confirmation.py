"""Confirm uploads: check that the object store has the bytes, and queue the media for verification."""

from collections.abc import Sequence

import strawberry

from api.graphql.context import Context
from api.media.owned_media import check_count, find_own_media, require_own, settle_all
from schema.core.refusals import Refusal, RefusalCode
from schema.media.media import ARRIVED, Media
from schema.media.uploads import ConfirmResult
from storage.media.upload_completion import complete_upload
from storage.s3.time_budget import store_time_budget


async def confirm_media(context: Context, media_ids: Sequence[strawberry.ID]) -> list[ConfirmResult]:
    """Confirm the viewer's own media. Each medium is confirmed or refused independently."""
    check_count(media_ids, "mediaIds")
    mine = await find_own_media(context, media_ids)

    async def settle(id: strawberry.ID) -> ConfirmResult:
        return ConfirmResult(media_id=id, media=await confirm_upload(context, require_own(mine, id)))

    with store_time_budget():
        return await settle_all(media_ids, settle, lambda key, refused: ConfirmResult(media_id=key, refusal=refused))


async def confirm_upload(context: Context, media: Media) -> Media:
    """Mark the medium as UPLOADED. If it is confirmed already, change nothing.

    Raise `Refusal(NOT_ARRIVED)` if the object store does not have the bytes.
    """
    if media.state in ARRIVED:
        return media
    if not await complete_upload(context.store.objects, media):
        raise Refusal(RefusalCode.NOT_ARRIVED)
    confirmed = await context.store.media.confirm(media.id, context.now)
    if confirmed is None:
        [confirmed] = await context.store.media.many([media.id])
    return confirmed
