"""Verification: stored bytes are hashed again, read, and given thumbnails; what nobody confirmed is looked for.

Every piece of work is claimed by one conditional update that also is its lease, prolonged for as long as the work goes on:
a worker that dies leaves it to the next.
How a picture is read is `storage/formats/sandbox.py`; running this for ever is `work.py`.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from api.jobs.leases import LEASE, keep_lease
from schema.core.refusals import Refusal
from schema.core.times import ByteCount
from schema.geography.positions import Datum, GeoPoint, GeoPointInput, PositionSource, locate
from schema.media.media import Media, MediaRejection, MediaState, Rendition, Thumbnail
from schema.media.media_facts import MediaDamage, MediaFacts, MotionVideo, PositionAbsence
from storage.formats.content_types import sniff
from storage.formats.results import Damage, ReadResult
from storage.formats.sandbox import Decoder, DecoderUnavailableError
from storage.media.upload_completion import has_arrived
from storage.mongodb.errors import StoreError
from storage.s3.client import DownloadResult, ObjectStoreDeclinedError
from storage.store import Store

RENDITIONS = (Rendition.LARGE, Rendition.SMALL)
MAX_WAIT = timedelta(days=1)
PAUSE = timedelta(seconds=30)
"""The longest before work that failed is tried again."""
FAILURES = 3
OF_THE_MACHINE = frozenset({Damage.TIMED_OUT, Damage.CRASHED, Damage.OUT_OF_MEMORY})
"""Damage that a loaded machine may have made: seen three times, it is the picture's."""
SOURCES = {"XMP": PositionSource.XMP, "QUICKTIME": PositionSource.QUICKTIME}
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MediaVerifier:
    """`folder` holds the one file in work; `now` is the clock; three signs of life are given in the time of a `lease`."""

    store: Store
    decoder: Decoder
    folder: Path
    now: Callable[[], datetime]
    lease: timedelta = LEASE
    give_up_after: timedelta = timedelta(days=7)
    """How long media are looked for that no observation names."""
    measured: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()

    async def do_one(self) -> bool:
        """Do the piece of work that is due first; False when nothing is due.

        What fails because a part of the service is down is tried again later, and is never lost.
        """
        media = await self.store.media.claim(self.now(), self.lease)
        if media is None:
            return False
        failed = False
        async with keep_lease(partial(self.store.media.hold, media), self.now, self.lease):
            try:
                with self.measured("verify" if media.state is MediaState.UPLOADED else "look"):
                    await (self.verify(media) if media.state is MediaState.UPLOADED else self._look_for(media))
            except (Refusal, StoreError, DecoderUnavailableError, OSError) as error:  # OSError: a full disk, above all
                log.warning("work failed", work="media", reason=type(error).__name__, attempt=media.attempts)
                failed = True
        if failed:
            await self.store.media.postpone(media, self.now() + min(timedelta(seconds=media.attempts), PAUSE))
        return True

    async def _look_for(self, media: Media) -> None:
        """A medium that nobody confirmed: a phone may have been killed after the upload, or may still be offline."""
        if await has_arrived(self.store.objects, media):
            await self.store.media.confirm(media.id, self.now())
            return
        waited = self.now() - media.expected_at
        if waited > self.give_up_after and not await self.store.observations.has_medium(media.observation_id, media.id):
            # Its draft was refused, or never got through. The same draft sent again has it looked for again.
            await self.store.media.give_up(media)
            return
        await self.store.media.postpone(media, self.now() + min(waited, MAX_WAIT))

    async def verify(self, media: Media) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            path = Path(folder) / "original"
            if media.is_copy and not await self._copied(media, path):
                await self.store.media.uncopied(media, self.now() + PAUSE)
                return
            found = await self.store.objects.download(media.key, path)
            if found is None:
                await self.store.media.lost(media.id, self.now() + PAUSE)
            elif found.byte_size != media.byte_size:
                await self.store.media.reject(media, MediaRejection.SIZE_MISMATCH)
            elif found.sha256 != media.sha256:
                await self.store.media.reject(media, MediaRejection.DIGEST_MISMATCH)
            else:
                await self._hold(media)
                await self._read(media, path, found)

    async def _copied(self, media: Media, path: Path) -> bool:
        """Whether the medium's own object is there; made here of what its uploader has sent under another id.

        Not by the store's own copy: SeaweedFS syncs what is put to disk, and not what it copies.
        """
        objects = self.store.objects
        if await objects.size_of(media.key) is not None:
            return True
        twin = await self.store.media.twin_of(media)
        found = await objects.download(twin.key, path) if twin else None
        if found is None or found.sha256 != media.sha256:
            return False
        try:
            await objects.put_file(media.key, path, media.content_type, media.sha256)
        except ObjectStoreDeclinedError:
            return await objects.size_of(media.key) is not None  # it came by itself at the same moment
        return True

    async def _hold(self, media: Media) -> None:
        """Have the store keep the original from everybody, where it can; a key that may not do that is no reason to wait."""
        try:
            await self.store.objects.hold(media.key)
        except ObjectStoreDeclinedError as no:
            log.warning("no legal hold", media=media.id, code=no.code)

    async def _read(self, media: Media, path: Path, found: DownloadResult) -> None:
        if sniff(found.head) is None:
            await self.store.media.ready(
                media.id, self.now(), MediaFacts(damage=MediaDamage.UNSUPPORTED), (), key=media.key
            )
            return
        picture = await self.decoder.examine(path)
        if picture.damage in OF_THE_MACHINE and media.decoding_failures + 1 < FAILURES:
            await self.store.media.undecoded(media, self.now() + PAUSE)
            return
        thumbnails = await self._keep_thumbnails(media, picture)
        await self.store.likenesses.store(media.id, picture.likeness)
        await self.store.media.ready(media.id, self.now(), facts_of(picture), thumbnails, key=media.key)

    async def _keep_thumbnails(self, media: Media, picture: ReadResult) -> Sequence[Thumbnail]:
        kept = []
        for rendition, made in zip(RENDITIONS, picture.thumbnails, strict=False):
            digest = hashlib.sha256(made.data).hexdigest()
            # With the digest in its key a worker that comes late, or of another version, overwrites none.
            key = f"thumbnails/{media.id}-{str(rendition.value).lower()}-{digest}.jpg"
            await self.store.objects.put(key, made.data, made.content_type)
            kept.append(Thumbnail(rendition, made.width, made.height, key, digest))
        return kept


