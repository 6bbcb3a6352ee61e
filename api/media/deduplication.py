"""Skip the upload of bytes that the same uploader has already sent under another media id (重复影像).

Only the uploader's own media are compared, so neither the answer nor its timing reveals that another person has the
same bytes. The worker copies the bytes and verifies the copy like an upload.
"""

from collections.abc import Sequence

from api.graphql.context import Context
from schema.media.media import ARRIVED, Media

MAX_COPIED_BYTES = 4 * 2**30
"""Maximum total size of one person's media with the same bytes.

Without this limit, a phone could fill the object store with copies without sending any bytes.
"""


async def mark_duplicates_uploaded(context: Context, media: Sequence[Media]) -> list[Media]:
    """Mark media as UPLOADED if the viewer has already sent the same bytes. Return all media, marked or not.

    This takes one query, and two more commands if there are duplicates.
    """
    missing = [medium for medium in media if medium.state not in ARRIVED and not medium.copy_failed]
    counts = await context.store.media.count_known_bytes(context.actor.user_id, {medium.sha256 for medium in missing})
    room = {content: MAX_COPIED_BYTES // content[1] - count for content, count in counts.items()}
    duplicate_ids = []
    for medium in missing:
        content = medium.sha256, int(medium.byte_size)
        if room.get(content, 0) > 0:
            room[content] -= 1
            duplicate_ids.append(str(medium.id))
    if not duplicate_ids:
        return list(media)
    await context.store.media.mark_copies(duplicate_ids, context.now)
    uploaded = {medium.id: medium for medium in await context.store.media.many(duplicate_ids)}
    return [uploaded.get(medium.id, medium) for medium in media]
