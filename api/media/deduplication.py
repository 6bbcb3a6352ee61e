"""Skip the upload of bytes that the same uploader has already sent under another media id (重复影像).

Only the uploader's own media are compared, so neither the answer nor its timing reveals that another person has the
same bytes. The worker copies the bytes and verifies the copy like an upload.
"""

from collections.abc import Sequence
from datetime import timedelta

from api.graphql.context import Context
from schema.media.media import ARRIVED, Media
from storage.media.media import KnownBytes
from storage.mongodb.combined_reads import Read, run_together

MAX_COPIES = 100
"""Maximum number of one person's media with the same bytes.

Without this limit and the next ones, a phone could fill the object store and occupy the worker without sending bytes.
"""
MAX_COPIED_BYTES = 4 * 2**30
"""Maximum total size of one person's media with the same bytes."""
MAX_COPIES_PER_DAY = 1_000
MAX_COPIED_BYTES_PER_DAY = 16 * 2**30
DAY = timedelta(days=1)


class CopyAllowance:
    """Decide which media may be copies, within the limits. `known` is what the uploader has sent before."""

    def __init__(self, known: KnownBytes) -> None:
        self._counts, self._copies, self._copied_bytes = dict(known.counts), known.copies, known.copied_bytes

    def take(self, medium: Media) -> bool:
        """Return whether the medium may be a copy. If so, it counts as one from now on."""
        content = medium.sha256, int(medium.byte_size)
        if (
            0 < self._counts.get(content, 0) < min(MAX_COPIES, MAX_COPIED_BYTES // content[1])
            and self._copies < MAX_COPIES_PER_DAY
            and self._copied_bytes + content[1] <= MAX_COPIED_BYTES_PER_DAY
        ):
            self._counts[content] += 1
            self._copies += 1
            self._copied_bytes += content[1]
            return True
        return False


def read_known_bytes(context: Context, media: Sequence[Media]) -> Read[KnownBytes]:
    """Return the read that a `CopyAllowance` for these media needs."""
    digests = {medium.sha256 for medium in media}
    return context.store.media.count_known_bytes(context.actor.user_id, digests, context.now - DAY)


async def mark_duplicates_uploaded(
    context: Context, media: Sequence[Media], allowance: CopyAllowance | None = None
) -> list[Media]:
    """Mark media as UPLOADED if the viewer has already sent the same bytes. Return all media, marked or not.

    Media beyond the limits are not marked, so the phone sends their bytes. This takes one query unless `allowance` is
    given, and two more commands if there are duplicates.
    """
    missing = [medium for medium in media if medium.state not in ARRIVED and not medium.copy_failed]
    if not missing:
        return list(media)
    if allowance is None:
        known = read_known_bytes(context, missing)
        await run_together(context.store.mongo, [known])
        allowance = CopyAllowance(known.result)
    duplicate_ids = [str(medium.id) for medium in missing if allowance.take(medium)]
    if not duplicate_ids:
        return list(media)
    await context.store.media.mark_copies(duplicate_ids, context.now)
    uploaded = {medium.id: medium for medium in await context.store.media.many(duplicate_ids)}
    return [uploaded.get(medium.id, medium) for medium in media]
