"""Verify uploaded bytes: hash them, read the media facts and make thumbnails. Look for uploads that nobody confirmed.

One conditional update claims a task and starts its lease. The worker renews the lease while it works. If the worker
dies, another worker claims the task after the lease.

The people whose media wait take turns by the time that their media take. A file whose first examination fails is
examined again beside the other files and not before them. The same bytes of one person are examined once.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from api.jobs.fair_turns import FairTurns
from api.jobs.leases import LEASE, keep_lease
from api.media.announcements import NAMED_FOR
from api.media.media_facts import facts_of
from schema.core.refusals import Refusal
from schema.media.media import Media, MediaRejection, MediaState, Rendition, Thumbnail
from schema.media.media_facts import MediaDamage, MediaFacts
from storage.formats.content_types import sniff
from storage.formats.results import Damage, ReadResult, RenderedThumbnail
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
REMEMBERED_FOR = timedelta(days=1)
"""How long the result of an examination counts for the same bytes. After that, a newer decoder gets a chance."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MediaVerifier:
    """Does one task at a time.

    `folder` is where the downloaded file is stored during the work. `now` is the clock. The claim on a task is renewed
    three times per `lease`. `again` is True to examine only media whose examination has failed before, False to
    examine only the others, and None to examine all.
    """

    store: Store
    decoder: Decoder
    folder: Path
    now: Callable[[], datetime]
    lease: timedelta = LEASE
    give_up_after: timedelta = timedelta(days=7)
    """How long to look for the bytes of media that no observation names. For others, it is `NAMED_FOR`."""
    measured: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()
    again: bool | None = None
    turns: FairTurns = field(default_factory=FairTurns)

    async def do_one(self) -> bool:
        """Do the first task of the person whose turn it is. Return False if no task is due.

        A task that fails because part of the service is down is retried later and never lost.
        """
        queue, now = self.store.verification, self.now()
        for person in self.turns.order(await queue.find_waiting(now, again=self.again)):
            if media := await queue.claim(now, self.lease, person, again=self.again):
                with self.turns.take(person):
                    await self._do(media)
                return True
        return False

    async def _do(self, media: Media) -> None:
        failed = False
        async with keep_lease(partial(self.store.verification.renew_lease, media), self.now, self.lease):
            try:
                with self.measured("verify" if media.state is MediaState.UPLOADED else "look"):
                    await (self.verify(media) if media.state is MediaState.UPLOADED else self._look_for(media))
            except (Refusal, StoreError, DecoderUnavailableError, OSError) as error:  # OSError: usually a full disk
                log.warning("work failed", work="media", reason=type(error).__name__, attempt=media.attempts)
                failed = True
        if failed:
            pause = min(timedelta(seconds=media.attempts), RETRY_PAUSE)
            await self.store.verification.postpone(media, self.now() + pause)

    async def _look_for(self, media: Media) -> None:
        """Look for the bytes of a medium that nobody confirmed. If they have arrived, confirm the medium.

        The phone may have been killed after the upload, or may still be offline.
        """
        if await complete_upload(self.store.objects, media):
            await self.store.media.confirm(media.id, self.now())
            return
        waited = self.now() - media.expected_at
        if waited > NAMED_FOR or (
            waited > self.give_up_after
            and media.observation_id is not None
            and not await self.store.observations.has_medium(media.observation_id, media.id)
        ):
            # The phone is gone, or the medium's draft was refused or never arrived. If the draft is sent again or a
            # slot is issued, the search resumes.
            await self.store.verification.give_up(media)
            return
        await self.store.verification.postpone(media, self.now() + min(waited, MAX_WAIT))

    async def verify(self, media: Media) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            path = Path(folder) / "original"
            if media.is_copy and not await self._copy_duplicate(media, path):
                await self.store.verification.mark_copy_failed(media, self.now() + RETRY_PAUSE)
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
        known = await self.store.verification.find_examined(media, self.now() - REMEMBERED_FOR)
        if known and known.state is MediaState.READY and await self._take_over(media, known, path.parent):
            return
        failures = max(media.decoding_failures, known.decoding_failures if known else 0)
        if self.again is False and failures:
            await self.store.verification.record_failures(media, self.now(), failures)
            return
        picture = await self.decoder.examine(path)
        if picture.damage in MACHINE_DAMAGE and failures + 1 < MAX_FAILURES:
            pause = timedelta() if self.again is False else RETRY_PAUSE
            await self.store.verification.record_failures(media, self.now() + pause, failures + 1)
            return
        thumbnails = await self._store_thumbnails(media, picture)
        if media.observation_id:  # evidence of a unit's reply is compared with nothing
            await self.store.likenesses.store(media.id, picture.likeness)
        await self.store.media.mark_ready(media.id, self.now(), facts_of(picture), thumbnails, key=media.key)

    async def _take_over(self, media: Media, known: Media, folder: Path) -> bool:
        """Use the result of examining another medium with the same bytes. Return False if a thumbnail is gone.

        The thumbnails are copied, because the other medium may be deleted.
        """
        thumbnails = []
        for thumbnail in known.thumbnails:
            copy = folder / "thumbnail"
            found = await self.store.objects.download(thumbnail.key, copy)
            if found is None or found.sha256 != thumbnail.sha256:
                return False
            rendered = RenderedThumbnail(thumbnail.width, thumbnail.height, "image/jpeg", copy.read_bytes())
            thumbnails.append(await self._store_thumbnail(media, thumbnail.rendition, rendered))
        if media.observation_id:
            likenesses = await self.store.likenesses.of([known.id])
            await self.store.likenesses.store(media.id, likenesses.get(known.id, ()))
        await self.store.media.mark_ready(media.id, self.now(), known.facts, thumbnails, key=media.key)
        return True

    async def _store_thumbnails(self, media: Media, picture: ReadResult) -> Sequence[Thumbnail]:
        return [
            await self._store_thumbnail(media, rendition, rendered)
            for rendition, rendered in zip(RENDITIONS, picture.thumbnails, strict=False)
        ]

    async def _store_thumbnail(self, media: Media, rendition: Rendition, rendered: RenderedThumbnail) -> Thumbnail:
        digest = hashlib.sha256(rendered.data).hexdigest()
        # The key has the digest, so that a late worker or a worker of another version overwrites no thumbnail.
        key = f"thumbnails/{media.id}-{str(rendition.value).lower()}-{digest}.jpg"
        await self.store.objects.put(key, rendered.data, rendered.content_type)
        return Thumbnail(rendition, rendered.width, rendered.height, key, digest)
