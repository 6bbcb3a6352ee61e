"""Abort multipart uploads that nobody continues or that no record names.

Several workers may sweep at once, and any of them may be killed. One conditional update removes an upload from its
record, and the next sweep finds what the store still has of it. The store's own lifecycle rule, if any, acts much later.
"""

from datetime import datetime, timedelta

import structlog

from schema.core.refusals import Refusal
from schema.media.media import Media
from schema.media.object_keys import FOLDER, media_id_of
from storage.media.upload_completion import complete_upload
from storage.s3 import multipart
from storage.store import Store

SAFE_AGE = timedelta(days=1)
"""An upload this old whose id is in no record stays unnamed: no request lasts so long, and no clock is so wrong."""
MAX_AT_ONCE = 500
MAX_FAILURES = 10
log = structlog.get_logger(__name__)


async def sweep_uploads(store: Store, now: datetime, *, unused_for: timedelta) -> None:
    """Abort uploads without slots issued for `unused_for`. Raise `Refusal` if the store or the database is down."""
    await _abort_unused(store, now, now - unused_for)
    await _abort_unnamed(store, now)


async def _abort_unused(store: Store, now: datetime, since: datetime) -> None:
    failures = 0
    for media in await store.media.find_unused_uploads(since, MAX_AT_ONCE):
        try:
            await _confirm_or_abort(store, media, now)
        except Refusal:
            # One upload that the store can't join must not block the others. A store that is down blocks all.
            log.warning("work failed", work="sweep", media=media.id)
            failures += 1
            if failures == MAX_FAILURES:
                raise


async def _confirm_or_abort(store: Store, media: Media, now: datetime) -> None:
    """Join the upload if all its parts are there, else abort it. Its slots have expired, so no part can arrive now."""
    if await complete_upload(store.objects, media):
        await store.media.confirm(media.id, now)
    elif media.upload_id and await store.media.clear_upload(media):
        await multipart.abort(store.objects, media.key, media.upload_id)


async def _abort_unnamed(store: Store, now: datetime) -> None:
    """Abort uploads of our media that a killed process left behind. Leave all other uploads alone."""
    open_uploads = await multipart.list_open(store.objects, FOLDER, begun_before=now - SAFE_AGE)
    for start in range(0, len(open_uploads), MAX_AT_ONCE):
        uploads = open_uploads[start : start + MAX_AT_ONCE]
        ids = {media_id_of(upload.key) or "" for upload in uploads}
        known = {str(media.id): media for media in await store.media.many(sorted(ids))}
        for upload in uploads:
            media = known.get(media_id_of(upload.key) or "")
            if media is not None and media.upload_id != upload.upload_id:
                await multipart.abort(store.objects, upload.key, upload.upload_id)
