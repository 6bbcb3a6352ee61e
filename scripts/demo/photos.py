"""Draw the demo's photos from the seed, put them into the object store, and verify them with the worker's own code."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread

from api.media.verification import MediaVerifier
from schema.core.times import ByteCount
from schema.media.media import Media, MediaState
from schema.media.media_drafts import MediaDraft
from scripts.demo.observations import Shot
from scripts.demo.scenes import SceneExif, draw_scene
from storage.formats.sandbox import Decoder
from storage.store import Store

LONG_SIDE, SHORT_SIDE = 1024, 768
DECODERS = 2


def draw_photo(shot: Shot) -> bytes:
    """Draw a photo. The same `Shot` always gives the same JPEG, byte for byte."""
    width, height = (SHORT_SIDE, LONG_SIDE) if shot.is_upright else (LONG_SIDE, SHORT_SIDE)
    exif = SceneExif(
        latitude=shot.latitude,
        longitude=shot.longitude,
        taken_at=shot.taken_at.replace(tzinfo=None),
        accuracy_metres=5.0,
        model=f"Demo {shot.seed % 3 + 1}",
    )
    return draw_scene(shot.seed, width, height, list(shot.captions), exif)


def media_draft(shot: Shot, photo: bytes) -> MediaDraft:
    """Return the announcement of a photo, as a phone sends it."""
    return MediaDraft(
        id=shot.id,
        sha256=hashlib.sha256(photo).hexdigest(),
        byte_size=ByteCount(len(photo)),
        content_type="image/jpeg",
        md5=hashlib.md5(photo, usedforsecurity=False).hexdigest(),
        captured_at=shot.taken_at,
    )


class PhotoFactory:
    """Draws and uploads photos, and verifies them in its own decoder processes."""

    def __init__(self, store: Store, folder: Path, decoders: Sequence[Decoder]) -> None:
        self._store, self._folder = store, folder
        self._idle = list(decoders)
        self._turns = anyio.CapacityLimiter(len(decoders))

    async def draw(self, shots: Sequence[Shot]) -> list[bytes]:
        return await anyio.to_thread.run_sync(lambda: [draw_photo(shot) for shot in shots])

    async def deliver(self, shots: Sequence[Shot], photos: Sequence[bytes], received_at: datetime) -> None:
        """Upload and verify photos, as phone and worker do after a submission. Verified photos are skipped."""
        stored = {media.id: media for media in await self._store.media.many([shot.id for shot in shots])}
        for number, (shot, photo) in enumerate(zip(shots, photos, strict=True), start=1):
            media = stored[shot.id]
            if media.state is MediaState.READY:
                continue
            await self._store.objects.put(media.key, photo, media.content_type)
            uploaded_at = received_at + timedelta(seconds=4 * number)
            media = await self._store.media.confirm(media.id, uploaded_at) or media
            await self._verify(media, uploaded_at + timedelta(seconds=2))

    async def _verify(self, media: Media, at: datetime) -> None:
        async with self._turns:
            decoder = self._idle.pop()
            try:
                await MediaVerifier(self._store, decoder, self._folder, lambda: at).verify(media)
            finally:
                self._idle.append(decoder)


@asynccontextmanager
async def open_photo_factory(store: Store) -> AsyncIterator[PhotoFactory]:
    """Yield a photo factory with decoders and a temporary folder, until the `with` block ends."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mingcha-demo-")))
        decoders = [await stack.enter_async_context(Decoder()) for _ in range(DECODERS)]
        yield PhotoFactory(store, folder, decoders)
