"""Announcements: media that are uploaded before their observation is submitted, and forgotten where none ever names them.

Until then nobody but their uploader learns that they exist. Naming them is `submission.py`'s; their slots are `uploads.py`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import structlog

from api.graphql.context import Context
from schema.core.ids import validate_id
from schema.core.refusals import NextStep, Refusal, RefusalCode
from schema.media.media import Media, MediaDraft, expect, same_medium
from schema.media.uploads import UploadRequest
from storage.s3 import multipart
from storage.s3.client import ObjectStoreDeclinedError
from storage.store import Store

MAX_UNNAMED = 500
"""Of one person at once: a week offline is 1,500 photos, sent with their observations batch by batch."""
UNNAMED_FOR = timedelta(days=30)
MAX_AT_ONCE = 500
log = structlog.get_logger(__name__)


async def announced(
    context: Context, requests: Sequence[UploadRequest], mine: Mapping[str, Media], refusals: dict[int, Refusal]
) -> dict[str, Media]:
    """Record what is announced and not known yet: media by id; why not is added to `refusals`, by the request's place."""
    fresh: dict[str, Media] = {}
    room = MAX_UNNAMED
    if any(request.announcement for request in requests):
        room -= await context.store.media.count_unnamed(context.actor.user_id)
    for index, request in enumerate(requests):
        if request.announcement is None or index in refusals:
            continue
        try:
            media = _expected(context, request, f"media.{index}.announcement")
            known = mine.get(media.id) or fresh.get(media.id)
            if known and not same_medium(known, media):
                raise Refusal(RefusalCode.CONFLICT, field=f"media.{index}.mediaId")  # noqa: TRY301  one of many reasons
            if known is None and len(fresh) >= room:
                detail = "So many of your media wait for their observations. Submit those first."
                raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail, next_step=NextStep.RETRY_LATER)  # noqa: TRY301
            fresh |= {} if known else {str(media.id): media}
        except Refusal as refusal:
            refusals[index] = refusal
    if fresh:
        sweep_at = context.now + context.settings.sweep_after
        await context.store.media.expect(list(fresh.values()), sweep_at=sweep_at, unnamed_since=context.now)
        # Another request may have been faster, with something else.
        stored = {str(each.id): each for each in await context.store.media.many(list(fresh))}
        for index, request in enumerate(requests):
            wanted, found = fresh.get(request.media_id), stored.get(request.media_id)
            if wanted and not (found and same_medium(found, wanted)):
                refusals[index] = Refusal(RefusalCode.CONFLICT, field=f"media.{index}.mediaId")
        fresh = {id: stored[id] for id, media in fresh.items() if id in stored and same_medium(stored[id], media)}
    return fresh


def _expected(context: Context, request: UploadRequest, field: str) -> Media:
    said = request.announcement
    assert said  # noqa: S101  asked by the caller
    draft = MediaDraft(
        id=request.media_id,
        sha256=said.sha256,
        byte_size=said.byte_size,
        content_type=said.content_type,
        md5=said.md5,
        captured_at=said.captured_at,
    )
    return expect(
        draft,
        observation_id=validate_id(said.observation_id, "obs", field=f"{field}.observationId"),
        uploader_id=context.actor.user_id,
        now=context.now,
        max_bytes=context.settings.max_media_bytes,
        field=field,
    )


async def sweep_unnamed(store: Store, now: datetime, measured: Callable[[str], AbstractContextManager[None]]) -> None:
    """Forget what no observation came to name, and its bytes. Raise `Refusal` where the store or the database is down.

    First the record, by one conditional delete: an observation that comes at that moment announces the medium anew.
    """
    before = now - UNNAMED_FOR
    for media in await store.media.unnamed(before, MAX_AT_ONCE):
        if await store.observations.has_medium(media.observation_id, media.id):
            await store.media.name([media.id])
        elif await store.media.drop_unnamed(media.id, before):
            with measured("unnamed"):
                await _delete_bytes(store, media)


async def _delete_bytes(store: Store, media: Media) -> None:
    await store.likenesses.delete(media.id)
    if media.upload_id:
        await multipart.abort(store.objects, media.key, media.upload_id)
    for key in (media.key, *(each.key for each in media.thumbnails)):
        try:
            await store.objects.ask("delete_object", Key=key)
        except ObjectStoreDeclinedError as no:  # under a legal hold, which only the store's operator lifts
            log.warning("work failed", work="unnamed", media=media.id, code=no.code)
