"""Do the worker's two steps of a redaction: first find faces in the original, later make the covered copy.

The second step starts only after a person has checked the faces and sent the boxes to cover.
"""

import hashlib
import secrets
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import structlog

from api.jobs.leases import LEASE, keep_lease
from api.media.verification import MACHINE_DAMAGE, MAX_FAILURES, RETRY_PAUSE
from schema.core.ids import compose
from schema.core.refusals import Refusal
from schema.core.times import ByteCount
from schema.media.media import Media
from schema.publication.redactions import (
    BoxOrigin,
    FaceDetection,
    Redaction,
    RedactionBox,
    RedactionEvent,
    RedactionEventKind,
    RedactionRendering,
    RedactionState,
)
from storage.formats.results import Damage, Face, Faces
from storage.formats.sandbox import DecoderUnavailableError
from storage.mongodb.errors import StoreError
from storage.publication.redaction_sandbox import Coverer, FaceFinder, face_model
from storage.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RedactionWorker:
    """Does one step at a time.

    `folder` is where the downloaded original is stored during the work. `now` is the clock. `model` is the file of the
    face detection model, or None if the model is not installed.
    """

    store: Store
    folder: Path
    now: Callable[[], datetime]
    lease: timedelta = LEASE
    measured: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()
    model: Path | None = field(default_factory=face_model)

    async def do_one(self) -> bool:
        """Do the step that is due first. Return False if no step is due.

        A step that fails because part of the service is down is retried later and never lost.
        """
        redaction = await self.store.redactions.claim(self.now(), self.lease)
        if redaction is None:
            return False
        failed = False
        async with keep_lease(partial(self.store.redactions.renew_lease, redaction), self.now, self.lease):
            try:
                with self.measured("redact"):
                    await self._take_step(redaction)
            except (Refusal, StoreError, DecoderUnavailableError, OSError) as error:
                log.warning("work failed", work="redaction", reason=type(error).__name__, attempt=redaction.attempts)
                failed = True
        if failed:
            pause = min(timedelta(seconds=redaction.attempts), RETRY_PAUSE)
            await self.store.redactions.renew_lease(redaction, self.now() + pause)
        return True

    async def _take_step(self, redaction: Redaction) -> None:
        [media] = await self.store.media.many([redaction.media_id])
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            original = Path(folder) / "original"
            if failure := await self._download(redaction, media, original):
                await self._fail(redaction, failure)
            elif redaction.state is RedactionState.REQUESTED:
                await self._propose(redaction, original)
            else:
                await self._render(redaction, original, Path(folder) / "covered.jpg")

    async def _download(self, redaction: Redaction, media: Media, path: Path) -> str | None:
        """Log the access, then download the original.

        Return None on success, or a failure code if the original is missing or differs from the verified bytes.
        """
        people = [event.by_id for event in redaction.history if event.by_id]
        access = {
            "_id": compose("evt", self.now(), secrets.token_bytes(10)),
            "media_id": media.id,
            "rendition": "ORIGINAL",
            "redaction_id": redaction.id,
            "purpose": redaction.purpose,
            "user_id": people[-1],  # the person who requested the redaction or sent the boxes
            "device_id": None,
            "at": self.now(),
        }
        await self.store.media.log_accesses([access])
        downloaded = await self.store.objects.download(media.key, path)
        if downloaded is None:
            return "original_missing"
        return None if downloaded.sha256 == media.sha256 else "original_changed"

    async def _propose(self, redaction: Redaction, original: Path) -> None:
        if self.model is None:
            await self._store_proposal(redaction, FaceDetection.UNAVAILABLE, ())
            return
        try:
            async with FaceFinder(self.model) as finder:
                detected = await finder.find(original)
        except (
            DecoderUnavailableError
        ):  # face detection is installed but does not run here; people can still draw boxes
            detected = Faces(damage=Damage.CRASHED)
        if await self._retry_later(redaction, detected.damage):
            return
        if detected.damage in MACHINE_DAMAGE:
            await self._store_proposal(redaction, FaceDetection.FAILED, ())
        elif detected.damage is not None:
            await self._fail(redaction, detected.damage.value)
        else:
            await self._store_proposal(redaction, FaceDetection.DONE, [_box(face) for face in detected.faces])

    async def _render(self, redaction: Redaction, original: Path, copy: Path) -> None:
        async with Coverer() as coverer:
            covered = await coverer.cover(original, [box.edges for box in redaction.boxes], copy)
        if await self._retry_later(redaction, covered.damage):
            return
        if covered.damage is not None:
            await self._fail(redaction, covered.damage.value)
            return
        body = await anyio.Path(copy).read_bytes()
        sha256 = hashlib.sha256(body).hexdigest()
        # The key has the digest, so no object is ever overwritten: an approved copy never changes.
        key = f"redactions/{redaction.id}-{redaction.revision}-{sha256}.jpg"
        await self.store.objects.put(key, body, "image/jpeg")
        rendering = RedactionRendering(
            revision=redaction.revision,
            sha256=sha256,
            byte_size=ByteCount(len(body)),
            width=covered.width,
            height=covered.height,
            rendered_at=self.now(),
            key=key,
        )
        event = self._event(redaction, RedactionEventKind.RENDERED, sha256=sha256)
        await self.store.redactions.store_rendering(redaction, rendering, event)

    async def _retry_later(self, redaction: Redaction, damage: Damage | None) -> bool:
        """Postpone the step if an overloaded machine may have caused the damage. Return whether it was postponed."""
        if damage not in MACHINE_DAMAGE or redaction.attempts >= MAX_FAILURES:
            return False
        await self.store.redactions.renew_lease(redaction, self.now() + RETRY_PAUSE)
        return True

    async def _store_proposal(
        self, redaction: Redaction, detection: FaceDetection, faces: Sequence[RedactionBox]
    ) -> None:
        event = self._event(redaction, RedactionEventKind.PROPOSED, box_count=len(faces))
        await self.store.redactions.propose(redaction, detection, faces, event)

    async def _fail(self, redaction: Redaction, reason: str) -> None:
        log.warning("redaction failed", work="redaction", reason=reason, media=redaction.media_id)
        await self.store.redactions.fail(redaction, self._event(redaction, RedactionEventKind.FAILED, note=reason))

    def _event(
        self,
        redaction: Redaction,
        kind: RedactionEventKind,
        *,
        box_count: int | None = None,
        sha256: str | None = None,
        note: str | None = None,
    ) -> RedactionEvent:
        return RedactionEvent(
            id=compose("evt", self.now(), secrets.token_bytes(10)),
            kind=kind,
            at=self.now(),
            revision=redaction.revision,
            box_count=box_count,
            sha256=sha256,
            note=note,
        )


def _box(face: Face) -> RedactionBox:
    return RedactionBox(
        left=face.left,
        top=face.top,
        right=face.right,
        bottom=face.bottom,
        origin=BoxOrigin.FACE,
        confidence=face.confidence,
    )
