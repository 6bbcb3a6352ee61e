"""Verify uploaded bytes: hash them, read the media facts and make thumbnails. Look for uploads that nobody confirmed.

One conditional update claims a task and starts its lease. The worker renews the lease while it works. If the worker
dies, another worker claims the task after the lease.
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
from storage.media.upload_completion import complete_upload
from storage.mongodb.errors import StoreError
from storage.s3.client import DownloadResult, ObjectStoreDeclinedError
from storage.store import Store

RENDITIONS = (Rendition.LARGE, Rendition.SMALL)
MAX_WAIT = timedelta(days=1)
RETRY_PAUSE = timedelta(seconds=30)
"""Maximum pause before a failed task is tried again."""
MAX_FAILURES = 3
MACHINE_DAMAGE = frozenset({Damage.TIMED_OUT, Damage.CRASHED, Damage.OUT_OF_MEMORY})
"""Damage that an overloaded machine may also cause. After `MAX_FAILURES` failures the file counts as damaged."""
SOURCES = {"XMP": PositionSource.XMP, "QUICKTIME": PositionSource.QUICKTIME}
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MediaVerifier:
    """Does one task at a time.

    `folder` is where the downloaded file is stored during the work. `now` is the clock. The claim on a task is renewed
    three times per `lease`.
    """

    store: Store
    decoder: Decoder
    folder: Path
    now: Callable[[], datetime]
    lease: timedelta = LEASE
    give_up_after: timedelta = timedelta(days=7)
    """How long to look for the bytes of media that no observation names."""
    measured: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()

    async def do_one(self) -> bool:
        """Do the task that is due first. Return False if no task is due.

        A task that fails because part of the service is down is retried later and never lost.
        """
        media = await self.store.media.claim(self.now(), self.lease)
        if media is None:
            return False
        failed = False
        async with keep_lease(partial(self.store.media.renew_lease, media), self.now, self.lease):
            try:
                with self.measured("verify" if media.state is MediaState.UPLOADED else "look"):
                    await (self.verify(media) if media.state is MediaState.UPLOADED else self._look_for(media))
            except (Refusal, StoreError, DecoderUnavailableError, OSError) as error:  # OSError: usually a full disk
                log.warning("work failed", work="media", reason=type(error).__name__, attempt=media.attempts)
                failed = True
        if failed:
            await self.store.media.postpone(media, self.now() + min(timedelta(seconds=media.attempts), RETRY_PAUSE))
        return True

    async def _look_for(self, media: Media) -> None:
        """Look for the bytes of a medium that nobody confirmed. If they have arrived, confirm the medium.

        The phone may have been killed after the upload, or may still be offline.
        """
        if await complete_upload(self.store.objects, media):
            await self.store.media.confirm(media.id, self.now())
            return
        waited = self.now() - media.expected_at
        if waited > self.give_up_after and not await self.store.observations.has_medium(media.observation_id, media.id):
            # The medium's draft was refused or never arrived. If the draft is sent again, the search resumes.
            await self.store.media.give_up(media)
            return
        await self.store.media.postpone(media, self.now() + min(waited, MAX_WAIT))

    async def verify(self, media: Media) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            path = Path(folder) / "original"
            if media.is_copy and not await self._copy_duplicate(media, path):
                await self.store.media.mark_copy_failed(media, self.now() + RETRY_PAUSE)
                return
            downloaded = await self.store.objects.download(media.key, path)
            if downloaded is None:
                await self.store.media.mark_lost(media.id, self.now() + RETRY_PAUSE)
            elif downloaded.byte_size != media.byte_size:
                await self.store.media.reject(media, MediaRejection.SIZE_MISMATCH)
            elif downloaded.sha256 != media.sha256:
                await self.store.media.reject(media, MediaRejection.DIGEST_MISMATCH)
            else:
                await self._place_legal_hold(media)
                await self._read(media, path, downloaded)

    async def _copy_duplicate(self, media: Media, path: Path) -> bool:
        """Copy bytes that the uploader sent under another media id. Return whether the medium has its own object now.

        The bytes are downloaded and sent by PUT. S3's copy command is not used: SeaweedFS syncs a PUT to disk, but not
        a copy.
        """
        objects = self.store.objects
        if await objects.size_of(media.key) is not None:
            return True
        duplicate = await self.store.media.find_duplicate(media)
        downloaded = await objects.download(duplicate.key, path) if duplicate else None
        if downloaded is None or downloaded.sha256 != media.sha256:
            return False
        try:
            await objects.put_file(media.key, path, media.content_type, media.sha256)
        except ObjectStoreDeclinedError:
            return await objects.size_of(media.key) is not None  # the phone uploaded it at the same moment
        return True

    async def _place_legal_hold(self, media: Media) -> None:
        """Protect the original from deletion, if the object store can. A refusal by the store is only logged."""
        try:
            await self.store.objects.hold(media.key)
        except ObjectStoreDeclinedError as error:
            log.warning("no legal hold", media=media.id, code=error.code)

    async def _read(self, media: Media, path: Path, downloaded: DownloadResult) -> None:
        if sniff(downloaded.head) is None:
            await self.store.media.mark_ready(
                media.id, self.now(), MediaFacts(damage=MediaDamage.UNSUPPORTED), (), key=media.key
            )
            return
        picture = await self.decoder.examine(path)
        if picture.damage in MACHINE_DAMAGE and media.decoding_failures + 1 < MAX_FAILURES:
            await self.store.media.record_decoding_failure(media, self.now() + RETRY_PAUSE)
            return
        thumbnails = await self._store_thumbnails(media, picture)
        await self.store.likenesses.store(media.id, picture.likeness)
        await self.store.media.mark_ready(media.id, self.now(), facts_of(picture), thumbnails, key=media.key)

    async def _store_thumbnails(self, media: Media, picture: ReadResult) -> Sequence[Thumbnail]:
        thumbnails = []
        for rendition, rendered in zip(RENDITIONS, picture.thumbnails, strict=False):
            digest = hashlib.sha256(rendered.data).hexdigest()
            # The key has the digest, so that a late worker or a worker of another version overwrites no thumbnail.
            key = f"thumbnails/{media.id}-{str(rendition.value).lower()}-{digest}.jpg"
            await self.store.objects.put(key, rendered.data, rendered.content_type)
            thumbnails.append(Thumbnail(rendition, rendered.width, rendered.height, key, digest))
        return thumbnails


def facts_of(picture: ReadResult) -> MediaFacts:
    """Convert the decoder's result to the API's media facts."""
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
    """Return the position that the file states, or None.

    If the position's datum can't be converted, return None, because the position would be in the wrong place.
    """
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


def _datum(name: str | None) -> Datum | None:
    """Return the datum that GPSMapDatum names, or None if unknown. By the EXIF standard, no name means WGS-84."""
    letters = "".join(letter for letter in (name or "").upper() if letter.isalnum())
    names = {"": Datum.WGS84, "WGS84": Datum.WGS84, "GCJ02": Datum.GCJ02, "BD09": Datum.BD09}
    # CGCS2000 (China) and the ITRF frames agree with WGS-84 within a metre.
    return names.get(letters, Datum.WGS84 if letters.startswith(("WGS84", "WGS1984", "CGCS2000", "ITRF")) else None)


def _stated(picture: ReadResult) -> tuple[float, float] | tuple[None, None]:
    if picture.position:  # its datum can't be converted
        return picture.position.latitude, picture.position.longitude
    return picture.stated or (None, None)


def _position_absent(picture: ReadResult, located: GeoPoint | None) -> PositionAbsence | None:
    if picture.position_problem:
        return PositionAbsence(picture.position_problem.value)
    if located and located.problem:
        return PositionAbsence(str(located.problem.value).lower())
    return PositionAbsence.UNKNOWN_DATUM if picture.position and _datum(picture.position.datum) is None else None
