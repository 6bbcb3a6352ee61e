"""Record media that a phone uploads before it submits their observation. Delete media that no observation ever names.

A medium that no observation names yet is called unnamed. Only its uploader can see it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import structlog

from api.graphql.context import Context
from schema.access.permissions import AUTHORS
from schema.core.ids import validate_id
from schema.core.refusals import NextStep, Refusal, RefusalCode
from schema.media.media import Media
from schema.media.media_drafts import MediaDraft, is_same_medium, media_from_draft
from schema.media.uploads import UploadRequest
from storage.s3 import multipart
from storage.s3.client import ObjectStoreDeclinedError
from storage.store import Store

MAX_UNNAMED = 500
"""Maximum number of unnamed media of one person.

A week offline makes about 1,500 photos, but phones send them in batches together with their observations.
"""
UNNAMED_FOR = timedelta(days=30)
NAMED_FOR = timedelta(days=90)
"""How long the worker looks for the bytes of media that an observation names. The media themselves are kept."""
MAX_AT_ONCE = 500
log = structlog.get_logger(__name__)


async def expect_media(context: Context, announced: Sequence[Media]) -> tuple[list[Media], dict[str, Media]]:
    """Store media in state EXPECTED, before the observation that names them is stored.

    Return the media whose id is taken by another medium, and the media that were already stored, by id.
    """
    sweep_at = context.now + context.settings.sweep_after
    taken = (await context.store.media.insert_expected(announced, sweep_at=sweep_at)).duplicate_ids
    if not taken:
        return [], {}
    known = {str(medium.id): medium for medium in await context.store.media.many(sorted(taken))}
    others = [medium for medium in announced if medium.id in known and not is_same_medium(known[medium.id], medium)]
    own = sorted(taken - {medium.id for medium in others})
    await context.store.media.mark_named(own)
    # Insert the media once more: a sweep may have deleted a medium before `mark_named` protected it.
    await context.store.media.insert_expected([medium for medium in announced if medium.id in own], sweep_at=sweep_at)
    await context.store.media.reschedule_expected(own, sweep_at=sweep_at)
    return others, {id: known[id] for id in own if id in known}


async def record_announcements(
    context: Context, requests: Sequence[UploadRequest], mine: Mapping[str, Media], refusals: dict[int, Refusal]
) -> dict[str, Media]:
    """Record the announced media that are not stored yet. Return the recorded media by id.

    `mine` holds the viewer's media that are already stored, by id. Requests whose index is in `refusals` are skipped.
    For each further refused request, the refusal is added to `refusals` under the request's index. Only people who may
    submit observations may announce their media.
    """
    fresh: dict[str, Media] = {}
    room = MAX_UNNAMED
    if any(request.announcement for request in requests):
        room -= await context.store.media.count_unnamed(context.actor.user_id)
    for index, request in enumerate(requests):
        if request.announcement is None or index in refusals:
            continue
        try:
            media = _announced_media(context, request, f"media.{index}.announcement")
            known = mine.get(media.id) or fresh.get(media.id)
            if known and not is_same_medium(known, media):
                raise Refusal(RefusalCode.CONFLICT, field=f"media.{index}.mediaId")  # noqa: TRY301  one of many reasons
            if known is None and len(fresh) >= room:
                detail = "Too many of your media wait for their observations. Submit those observations first."
                raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail, next_step=NextStep.RETRY_LATER)  # noqa: TRY301
            fresh |= {} if known else {str(media.id): media}
        except Refusal as refusal:
            refusals[index] = refusal
    if fresh:
        sweep_at = context.now + context.settings.sweep_after
        await context.store.media.insert_expected(list(fresh.values()), sweep_at=sweep_at, unnamed_since=context.now)
        # A concurrent request may have stored another medium under the same id.
        stored = {str(media.id): media for media in await context.store.media.many(list(fresh))}
        for index, request in enumerate(requests):
            announced, known = fresh.get(request.media_id), stored.get(request.media_id)
            if announced and not (known and is_same_medium(known, announced)):
                refusals[index] = Refusal(RefusalCode.CONFLICT, field=f"media.{index}.mediaId")
        fresh = {id: stored[id] for id, media in fresh.items() if id in stored and is_same_medium(stored[id], media)}
    return fresh


def _announced_media(context: Context, request: UploadRequest, field: str) -> Media:
    announcement = request.announcement
    assert announcement  # noqa: S101  the caller has checked
    if not AUTHORS.admits(context.actor):
        raise Refusal(RefusalCode.FORBIDDEN, field=field)
    draft = MediaDraft(
        id=request.media_id,
        sha256=announcement.sha256,
        byte_size=announcement.byte_size,
        content_type=announcement.content_type,
        md5=announcement.md5,
        captured_at=announcement.captured_at,
    )
    return media_from_draft(
        draft,
        observation_id=validate_id(announcement.observation_id, "obs", field=f"{field}.observationId"),
        uploader_id=context.actor.user_id,
        now=context.now,
        max_bytes=context.settings.max_media_bytes,
        field=field,
    )


async def sweep_unnamed(store: Store, now: datetime, measured: Callable[[str], AbstractContextManager[None]]) -> None:
    """Delete the records and the bytes of media that no observation has named within `UNNAMED_FOR`.

    The record is deleted first, by one conditional delete. If an observation that names the medium arrives at that
    moment, it stores the medium again. Raise `Refusal` if the object store or the database is down.
    """
    before = now - UNNAMED_FOR
    for media in await store.media.find_unnamed(before, MAX_AT_ONCE):
        if media.observation_id and await store.observations.has_medium(media.observation_id, media.id):
            await store.media.mark_named([media.id])
        elif await store.media.delete_unnamed(media.id, before):
            with measured("unnamed"):
                await _delete_bytes(store, media)


async def _delete_bytes(store: Store, media: Media) -> None:
    await store.likenesses.delete(media.id)
    if media.upload_id:
        await multipart.abort(store.objects, media.key, media.upload_id)
    for key in (media.key, *(thumbnail.key for thumbnail in media.thumbnails)):
        try:
            await store.objects.ask("delete_object", Key=key)
        except ObjectStoreDeclinedError as error:  # a legal hold, which only the store's operator can lift
            log.warning("work failed", work="unnamed", media=media.id, code=error.code)
