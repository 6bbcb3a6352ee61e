"""Redaction work: the worker's two steps, finding faces in the original and making the covered copy of it.

A person's correction always stands between the two; the steps people take are in `redactions.py`.
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
from api.media.verification import FAILURES, OF_THE_MACHINE, PAUSE
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
    """`folder` holds the one original in work; `now` is the clock; `model` finds faces, or is None where none is installed."""

    store: Store
    folder: Path
    now: Callable[[], datetime]
    lease: timedelta = LEASE
    measured: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()
    model: Path | None = field(default_factory=face_model)

    async def do_one(self) -> bool:
        """Do the piece of work that is due first; False when nothing is due.

        What fails because a part of the service is down is tried again later, and is never lost.
        """
        redaction = await self.store.redactions.claim(self.now(), self.lease)
        if redaction is None:
            return False
        failed = False
        async with keep_lease(partial(self.store.redactions.hold, redaction), self.now, self.lease):
            try:
                with self.measured("redact"):
                    await self._do(redaction)
            except (Refusal, StoreError, DecoderUnavailableError, OSError) as error:
                log.warning("work failed", work="redaction", reason=type(error).__name__, attempt=redaction.attempts)
                failed = True
        if failed:
            await self.store.redactions.hold(redaction, self.now() + min(timedelta(seconds=redaction.attempts), PAUSE))
        return True

    async def _do(self, redaction: Redaction) -> None:
        [media] = await self.store.media.many([redaction.media_id])
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            original = Path(folder) / "original"
            if why_not := await self._fetch(redaction, media, original):
                await self._fail(redaction, why_not)
            elif redaction.state is RedactionState.REQUESTED:
                await self._propose(redaction, original)
            else:
                await self._render(redaction, original, Path(folder) / "covered.jpg")

    async def _fetch(self, redaction: Redaction, media: Media, path: Path) -> str | None:
        """The original's bytes, after an entry in the access log; why not, where they aren't those that were verified."""
        people = [event.by_id for event in redaction.history if event.by_id]
        access = {
            "_id": compose("evt", self.now(), secrets.token_bytes(10)),
            "media_id": media.id,
            "rendition": "ORIGINAL",
            "redaction_id": redaction.id,
            "purpose": redaction.purpose,
            "user_id": people[-1],  # who asked for it, or sent these boxes
            "device_id": None,
            "at": self.now(),
        }
        await self.store.media.log_accesses([access])
        found = await self.store.objects.download(media.key, path)
        if found is None:
            return "original_missing"
        return None if found.sha256 == media.sha256 else "original_changed"

    async def _propose(self, redaction: Redaction, original: Path) -> None:
        if self.model is None:
            await self._proposed(redaction, FaceDetection.UNAVAILABLE, ())
            return
        try:
            async with FaceFinder(self.model) as finder:
                found = await finder.find(original)
        except DecoderUnavailableError:  # the extra may be installed and not work on this machine: the hand still does
            found = Faces(damage=Damage.CRASHED)
        if await self._again(redaction, found.damage):
            return
        if found.damage in OF_THE_MACHINE:
            await self._proposed(redaction, FaceDetection.FAILED, ())
        elif found.damage is not None:
            await self._fail(redaction, found.damage.value)
        else:
            await self._proposed(redaction, FaceDetection.DONE, [_box(face) for face in found.faces])

    async def _render(self, redaction: Redaction, original: Path, copy: Path) -> None:
        async with Coverer() as coverer:
            covered = await coverer.cover(original, [box.edges for box in redaction.boxes], copy)
        if await self._again(redaction, covered.damage):
            return
        if covered.damage is not None:
            await self._fail(redaction, covered.damage.value)
            return
        body = await anyio.Path(copy).read_bytes()
        sha256 = hashlib.sha256(body).hexdigest()
        # With the digest in its key no object is ever overwritten: what was approved stays what it was.
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
        await self.store.redactions.rendered(redaction, rendering, event)

    async def _again(self, redaction: Redaction, damage: Damage | None) -> bool:
        """Whether it is put off, since a loaded machine may have made the damage."""
        if damage not in OF_THE_MACHINE or redaction.attempts >= FAILURES:
            return False
        await self.store.redactions.hold(redaction, self.now() + PAUSE)
        return True

    async def _proposed(self, redaction: Redaction, how: FaceDetection, faces: Sequence[RedactionBox]) -> None:
        event = self._event(redaction, RedactionEventKind.PROPOSED, box_count=len(faces))
        await self.store.redactions.propose(redaction, how, faces, event)

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
