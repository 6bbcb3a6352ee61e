"""Packing: an evidence pack piece by piece, from the store's bytes to the signature, checked against the record on the way.

What the record says is left to `pack_content.py`, how it reads to `pack_report.py`; who gets it, to `packs.py`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field

import anyio.to_thread
import orjson
from graphql import GraphQLSchema

from api.evidence_keys import EvidenceKey, EvidenceKeys
from api.pack_archive import Archive
from api.pack_content import PackContent
from api.pack_html import page
from api.pack_printing import printed
from api.pack_report import Reporter
from api.pack_words import Words
from schema.media import Media, MediaState, Rendition
from schema.observations import Observation
from schema.packs import (
    MANIFEST,
    PAGE,
    PUBLIC_KEY,
    REPORT,
    SIGNATURE,
    Finding,
    PackAbout,
    PackedMedium,
    PackedRevision,
    manifest,
    original_path,
    submission_path,
    thumbnail_path,
)
from schema.submissions import submission_of
from schema.viewers import Owner, Viewer
from storage.objects import ObjectStore

WITHHELD = "covers who is behind the observation; not for this pack"
OTHER = "can't be recomposed from what is stored"


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
    media: list[PackedMedium] = field(default_factory=list)
    revisions: list[PackedRevision] = field(default_factory=list)
    thumbnails: dict[str, tuple[str, int, int]] = field(default_factory=dict)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The evidence first, then what is said of it, the manifest and its signature last: they tell what was found."""
        archive = Archive(self.about.made_at)
        placed = list(self._placed())
        for number, place, media in placed:
            async for piece in self._original(archive, number, place, media):
                yield piece
        for number, place, media in placed:
            async for piece in self._thumbnail(archive, number, place, media):
                yield piece
        for piece in self._submissions(archive):
            yield piece
        body = orjson.dumps({self.about.kind: self.content.data}, option=orjson.OPT_INDENT_2)
        yield archive.add(self.about.data_path, body)
        words = Words(self.core)
        reporter = Reporter(words, self.about, self.content.data, self.media, self.revisions, self.thumbnails)
        report = await anyio.to_thread.run_sync(reporter.report)
        yield archive.add(PAGE, await anyio.to_thread.run_sync(page, report))
        yield archive.add(REPORT, await printed(report, await self._small()))
        yield archive.add(PUBLIC_KEY, self.key.public_pem)
        listed = manifest(self.about, archive.files, self.media, self.revisions)
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
        path, finding = None, Finding.NOT_READY
        if media.state is MediaState.READY:
            async with self.objects.reading(media.key) as reading:
                finding = Finding.MISSING
                if reading is not None:
                    told = media.facts.content_type if media.facts else None
                    path = original_path(number, place, media.id, told or media.content_type)
                    async for piece in archive.stream(path, reading.byte_size, reading.chunks):
                        yield piece
                    packed = archive.files[-1]
                    same = (packed.sha256, packed.byte_size) == (media.sha256, media.byte_size)
                    finding = Finding.SAME if same else Finding.ALTERED
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

    async def _thumbnail(self, archive: Archive, number: int, place: int, media: Media) -> AsyncIterator[bytes]:
        large = next((each for each in media.thumbnails if each.rendition is Rendition.LARGE), None)
        if large is None or media.state is not MediaState.READY:
            return
        async with self.objects.reading(large.key) as reading:
            if reading is not None:
                path = thumbnail_path(number, place, media.id)
                async for piece in archive.stream(path, reading.byte_size, reading.chunks):
                    yield piece
                self.thumbnails[media.id] = path, large.width, large.height

    async def _small(self) -> dict[str, bytes]:
        """The small renditions, for the PDF: some 20 KB each."""
        found = {}
        for _, _, media in self._placed():
            small = next((each for each in media.thumbnails if each.rendition is Rendition.SMALL), None)
            if small is not None and media.id in self.thumbnails:
                async with self.objects.reading(small.key) as reading:
                    if reading is not None:
                        found[str(media.id)] = b"".join([chunk async for chunk in reading.chunks])
        return found

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
