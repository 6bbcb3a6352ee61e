"""Redaction links: the released copies of media for one request and viewer, and addresses of their bytes, batched.

Which records a viewer finds is said in `storage/access/visibility.py`, whose bytes are open to whom in
`schema/publication/redactions.py`.
"""

import secrets
from datetime import datetime, timedelta
from functools import cached_property

from strawberry.dataloader import DataLoader

from schema.access.viewers import Viewer
from schema.core.ids import compose
from schema.media.media import Link
from schema.publication.redactions import Redaction
from storage.access import visibility
from storage.store import Store


class ViewerRedactionLinks:
    """Implements `schema.core.context.RedactionLinks`."""

    def __init__(self, store: Store, viewer: Viewer, now: datetime, link_seconds: int) -> None:
        self._store = store
        self._viewer = viewer
        self._now = now
        self._seconds = link_seconds

    async def of_media(self, media_id: str) -> list[Redaction]:
        return await self._of_media.load(media_id)

    async def link(self, redaction: Redaction) -> Link | None:
        if redaction.rendering is None or not redaction.is_open_to(self._viewer):
            return None
        return await self._links.load(redaction)

    @cached_property
    def _of_media(self) -> DataLoader[str, list[Redaction]]:
        async def load(media_ids: list[str]) -> list[list[Redaction]]:
            visible = visibility.redactions(self._viewer)
            found = await self._store.redactions.of_media(media_ids, visible)
            return [[each for each in found if each.media_id == id] for id in media_ids]

        return DataLoader(load_fn=load)

    @cached_property
    def _links(self) -> DataLoader[Redaction, Link | None]:
        return DataLoader(load_fn=self._sign, cache_key_fn=lambda redaction: redaction.id)

    async def _sign(self, shown: list[Redaction]) -> list[Link | None]:
        """Sign together, after one log entry for each has been stored: who was given what."""
        made = [each.rendering for each in shown if each.rendering is not None]
        await self._store.media.log_accesses(
            [
                {
                    "_id": compose("evt", self._now, secrets.token_bytes(10)),
                    "media_id": each.media_id,
                    "rendition": "REDACTED",
                    "redaction_id": each.id,
                    "sha256": rendering.sha256,
                    "user_id": self._viewer.user_id,
                    "device_id": self._viewer.device_id,
                    "at": self._now,
                }
                for each, rendering in zip(shown, made, strict=True)
            ]
        )
        urls = await self._store.objects.sign_gets([(each.key, "image/jpeg") for each in made], seconds=self._seconds)
        expires_at = self._now + timedelta(seconds=self._seconds)
        return [
            Link(url=url, expires_at=expires_at, content_type="image/jpeg", width=each.width, height=each.height)
            for url, each in zip(urls, made, strict=True)
        ]
