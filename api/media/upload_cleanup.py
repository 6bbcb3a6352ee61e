"""Abort multipart uploads that nobody continues or that no record names.

Several workers may sweep at once, and any worker may be killed. One conditional update removes the id of an upload from
its medium's record. If the worker is then killed, the next sweep aborts the upload in the object store. The object
store's own lifecycle rule, if there is one, acts much later.
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
"""Age from which an upload is aborted if its id is in no record.

No request lasts this long and no clock is this wrong, so no record will get the id any more.
"""
MAX_AT_ONCE = 500
MAX_FAILURES = 10
log = structlog.get_logger(__name__)


async def sweep_uploads(store: Store, now: datetime, *, unused_for: timedelta) -> None:
    """Abort multipart uploads that nobody uses or that no record names.

    An upload is unused if no slot was issued for it within `unused_for`. Raise `Refusal` if the object store or the
    database is down.
    """
    await _abort_unused(store, now, now - unused_for)
    await _abort_unnamed(store, now)


async def _abort_unused(store: Store, now: datetime, since: datetime) -> None:
    failures = 0
    for media in await store.media.find_unused_uploads(since, MAX_AT_ONCE):
        try:
            await _confirm_or_abort(store, media, now)
        except Refusal:
            # One upload that the store can't join must not block the others. If the store is down, all of them fail.
            log.warning("work failed", work="sweep", media=media.id)
            failures += 1
            if failures == MAX_FAILURES:
                raise


async def _confirm_or_abort(store: Store, media: Media, now: datetime) -> None:
    """Join the parts if all have arrived, otherwise abort the upload. Its slots have expired, so no part can follow."""
    if await complete_upload(store.objects, media):
        await store.media.confirm(media.id, now)
    elif media.upload_id and await store.media.clear_upload(media):
        await multipart.abort(store.objects, media.key, media.upload_id)


async def _abort_unnamed(store: Store, now: datetime) -> None:
    """Abort the old uploads that a killed process left.

    These are uploads of a known medium whose record does not have the upload's id. Uploads of unknown media are not
    touched.
    """
    open_uploads = await multipart.list_open(store.objects, FOLDER, begun_before=now - SAFE_AGE)
    for start in range(0, len(open_uploads), MAX_AT_ONCE):
        uploads = open_uploads[start : start + MAX_AT_ONCE]
        ids = {media_id_of(upload.key) or "" for upload in uploads}
        known = {str(media.id): media for media in await store.media.many(sorted(ids))}
        for upload in uploads:
            media = known.get(media_id_of(upload.key) or "")
            if media is not None and media.upload_id != upload.upload_id:
                await multipart.abort(store.objects, upload.key, upload.upload_id)
