"""Hash media and queue observations for a check, if they were stored before checks existed. Renew the ids of old flags.

The records themselves hold the state of the work. So any number of workers may run this, and be killed at any time.
"""

import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from schema.core.refusals import Refusal
from schema.media.media import Media, Rendition
from storage.formats.sandbox import Decoder
from storage.store import Store

BATCH = 100
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class CheckBackfill:
    """Prepare old media and observations for checks.

    `folder` is for a copy of the thumbnail that is being hashed. `now` returns the current time.
    """

    store: Store
    decoder: Decoder
    folder: Path
    now: Callable[[], datetime]

    async def sweep(self) -> int:
        """Process all media and observations that are left. Return how many became due for a check.

        Raise `StoreError` or `DecoderUnavailableError` if a part of the service is down.
        """
        while await self.store.flags.replace_keys_as_ids(BATCH, secrets.token_bytes):
            pass
        count = 0
        while batch := await self.store.checks.request_missing(self.now(), BATCH):
            count += batch
        after = ""
        while media := await self.store.media.find_unhashed(after, BATCH):
            after = media[-1].id
            for medium in media:
                count += await self._hash_media(medium)
        return count

    async def _hash_media(self, media: Media) -> bool:
        """Hash the small thumbnail of a medium. Return whether a check of the medium became due.

        The small thumbnail has the right orientation and is large enough, so the original is not read.
        """
        small = next((thumbnail for thumbnail in media.thumbnails if thumbnail.rendition is Rendition.SMALL), None)
        try:
            if small is not None and media.facts and (media.facts.content_type or "").startswith(("image/", "video/")):
                with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                    path = Path(folder) / "small"
                    if await self.store.objects.download(small.key, path):
                        await self.store.likenesses.store(media.id, (await self.decoder.examine(path)).likeness)
        except Refusal:
            # A medium that the store can't give now must not block the others. The next sweep finds it again.
            log.warning("work failed", work="backlog", media=media.id)
            return False
        return await self.store.media.mark_hashed(media, self.now())
