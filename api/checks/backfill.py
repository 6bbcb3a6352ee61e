"""The backlog: what was stored before likeness was taken and checks were made is hashed and becomes due for its check.

The records themselves say what is left: any number of workers may go through it, be killed, and go on.
Checking is left to `checks.py`; decoding, to the child of `storage/formats/sandbox.py`.
"""

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
    """`folder` holds the one thumbnail in work; `now` is the clock."""

    store: Store
    decoder: Decoder
    folder: Path
    now: Callable[[], datetime]

    async def sweep(self) -> int:
        """Go once through all that is left; how many observations and media are due for a check by it.

        Raises `StoreError` or `DecoderUnavailable` where a part of the service is down.
        """
        count = 0
        while batch := await self.store.checks.ask_for_unasked(self.now(), BATCH):
            count += batch
        after = ""
        while media := await self.store.media.unhashed(after, BATCH):
            after = media[-1].id
            for each in media:
                count += await self._take(each)
        return count

    async def _take(self, media: Media) -> bool:
        """From the small thumbnail, which is upright and has what likeness is taken of; the original is left alone."""
        small = next((each for each in media.thumbnails if each.rendition is Rendition.SMALL), None)
        try:
            if small is not None and media.facts and (media.facts.content_type or "").startswith(("image/", "video/")):
                with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                    path = Path(folder) / "small"
                    if await self.store.objects.download(small.key, path):
                        await self.store.likenesses.keep(media.id, (await self.decoder.examine(path)).likeness)
        except Refusal:
            # One that the store can't give now may not stand in the way of the others; the next sweep finds it again.
            log.warning("work failed", work="backlog", media=media.id)
            return False
        return await self.store.media.hashed(media, self.now())
