"""Packing: an evidence pack piece by piece, from the store's bytes to the signature, checked against the record on the way.

What the record says is left to `pack_content.py`, how it reads to `pack_report.py`; who gets it, to `packs.py`.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import orjson
from graphql import GraphQLSchema

from api.evidence.evidence_keys import EvidenceKey, EvidenceKeys
from api.evidence.pack_content import PackContent
from api.evidence.report.builder import Reporter
from api.evidence.report.html import page
from api.evidence.report.pdf_process import printed
from api.evidence.report.wording import Words
from api.evidence.zip_stream import Archive
from schema.access.viewers import Owner, Viewer
from schema.evidence.packs import (
    MANIFEST,
    PAGE,
    PUBLIC_KEY,
    REPORT,
    SIGNATURE,
    IntegrityFinding,
    PackAbout,
    PackedMedium,
    PackedRevision,
    PackedThumbnail,
    manifest,
    original_path,
    submission_path,
    thumbnail_path,
)
from schema.fieldwork.observations import Observation
from schema.fieldwork.submissions import submission_of
from schema.media.media import Media, MediaState, Rendition, Thumbnail
from storage.s3.client import ObjectStore

WITHHELD = "covers who is behind the observation; not for this pack"
OTHER = "can't be recomposed from what is stored"
MAX_THUMBNAIL_BYTES = 8 * 1024 * 1024
"""Bytes; what is larger, no worker of ours has made."""


@dataclass
class Packing:
    """One pack; `pieces` gives its bytes once. A store that fails in the middle raises `Refusal(UNAVAILABLE)` there."""

    core: GraphQLSchema
    objects: ObjectStore
    keys: EvidenceKeys
    key: EvidenceKey
    viewer: Viewer
    about: PackAbout
    content: PackContent
    printing: anyio.Semaphore
    media: list[PackedMedium] = field(default_factory=list)
    revisions: list[PackedRevision] = field(default_factory=list)
    thumbnails: list[PackedThumbnail] = field(default_factory=list)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The evidence first, then what is said of it, the manifest and its signature last: they tell what was found."""
        archive = Archive(self.about.made_at)
        placed = list(self._placed())
        for number, place, media in placed:
            async for piece in self._original(archive, number, place, media):
                yield piece
        for number, place, media in placed:
            yield await self._thumbnail(archive, number, place, media)
        for piece in self._submissions(archive):
            yield piece
        body = orjson.dumps({self.about.kind: self.content.data}, option=orjson.OPT_INDENT_2)
        yield archive.add(self.about.data_path, body)
        words = Words(self.core)
        reporter = Reporter(words, self.about, self.content.data, self.media, self.revisions, self.thumbnails)
        report = await anyio.to_thread.run_sync(reporter.report)
        yield archive.add(PAGE, await anyio.to_thread.run_sync(page, report))
        small = await self._small()
        async with self.printing:
            printout = await printed(report, small)
        yield archive.add(REPORT, printout)
        yield archive.add(PUBLIC_KEY, self.key.public_pem)
        listed = manifest(self.about, archive.files, self.media, self.thumbnails, self.revisions)
        yield archive.add(MANIFEST, listed)
        yield archive.add(SIGNATURE, self.keys.sign(listed, self.key))
        yield archive.end()

    def _placed(self) -> Iterator[tuple[int, int, Media]]:
        """Every medium of every revision, once, with the number of its observation and its own."""
        for number, observation in enumerate(self.content.observations, 1):
            for place, id in enumerate(media_ids(observation), 1):
                if id in self.content.media:
                    yield number, place, self.content.media[id]

    async def _original(self, archive: Archive, number: int, place: int, media: Media) -> AsyncIterator[bytes]:
        path, finding = None, IntegrityFinding.NOT_READY
        if media.state is MediaState.READY:
            async with self.objects.open(media.key) as reading:
                finding = IntegrityFinding.MISSING
                if reading is not None:
                    told = media.facts.content_type if media.facts else None
                    path = original_path(number, place, media.id, told or media.content_type)
                    async for piece in archive.stream(path, reading.byte_size, reading.chunks):
                        yield piece
                    packed = archive.files[-1]
                    same = (packed.sha256, packed.byte_size) == (media.sha256, media.byte_size)
                    finding = IntegrityFinding.SAME if same else IntegrityFinding.ALTERED
        self.media.append(
            PackedMedium(
                id=media.id,
                observation_id=media.observation_id,
                state=str(media.state.value),
                sha256=media.sha256,
                byte_size=media.byte_size,
                finding=finding,
                path=path,
            )
        )

    async def _thumbnail(self, archive: Archive, number: int, place: int, media: Media) -> bytes:
        """The large one, for the page; one that the store has lost or altered is left out, and said to be."""
        large = _rendition(media, Rendition.LARGE)
        if large is None:
            return b""
        body, finding = await self._made(large)
        path = thumbnail_path(number, place, media.id) if body is not None else None
        self.thumbnails.append(PackedThumbnail(media.id, large.sha256, finding, path))
        return archive.add(path, body) if path and body is not None else b""

    async def _small(self) -> dict[str, bytes]:
        """The small renditions, for the PDF: some 20 KB each."""
        shown = {each.media_id for each in self.thumbnails if each.path}
        found = {}
        for _, _, media in self._placed():
            small = _rendition(media, Rendition.SMALL)
            if small is not None and media.id in shown:
                body, _ = await self._made(small)
                if body is not None:
                    found[str(media.id)] = body
        return found

    async def _made(self, thumbnail: Thumbnail) -> tuple[bytes | None, IntegrityFinding]:
        """The bytes where they are those that were made of the original, or where nobody noted which those are."""
        async with self.objects.open(thumbnail.key) as reading:
            if reading is None:
                return None, IntegrityFinding.MISSING
            if reading.byte_size > MAX_THUMBNAIL_BYTES:
                return None, IntegrityFinding.ALTERED
            body = b"".join([chunk async for chunk in reading.chunks])
        if thumbnail.sha256 is None:
            return body, IntegrityFinding.UNRECORDED
        same = hashlib.sha256(body).hexdigest() == thumbnail.sha256
        return (body, IntegrityFinding.SAME) if same else (None, IntegrityFinding.ALTERED)

    def _submissions(self, archive: Archive) -> Iterator[bytes]:
        """What devices sent, for a pack that may hold all that its digest covers."""
        for observation in self.content.observations:
            known = self.about.identities and self.viewer.knows(Owner(observation.author_id, observation.office_path))
            for revision in observation.revisions:
                path: str | None = None
                note: str | None = WITHHELD
                if known:
                    note = OTHER
                    body = submission_of(observation, revision, self.content.media)
                    if body is not None:
                        path, note = submission_path(observation.id, revision.number), None
                        yield archive.add(path, body)
                digest = revision.content_sha256 if known else None
                self.revisions.append(PackedRevision(observation.id, revision.number, path, digest, note))


def media_ids(observation: Observation) -> list[str]:
    """Those of what the observation says now, then those that only earlier revisions had."""
    contents = [observation.content, *(each.content for each in observation.revisions)]
    return list(dict.fromkeys(id for content in contents for id in content.media_ids))


def _rendition(media: Media, wanted: Rendition) -> Thumbnail | None:
    """The thumbnail of a verified medium; None where it has none."""
    made = media.thumbnails if media.state is MediaState.READY else ()
    return next((each for each in made if each.rendition is wanted), None)