def facts_of(picture: ReadResult) -> MediaFacts:
    """A picture's own word, in the vocabulary's terms."""
    position = _position(picture)
    located = locate(position) if position else None
    stated = (None, None) if position else _stated(picture)
    motion = None
    if picture.motion_offset is not None and picture.motion_bytes:
        motion = MotionVideo(offset=ByteCount(picture.motion_offset), byte_size=ByteCount(picture.motion_bytes))
    return MediaFacts(
        content_type=picture.content_type,
        width=picture.width,
        height=picture.height,
        orientation=picture.orientation,
        rotation=picture.rotation,
        display_width=picture.display_width,
        display_height=picture.display_height,
        taken_at_local=picture.taken_at.isoformat(timespec="milliseconds") if picture.taken_at else None,
        taken_offset_minutes=picture.taken_offset_minutes,
        created_at=picture.created_at,
        position=located,
        position_absent=_position_absent(picture, located),
        stated_latitude=stated[0],
        stated_longitude=stated[1],
        duration_ms=picture.duration_ms,
        page_count=picture.page_count,
        is_encrypted=picture.is_encrypted,
        motion_video=motion,
        damage=MediaDamage(picture.damage.value) if picture.damage else None,
        make=picture.make,
        model=picture.model,
        software=picture.software,
    )


def _position(picture: ReadResult) -> GeoPointInput | None:
    """The position as the file gives it; None also for a datum that can't be converted, which would put it elsewhere."""
    position = picture.position
    datum = _datum(position.datum) if position else None
    if position is None or datum is None:
        return None
    return GeoPointInput(
        latitude=position.latitude,
        longitude=position.longitude,
        datum=datum,
        accuracy_metres=position.accuracy_metres,
        altitude_metres=position.altitude_metres,
        source=SOURCES.get(picture.position_source or "", PositionSource.EXIF),
        fixed_at=position.fixed_at,
    )


def _datum(named: str | None) -> Datum | None:
    """The datum of GPSMapDatum; files that name none mean WGS-84, as EXIF says."""
    letters = "".join(letter for letter in (named or "").upper() if letter.isalnum())
    names = {"": Datum.WGS84, "WGS84": Datum.WGS84, "GCJ02": Datum.GCJ02, "BD09": Datum.BD09}
    # China's own frame and those of satellite systems agree with WGS-84 within a metre.
    return names.get(letters, Datum.WGS84 if letters.startswith(("WGS84", "WGS1984", "CGCS2000", "ITRF")) else None)


def _stated(picture: ReadResult) -> tuple[float, float] | tuple[None, None]:
    if picture.position:  # of a datum that can't be converted
        return picture.position.latitude, picture.position.longitude
    return picture.stated or (None, None)


def _position_absent(picture: ReadResult, located: GeoPoint | None) -> PositionAbsence | None:
    if picture.position_problem:
        return PositionAbsence(picture.position_problem.value)
    if located and located.problem:
        return PositionAbsence(str(located.problem.value).lower())
    return PositionAbsence.UNKNOWN_DATUM if picture.position and _datum(picture.position.datum) is None else None
