"""Skip the upload of bytes that the same uploader has already sent under another media id (重复影像).

Only the uploader's own media are compared, so neither the answer nor its timing reveals that another person has the
same bytes. The worker copies the bytes and verifies the copy like an upload.
"""

from collections.abc import Sequence
from datetime import timedelta

from api.graphql.context import Context
from schema.media.media import ARRIVED, Media

MAX_COPIES = 100
"""Maximum number of one person's media with the same bytes.

Without this limit and the next ones, a phone could fill the object store and occupy the worker without sending bytes.
"""
MAX_COPIED_BYTES = 4 * 2**30
"""Maximum total size of one person's media with the same bytes."""
MAX_COPIES_PER_DAY = 1_000
MAX_COPIED_BYTES_PER_DAY = 16 * 2**30
DAY = timedelta(days=1)


async def mark_duplicates_uploaded(context: Context, media: Sequence[Media]) -> list[Media]:
    """Mark media as UPLOADED if the viewer has already sent the same bytes. Return all media, marked or not.

    Media beyond the limits are not marked, so the phone sends their bytes. This takes one query, and two more commands
    if there are duplicates.
    """
    missing = [medium for medium in media if medium.state not in ARRIVED and not medium.copy_failed]
    digests = {medium.sha256 for medium in missing}
    known = await context.store.media.count_known_bytes(context.actor.user_id, digests, context.now - DAY)
    counts, copies, copied_bytes = dict(known.counts), known.copies, known.copied_bytes
    duplicate_ids = []
    for medium in missing:
        content = medium.sha256, int(medium.byte_size)
        copied_bytes += content[1]
        if (
            0 < counts.get(content, 0) < min(MAX_COPIES, MAX_COPIED_BYTES // content[1])
            and copies < MAX_COPIES_PER_DAY
            and copied_bytes <= MAX_COPIED_BYTES_PER_DAY
        ):
            counts[content] += 1
            copies += 1
            duplicate_ids.append(str(medium.id))
        else:
            copied_bytes -= content[1]
    if not duplicate_ids:
        return list(media)
    await context.store.media.mark_copies(duplicate_ids, context.now)
    uploaded = {medium.id: medium for medium in await context.store.media.many(duplicate_ids)}
    return [uploaded.get(medium.id, medium) for medium in media]
