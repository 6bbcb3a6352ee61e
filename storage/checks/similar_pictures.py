"""Find similar pictures through indexes, never by a scan.

Whole pictures are found by a coarse perceptual hash of 64 bits, which is divided into three bands of bits. If two
hashes differ in at most 8 bits, they differ in at most 2 bits in at least one band. So the index of each band is
searched for all values that differ from the hash's band in at most 2 bits. This finds every picture within `RADIUS`.

Pictures that share only a part are found by common keypoints ("marks"). A picture is stored with all its keypoints, and
one command searches for some of them. Each candidate is then aligned with the picture and compared by the detail hash.

The work for one picture is bounded, however often somebody sends it again in other bytes: every list of candidates has
a maximum length, and the search ends when it has found `MAX_ALIKE` sure copies. Arithmetic runs in a thread.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import anyio
import anyio.to_thread

from schema.checks.similarity import DETAIL_BITS, Likeness, detail_bits_apart
from storage.mongodb.client import ASCENDING, Document, Mongo, Sort
from storage.processes.task_groups import collapse_exception_groups
from storage.similarity.candidates import MAX_ALIGNED, RADIUS, bits_aligned, rank_sharing, rank_wholes
from storage.similarity.keypoints import WHOLE, Keypoint, Overlap, lookup_keys, unpack
from storage.similarity.perceptual_hash import CUTS

BANDS = {"low": (0, 22), "middle": (22, 21), "high": (43, 21)}
"""First bit and width in bits of each band.

Bands have about 21 bits, because a large office has about 2^21 pictures.
"""
_WITHIN_BAND = RADIUS // len(BANDS)
MAX_ALIKE = 20
"""Maximum number of similar pictures to find. People need a few, and nobody reads more."""
_MAX_KEYS = 1_000
"""Maximum number of index entries to read per band and hash.

If more pictures than this have similar hashes, it is useless to find them. They may show a form that is often
photographed.
"""
_SURE = 12
"""Number of differing bits, of the 256 bits of two detail hashes, up to which two pictures need not be aligned."""
_MAX_SHARING = 500
"""Maximum number of candidates that one search by keypoints may find.

