"""The sweep of uploads in parts: those that nobody goes on with are given up, and those that no record names.

Any number of workers may sweep, and be killed at it: an upload is forgotten by one conditional update, and what the store
still has of a forgotten one the next sweep finds. The store's own lifecycle rule, where it has one, comes long after.
"""

from datetime import datetime, timedelta

import structlog

from schema.core.refusals import Refusal
from schema.media.media import Media
from schema.media.object_keys import FOLDER, medium_of
from storage.media.upload_completion import has_arrived
from storage.s3 import multipart
from storage.store import Store

SAFE_AGE = timedelta(days=1)
"""No request, and no clock that is wrong, keeps an upload from being named for so long after it was begun."""
MAX_AT_ONCE = 500
MAX_FAILURES = 10
log = structlog.get_logger(__name__)


async def sweep_uploads(store: Store, now: datetime, *, unused_for: timedelta) -> None:
    """Give up what was unused for so long. Raise `Refusal` where the store or the database is down."""
    await _give_up_unused(store, now, now - unused_for)
    await _give_up_unnamed(store, now)


async def _give_up_unused(store: Store, now: datetime, since: datetime) -> None:
    failures = 0
    for media in await store.media.unused_uploads(since, MAX_AT_ONCE):
        try:
            await _settle(store, media, now)
        except Refusal:
            # One that the store can't join may not stand in the way of the others; a store that is down does.
            log.warning("work failed", work="sweep", media=media.id)
            failures += 1
            if failures == MAX_FAILURES:
                raise


async def _settle(store: Store, media: Media, now: datetime) -> None:
    """Join the upload if all its parts are there, else forget it; its slots have run out, so that no part can come now."""
    if await has_arrived(store.objects, media):
        await store.media.confirm(media.id, now)
    elif media.upload_id and await store.media.forget_upload(media):
        await multipart.abort(store.objects, media.key, media.upload_id)


async def _give_up_unnamed(store: Store, now: datetime) -> None:
    """What a killed process began or forgot; an upload for anything but our media is none of our business."""
    found = await multipart.list_open(store.objects, FOLDER, begun_before=now - SAFE_AGE)
    for start in range(0, len(found), MAX_AT_ONCE):
        uploads = found[start : start + MAX_AT_ONCE]
        ids = {medium_of(each.key) or "" for each in uploads}
        known = {str(media.id): media for media in await store.media.many(sorted(ids))}
        for each in uploads:
            media = known.get(medium_of(each.key) or "")
            if media is not None and media.upload_id != each.upload_id:
                await multipart.abort(store.objects, each.key, each.upload_id)
