"""Twins (重复影像): media whose bytes their uploader has sent before under another id; the line doesn't carry them again.

Nobody's but the uploader's own media are looked at: that others have the same bytes shows neither in the answer nor in its
time. The store's copy is made, and verified like any upload, by the worker (`verification.py`).
"""

from collections.abc import Sequence

from api.graphql.context import Context
from schema.media.media import ARRIVED, Media

MAX_COPIED_BYTES = 4 * 2**30
"""Of the same bytes of one person's, in all: without a bound a phone could fill the store and send nothing."""


async def mark_duplicates_uploaded(context: Context, media: Sequence[Media]) -> list[Media]:
    """The viewer's media as they are once those have arrived of which the store has the bytes already.

    One query, and two commands more where there are such; raises only what the database does.
    """
    missing = [each for each in media if each.state not in ARRIVED and not each.copy_failed]
    known = await context.store.media.known_bytes(context.actor.user_id, {each.sha256 for each in missing})
    room = {same: MAX_COPIED_BYTES // same[1] - count for same, count in known.items()}
    met = []
    for each in missing:
        same = each.sha256, int(each.byte_size)
        if room.get(same, 0) > 0:
            room[same] -= 1
            met.append(str(each.id))
    if not met:
        return list(media)
    await context.store.media.copy(met, context.now)
    arrived = {each.id: each for each in await context.store.media.many(met)}
    return [arrived.get(each.id, each) for each in media]