If there are more, each keypoint is searched separately, and keypoints that `_MAX_PER_KEYPOINT` pictures have are
skipped. If all are skipped, the first candidates have to do: somebody has sent the picture very often.
"""
_MAX_PER_KEYPOINT = 100
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    (((band, ASCENDING), ("coarse", ASCENDING), ("_id", ASCENDING)), {}) for band in BANDS
]
MARK_INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("keys", ASCENDING),), {})]


@dataclass(frozen=True)
class Alike:
    """A similar medium, and the number of differing bits of the two detail hashes (of 256 bits)."""

    media_id: str
    bits: int


class Likenesses:
    def __init__(self, mongo: Mongo) -> None:
        self._likenesses = mongo.collection("likenesses")
        self._marks = mongo.collection("likeness_marks")

    async def store(self, media_id: str, likenesses: Sequence[Likeness]) -> None:
        """Store the likenesses of a picture's cuts and its keypoints. What is stored already is not changed."""
        await self._marks.insert_many(
            [keypoint_document(media_id, likeness.marks) for likeness in likenesses if likeness.marks]
        )
        await self._likenesses.insert_many([likeness_document(media_id, likeness) for likeness in likenesses])

    async def delete(self, media_id: str) -> None:
        """Delete the likenesses of a deleted picture."""
        await self._likenesses.delete_many({"_id": {"$in": [f"{media_id}:{cut}" for cut in range(CUTS)]}})

    async def of(self, media_ids: Sequence[str]) -> dict[str, list[Likeness]]:
        """Return the likenesses of the media's cuts, keyed by media id. Media without likenesses are absent."""
        ids = [f"{media_id}:{cut}" for media_id in media_ids for cut in range(CUTS)]
        marks = {
            document["_id"]: document["marks"] for document in await self._marks.find({"_id": {"$in": list(media_ids)}})
        }
        likenesses: dict[str, list[Likeness]] = {}
        for document in await self._likenesses.find({"_id": {"$in": ids}}):
            media_id, _, cut = document["_id"].partition(":")
            whole = (document.get("grey", b""), marks.get(media_id, b"")) if cut == "0" else (b"", b"")
            likenesses.setdefault(media_id, []).append(
                Likeness(int(cut), document["coarse"], document["detail"], *whole)
            )
        return likenesses

    async def near(
        self, media_id: str, wanted: Sequence[Likeness], most_bits: int, besides: Collection[str] = ()
    ) -> list[Alike]:
        """Return other media whose detail hash differs from one of `wanted` in at most `most_bits` bits.

        Pictures are compared as a whole, and also by the part that they have in common. At most `MAX_ALIKE` are
        returned, nearest first and then oldest first. The medium itself and the media `besides` it are left out.
        """
        excluded = {media_id, *besides}
        bits_of = await self._near_wholes(excluded, wanted)
        if sum(bits <= min(_SURE, most_bits) for bits in bits_of.values()) < MAX_ALIKE:
            await self._compare_parts(excluded, wanted, bits_of)
        near = [Alike(other, bits) for other, bits in bits_of.items() if bits <= most_bits]
        return sorted(near, key=lambda alike: (alike.bits, alike.media_id))[:MAX_ALIKE]

    async def _compare_parts(
        self, excluded: Collection[str], wanted: Sequence[Likeness], bits_of: dict[str, int]
    ) -> None:
        """Align the picture with uncertain candidates. Write the numbers of differing bits to `bits_of`."""
        overlaps = dict(await self._find_sharing(excluded, wanted))
        unsure = sorted((bits, other) for other, bits in bits_of.items() if bits > _SURE and other not in overlaps)
        for _, other in unsure[:MAX_ALIGNED]:
            overlaps[other] = Overlap(WHOLE, WHOLE, 0)
        own = next((likeness.grey for likeness in wanted if likeness.cut == 0), b"")
        tried = [other for other in overlaps if own and bits_of.get(other, DETAIL_BITS) > _SURE]
        greys = await self._fields([f"{other}:0" for other in tried], "grey")
        for other in tried:
            if grey := greys.get(f"{other}:0"):
                laid = await anyio.to_thread.run_sync(bits_aligned, own, grey, overlaps[other])
                bits_of[other] = min(bits_of.get(other, DETAIL_BITS), laid)

    async def _near_wholes(self, excluded: Collection[str], wanted: Sequence[Likeness]) -> dict[str, int]:
        """Find other media whose coarse hash is within `RADIUS`, at most `MAX_WHOLES`.

        Return the number of differing bits of the detail hashes, keyed by media id.
        """
        pairs = await self._candidates(excluded, wanted)
        details = await self._fields([id for id, _ in pairs], "detail")
        bits_of: dict[str, int] = {}
        for id, likeness in pairs:
            other = id.partition(":")[0]
            if id in details:
                bits_of[other] = min(detail_bits_apart(details[id], likeness.detail), bits_of.get(other, DETAIL_BITS))
        return bits_of

    async def _find_sharing(self, excluded: Collection[str], wanted: Sequence[Likeness]) -> list[tuple[str, Overlap]]:
        """Return other media that have keypoints in common with the picture, with the common area.

        Media with the most matching keypoints come first.
        """
        body = next((likeness.marks for likeness in wanted if likeness.marks), b"")
        if not body:
            return []
        mine = unpack(body)
        keys = lookup_keys(mine)
        marks = [(document["_id"], document["marks"]) for document in await self._with_keys(keys)]
        others = [pair for pair in marks if pair[0] not in excluded]
        return await anyio.to_thread.run_sync(rank_sharing, mine, keys, others)

    async def _with_keys(self, keys: Mapping[int, Sequence[Keypoint]]) -> list[Document]:
        if not keys:
            return []
        shown = {"marks": 1}
        documents = await self._marks.find({"keys": {"$in": sorted(keys)}}, projection=shown, limit=_MAX_SHARING)
        if len(documents) < _MAX_SHARING:
            return documents
        by_mark: dict[Keypoint, list[int]] = {}
        for key, marks in keys.items():
            for mark in marks:
                by_mark.setdefault(mark, []).append(key)
        telling: dict[str, Document] = {}
        for mark_keys in by_mark.values():
            of_one = await self._marks.find({"keys": {"$in": mark_keys}}, projection=shown, limit=_MAX_PER_KEYPOINT)
            if len(of_one) < _MAX_PER_KEYPOINT:
                telling |= {document["_id"]: document for document in of_one}
        return list(telling.values()) or documents

    async def _candidates(self, excluded: Collection[str], wanted: Sequence[Likeness]) -> list[tuple[str, Likeness]]:
        """Return pairs (id of a stored likeness, wanted likeness) whose coarse hashes are within `RADIUS`.

        Stored likenesses of the media `excluded` are skipped.
        """
        coarse_of: dict[str, int] = {}

        async def ask(band: str) -> None:
            values = sorted({near for likeness in wanted for near in neighbours(likeness.coarse, band)})
            # The index alone answers this query.
            shown = {"coarse": 1, "_id": 1, band: 1}
            for key in await self._likenesses.find(
                {band: {"$in": values}}, projection=shown, limit=_MAX_KEYS * len(wanted)
            ):
                coarse_of[key["_id"]] = key["coarse"]

        with collapse_exception_groups():
            async with anyio.create_task_group() as tasks:
                for band in BANDS if wanted else ():
                    tasks.start_soon(ask, band)
        others = {id: coarse for id, coarse in coarse_of.items() if id.partition(":")[0] not in excluded}
        return await anyio.to_thread.run_sync(rank_wholes, wanted, others)

    async def _fields(self, ids: Sequence[str], name: str) -> dict[str, Any]:
        wanted = {"_id": {"$in": sorted(set(ids))}}
        documents = await self._likenesses.find(wanted, projection={name: 1}) if ids else []
        return {document["_id"]: document[name] for document in documents if name in document}


def likeness_document(media_id: str, likeness: Likeness) -> Document:
    """Return the document that stores the likeness of one cut, with the three bands of its coarse hash."""
    bands = {band: band_of(likeness.coarse, band) for band in BANDS}
    grey = {"grey": likeness.grey} if likeness.grey else {}
    return {"_id": f"{media_id}:{likeness.cut}", "coarse": likeness.coarse, "detail": likeness.detail, **bands, **grey}


def keypoint_document(media_id: str, marks: bytes) -> Document:
    """Return the document that stores a picture's keypoints. It is searched by `keys`."""
    return {"_id": media_id, "keys": sorted({keypoint.key for keypoint in unpack(marks).marks}), "marks": marks}


def band_of(coarse: int, band: str) -> int:
    first, width = BANDS[band]
    return coarse >> first & (1 << width) - 1


def neighbours(coarse: int, band: str) -> Iterator[int]:
    """Return all values of a band that differ from the hash's own value in at most two bits.

    There are 254 values for a band of 22 bits, and 232 for a band of 21 bits.
    """
    value = band_of(coarse, band)
    return (value ^ flipped for flipped in _FLIPPED[band])


_FLIPPED = {
    band: tuple(
        sum(1 << place for place in places)
        for count in range(_WITHIN_BAND + 1)
        for places in combinations(range(width), count)
    )
    for band, (_, width) in BANDS.items()
}
