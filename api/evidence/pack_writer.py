"""Write an evidence pack piece by piece, from the original media to the signature.

The stored bytes of each medium are compared with the digest in its record.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import orjson
from graphql import GraphQLSchema

from api.evidence.evidence_keys import EvidenceKey, EvidenceKeys
from api.evidence.pack_content import PackContent
from api.evidence.report.blocks import to_json
from api.evidence.report.builder import Reporter
from api.evidence.report.html import render_page
from api.evidence.report.wording import Words
from api.evidence.zip_stream import Archive, ChangedFileError, Checksum
from schema.access.viewers import Owner, Viewer
from schema.core.refusals import Refusal, RefusalCode
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
from storage.printing.printer import print_pdf
from storage.s3.client import ObjectStore

WITHHELD = "covers who is behind the observation; not for this pack"
OTHER = "can't be recomposed from what is stored"
HELD_BYTES = 8 * 1024 * 1024
"""Largest original that is held in memory while its checksum is computed. Photos of phones are smaller."""
MAX_THUMBNAIL_BYTES = 8 * 1024 * 1024
"""A thumbnail that our worker made is never larger."""


@dataclass
class Packing:
    """One evidence pack that is being written.

    `pieces` yields its bytes, and may be called only once. It raises `Refusal(UNAVAILABLE)` if the object store fails.
    """

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
        """Yield the bytes of the ZIP: media and submissions, then the record and the report, then the signed manifest.

        In this order, the report and the manifest can say whether each original is unchanged.
        """
        archive = Archive(self.about.made_at)
        numbered = list(self._numbered_media())
        for observation_number, medium_number, media in numbered:
            async for piece in self._write_original(archive, observation_number, medium_number, media):
                yield piece
        for observation_number, medium_number, media in numbered:
            yield await self._write_thumbnail(archive, observation_number, medium_number, media)
        for piece in self._write_submissions(archive):
            yield piece
        body = orjson.dumps({self.about.kind: self.content.data}, option=orjson.OPT_INDENT_2)
        yield archive.add(self.about.data_path, body)
        words = Words(self.core)
        reporter = Reporter(words, self.about, self.content.data, self.media, self.revisions, self.thumbnails)
        report = await anyio.to_thread.run_sync(reporter.report)
        yield archive.add(PAGE, await anyio.to_thread.run_sync(render_page, report))
        pictures = await self._read_small_thumbnails()
        async with self.printing:
            pdf = await print_pdf("pack_report", to_json(report, pictures), report.made_at)
        yield archive.add(REPORT, pdf)
        yield archive.add(PUBLIC_KEY, self.key.public_pem)
        listed = manifest(self.about, archive.files, self.media, self.thumbnails, self.revisions)
        yield archive.add(MANIFEST, listed)
        yield archive.add(SIGNATURE, self.keys.sign(listed, self.key))
        yield archive.end()

    def _numbered_media(self) -> Iterator[tuple[int, int, Media]]:
        """Yield (observation number, medium number, medium) for every medium of every revision, each medium once."""
        for observation_number, observation in enumerate(self.content.observations, 1):
            for medium_number, id in enumerate(media_ids(observation), 1):
                if id in self.content.media:
                    yield observation_number, medium_number, self.content.media[id]

    async def _write_original(
        self, archive: Archive, observation_number: int, medium_number: int, media: Media
    ) -> AsyncIterator[bytes]:
        path, finding = None, IntegrityFinding.NOT_READY
        if media.state is MediaState.READY:
            finding = IntegrityFinding.MISSING
            content_type = media.facts.content_type if media.facts else None
            name = original_path(observation_number, medium_number, media.id, content_type or media.content_type)
            count = len(archive.files)
            async for piece in self._write_object(archive, name, media.key):
                yield piece
            if len(archive.files) > count:
                path, file = name, archive.files[-1]
                is_same = (file.sha256, file.byte_size) == (media.sha256, media.byte_size)
                finding = IntegrityFinding.SAME if is_same else IntegrityFinding.ALTERED
        self.media.append(
            PackedMedium(
                id=media.id,
                observation_id=str(self.content.observations[observation_number - 1].id),
                state=str(media.state.value),
                sha256=media.sha256,
                byte_size=media.byte_size,
                finding=finding,
                path=path,
            )
        )

    async def _write_object(self, archive: Archive, name: str, key: str) -> AsyncIterator[bytes]:
        """Write the bytes that the store has now, or nothing if it has none.

        Its size and checksum must be known first. So a small object is held in memory, and a large one is read twice.
        Raise `Refusal(UNAVAILABLE)` if a large one changes in between.
        """
        held, sums = list[bytes](), Checksum()
        async with self.objects.open(key) as reading:
            if reading is None:
                return
            async for chunk in reading.chunks:
                await anyio.to_thread.run_sync(sums.add, chunk)
                if reading.byte_size <= HELD_BYTES:
                    held.append(chunk)
        async with self._again(key, held) as chunks:
            try:
                async for piece in archive.stream(name, sums.byte_size, sums.crc32, chunks):
                    yield piece
            except ChangedFileError as error:
                raise Refusal(RefusalCode.UNAVAILABLE) from error

    @asynccontextmanager
    async def _again(self, key: str, held: Sequence[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the chunks that are held in memory, or read the object once more if none are."""
        if held:
            yield _iterate(held)
            return
        async with self.objects.open(key) as reading:
            if reading is None:
                raise Refusal(RefusalCode.UNAVAILABLE)
            yield reading.chunks

    async def _write_thumbnail(
        self, archive: Archive, observation_number: int, medium_number: int, media: Media
    ) -> bytes:
        """Write the large thumbnail of a medium, which the HTML page shows.

        If the thumbnail is lost or altered, leave it out. The manifest says so.
        """
        large = _rendition(media, Rendition.LARGE)
        if large is None:
            return b""
        body, finding = await self._read_thumbnail(large)
        path = thumbnail_path(observation_number, medium_number, media.id) if body is not None else None
        self.thumbnails.append(PackedThumbnail(media.id, large.sha256, finding, path))
        return archive.add(path, body) if path and body is not None else b""

    async def _read_small_thumbnails(self) -> dict[str, bytes]:
        """Return the small thumbnails for the PDF, by media id. Each has about 20 KB."""
        packed_ids = {thumbnail.media_id for thumbnail in self.thumbnails if thumbnail.path}
        bodies = {}
        for _, _, media in self._numbered_media():
            small = _rendition(media, Rendition.SMALL)
            if small is not None and media.id in packed_ids:
                body, _ = await self._read_thumbnail(small)
                if body is not None:
                    bodies[str(media.id)] = body
        return bodies

    async def _read_thumbnail(self, thumbnail: Thumbnail) -> tuple[bytes | None, IntegrityFinding]:
        """Return a thumbnail's bytes, or None if they are missing or altered. Also return the finding."""
        async with self.objects.open(thumbnail.key) as reading:
            if reading is None:
                return None, IntegrityFinding.MISSING
            if reading.byte_size > MAX_THUMBNAIL_BYTES:
                return None, IntegrityFinding.ALTERED
            body = b"".join([chunk async for chunk in reading.chunks])
        if thumbnail.sha256 is None:
            return body, IntegrityFinding.UNRECORDED
        is_same = hashlib.sha256(body).hexdigest() == thumbnail.sha256
        return (body, IntegrityFinding.SAME) if is_same else (None, IntegrityFinding.ALTERED)

    def _write_submissions(self, archive: Archive) -> Iterator[bytes]:
        """Write the submission of each revision, as the device sent it.

        A submission tells who its author is. So it is left out unless the pack has identities and the viewer may know
        the author. It is also left out if it can't be recomposed from what is stored.
        """
        for observation in self.content.observations:
            owner = Owner(observation.author_id, observation.office_path)
            is_known = self.about.identities and self.viewer.knows(owner)
            for revision in observation.revisions:
                path: str | None = None
                note: str | None = WITHHELD
                if is_known:
                    note = OTHER
                    body = submission_of(observation, revision, self.content.media)
                    if body is not None:
                        path, note = submission_path(observation.id, revision.number), None
                        yield archive.add(path, body)
                digest = revision.content_sha256 if is_known else None
                self.revisions.append(PackedRevision(observation.id, revision.number, path, digest, note))


async def _iterate(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def media_ids(observation: Observation) -> list[str]:
    """Return the ids of the media in the current content, then the ids of media that only earlier revisions have."""
    contents = [observation.content, *(revision.content for revision in observation.revisions)]
    return list(dict.fromkeys(id for content in contents for id in content.media_ids))


def _rendition(media: Media, rendition: Rendition) -> Thumbnail | None:
    thumbnails = media.thumbnails if media.state is MediaState.READY else ()
    return next((thumbnail for thumbnail in thumbnails if thumbnail.rendition is rendition), None)
