"""Load media, and sign links to their bytes after logging each link."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from api.graphql.context import Context
from api.graphql.loaders import Loader, by_id
from schema.casework.cases import NOTICE
from schema.core.ids import compose
from schema.fieldwork.observations import Observation
from schema.media.media import Link, Media, MediaState, Rendition, Thumbnail


async def find_media(context: Context, id: str) -> Media | None:
    """Return the medium if the viewer may see the observation or notice that names the medium, otherwise None."""
    media = await context.load.one(Media, id)
    if media and media.notice_id:
        notice = await context.load.one(NOTICE, media.notice_id)
        return media if notice and notice.names(id) else None
    observation = await context.load.one(Observation, media.observation_id) if media else None
    return media if observation and id in observation.content.media_ids else None


async def _sign_links(context: Context, keys: Sequence[tuple[Media, Rendition]]) -> list[Link | None]:
    """Log one access per link (who gets a link to which rendition), then sign all links together."""
    renditions = [_Rendition(*key) for key in keys]
    available = [rendition for rendition in renditions if rendition.key]
    if not available:
        return [None] * len(keys)
    await context.store.media.log_accesses(
        [
            {
                "_id": compose("evt", context.now, secrets.token_bytes(10)),
                "media_id": rendition.media.id,
                "rendition": rendition.rendition.value,
                "user_id": context.actor.user_id,
                "device_id": context.actor.device_id,
                "at": context.now,
            }
            for rendition in available
        ]
    )
    seconds = context.settings.link_seconds
    objects = [(rendition.key or "", rendition.content_type) for rendition in available]
    urls = dict(zip(available, await context.store.objects.sign_gets(objects, seconds=seconds), strict=True))
    expires_at = context.now + timedelta(seconds=seconds)
    return [rendition.link(urls[rendition], expires_at) if rendition in urls else None for rendition in renditions]


class _Rendition:
    """One rendition of one medium. Renditions are compared by identity, so two instances are never equal."""

    def __init__(self, media: Media, rendition: Rendition) -> None:
        self.media, self.rendition = media, rendition
        self._thumbnail: Thumbnail | None = next(
            (thumbnail for thumbnail in media.thumbnails if thumbnail.rendition is rendition), None
        )

    @property
    def key(self) -> str | None:
        """Key of the object in the object store. None if the medium is not READY or has no such rendition."""
        if self.media.state is not MediaState.READY:
            return None
        if self.rendition is Rendition.ORIGINAL:
            return self.media.key
        return self._thumbnail.key if self._thumbnail else None

    @property
    def content_type(self) -> str:
        if self.rendition is not Rendition.ORIGINAL:
            return "image/jpeg"
        facts = self.media.facts
        return (facts.content_type if facts else None) or self.media.content_type

    def link(self, url: str, expires_at: datetime) -> Link:
        facts = self._thumbnail or self.media.facts
        return Link(
            url=url,
            expires_at=expires_at,
            content_type=self.content_type,
            width=facts.width if facts else None,
            height=facts.height if facts else None,
        )


LOADERS = (
    by_id(Media, lambda context, ids: context.store.media.read_many(ids)),
    Loader(Link, ("media", "rendition"), _sign_links),
)
