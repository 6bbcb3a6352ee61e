"""Load the redactions of media, and sign links to their copies after logging each link."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from api.graphql.context import Context
from api.graphql.loaders import Loader
from schema.core.ids import compose
from schema.media.media import Link
from schema.publication.redactions import Redaction
from storage.access import visibility


async def _redactions_of_media(context: Context, media_ids: list[str]) -> list[list[Redaction]]:
    redactions = await context.store.redactions.find_by_media(media_ids, visibility.redactions(context.actor))
    return [[redaction for redaction in redactions if redaction.media_id == id] for id in media_ids]


async def _sign_links(context: Context, redactions: Sequence[Redaction]) -> list[Link | None]:
    """Log one access per link (who gets a link to which copy), then sign all links together."""
    viewer, seconds = context.actor, context.settings.link_seconds
    renderings = {
        redaction.id: redaction.rendering
        for redaction in redactions
        if redaction.rendering is not None and redaction.is_open_to(viewer)
    }
    if not renderings:
        return [None] * len(redactions)
    await context.store.media.log_accesses(
        [
            {
                "_id": compose("evt", context.now, secrets.token_bytes(10)),
                "media_id": redaction.media_id,
                "rendition": "REDACTED",
                "redaction_id": redaction.id,
                "sha256": renderings[redaction.id].sha256,
                "user_id": viewer.user_id,
                "device_id": viewer.device_id,
                "at": context.now,
            }
            for redaction in redactions
            if redaction.id in renderings
        ]
    )
    objects = [(rendering.key, "image/jpeg") for rendering in renderings.values()]
    urls = dict(zip(renderings, await context.store.objects.sign_gets(objects, seconds=seconds), strict=True))
    expires_at = context.now + timedelta(seconds=seconds)
    links: dict[str, Link] = {
        id: Link(
            url=urls[id],
            expires_at=expires_at,
            content_type="image/jpeg",
            width=rendering.width,
            height=rendering.height,
        )
        for id, rendering in renderings.items()
    }
    return [links.get(redaction.id) for redaction in redactions]


LOADERS = (
    Loader(Redaction, ("media",), _redactions_of_media),
    Loader(Link, ("redaction",), _sign_links),
)
