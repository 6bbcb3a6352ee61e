"""Likeness in MongoDB: pictures that look nearly the same, found through indexes and never by a scan.

What is found within the radius is all that there is: a coarse figure of 64 bits falls into three bands, and two figures
that differ in at most 8 bits differ in at most 2 of some band, so that the index of each band is asked for all its
neighbours at that distance. Candidates are then told apart by their details, the nearest after being laid over each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import anyio
import anyio.to_thread

from schema.likeness import DETAIL_BITS, Likeness, coarse_bits_apart, detail_bits_apart
from storage.alignment import bits_when_laid_over, window_of
from storage.likeness_hash import CUTS
from storage.mongo import ASCENDING, Document, Mongo, Sort

RADIUS = 8
"""Bits of 64 within which every picture is found."""
BANDS = {"low": (0, 22), "middle": (22, 21), "high": (43, 21)}
"""First bit and width of each band: three of some 21 bits, because 2^21 is near the number of figures of a large office."""
_WITHIN_BAND = RADIUS // len(BANDS)
_MOST_KEYS = 10_000
"""Of one band and hash: figures that so many share, as those of one form photographed again and again, tell nothing."""
_SURE = 12
"""Bits of 256 below which nothing is gained by moving one picture over the other."""
_MOST_LAID_OVER = 16
"""The nearest of those that are not sure: each costs some 30 ms of processor time."""
_WHOLE = 2
"""Cuts below this are whole pictures, with or without their frame."""

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    (((band, ASCENDING), ("coarse", ASCENDING), ("_id", ASCENDING)), {}) for band in BANDS
]


@dataclass(frozen=True)
class Alike:
    """A medium that looks like another: in how many of 256 bits they differ."""

    media_id: str
    bits: int


class Likenesses:
    def __init__(self, mongo: Mongo) -> None:
        self._likenesses = mongo.collection("likenesses")

    async def keep(self, media_id: str, made: Sequence[Likeness]) -> None:
        """Make a picture findable; what is kept already stays."""
        await self._likenesses.insert_many([entry(media_id, each) for each in made])

    async def forget(self, media_id: str) -> None:
        """Make a picture that is gone findable no more."""
        await self._likenesses.delete_many({"_id": {"$in": [f"{media_id}:{cut}" for cut in range(CUTS)]}})

    async def of(self, media_ids: Sequence[str]) -> dict[str, list[Likeness]]:
        """What each is compared by; without those that have nothing."""
        ids = [f"{media_id}:{cut}" for media_id in media_ids for cut in range(CUTS)]
        found: dict[str, list[Likeness]] = {}
        for each in await self._likenesses.find({"_id": {"$in": ids}}):
            media_id, _, cut = each["_id"].partition(":")
            found.setdefault(media_id, []).append(
                Likeness(int(cut), each["coarse"], each["detail"], each.get("grey", b""))
            )
        return found

    async def near(self, media_id: str, wanted: Sequence[Likeness], most_bits: int) -> list[Alike]:
        """Other media of which one cut is within `most_bits` of 256 of one of `wanted`, the nearest first.

        Of two cuts one is a whole picture: that two pictures share a corner makes them no copies.
        """
        pairs = await self._candidates(media_id, wanted)
        details = await self._fields([id for id, _ in pairs], "detail")
        best: dict[str, tuple[int, int, int]] = {}
        for id, each in pairs:
            other, _, cut = id.partition(":")
            if id in details:
                bits = detail_bits_apart(details[id], each.detail)
                best[other] = min((bits, int(cut), each.cut), best.get(other, (bits + 1, 0, 0)))
        unsure = sorted(((bits, other) for other, (bits, *_) in best.items() if bits > _SURE))[:_MOST_LAID_OVER]
        bits_of = {other: bits for other, (bits, *_) in best.items()}
        own = next((each.grey for each in wanted if each.cut == 0), b"")
        greys = await self._fields([f"{other}:0" for _, other in unsure], "grey")
        for bits, other in unsure:
            if own and (grey := greys.get(f"{other}:0")):
                _, theirs, mine = best[other]
                laid = await anyio.to_thread.run_sync(_laid_over, own, mine, grey, theirs)
                bits_of[other] = min(bits, laid)
        near = [Alike(other, bits) for other, bits in bits_of.items() if bits <= most_bits]
        return sorted(near, key=lambda alike: (alike.bits, alike.media_id))

    async def _candidates(self, media_id: str, wanted: Sequence[Likeness]) -> list[tuple[str, Likeness]]:
        """Entries of other media within the radius, each with the cut of the wanted picture that it is near to."""
        found: dict[str, int] = {}

        async def ask(band: str) -> None:
            values = sorted({near for each in wanted for near in neighbours(each.coarse, band)})
            # Answered from the index alone; one document an entry.
            shown = {"coarse": 1, "_id": 1, band: 1}
            for key in await self._likenesses.find(
                {band: {"$in": values}}, projection=shown, limit=_MOST_KEYS * len(wanted)
            ):
                found[key["_id"]] = key["coarse"]

        async with anyio.create_task_group() as tasks:
            for band in BANDS if wanted else ():
                tasks.start_soon(ask, band)
        return [
            (id, each)
            for id, coarse in found.items()
            for each in wanted
            if coarse_bits_apart(coarse, each.coarse) <= RADIUS
            and (each.cut < _WHOLE or int(id.partition(":")[2]) < _WHOLE)
            and not id.startswith(media_id)
        ]

    async def _fields(self, ids: Sequence[str], name: str) -> dict[str, Any]:
        wanted = {"_id": {"$in": sorted(set(ids))}}
        found = await self._likenesses.find(wanted, projection={name: 1}) if ids else []
        return {each["_id"]: each[name] for each in found if name in each}


def _laid_over(own: bytes, own_cut: int, other: bytes, other_cut: int) -> int:
    """Bits apart at the best fit: the whole picture of a pair is the part, and may be so of either where both are whole."""
    tries = []
    if other_cut != 1 and own_cut == 0:
        tries.append(bits_when_laid_over(own, other, window_of(other_cut)))
    if own_cut != 1 and other_cut == 0:
        tries.append(bits_when_laid_over(other, own, window_of(own_cut)))
    return min(tries, default=DETAIL_BITS)


def entry(media_id: str, made: Likeness) -> Document:
    """As it is stored: one document a cut, with the three bands of its coarse figure."""
    bands = {band: band_of(made.coarse, band) for band in BANDS}
    grey = {"grey": made.grey} if made.grey else {}
    return {"_id": f"{media_id}:{made.cut}", "coarse": made.coarse, "detail": made.detail, **bands, **grey}


def band_of(coarse: int, band: str) -> int:
    first, width = BANDS[band]
    return coarse >> first & (1 << width) - 1


def neighbours(coarse: int, band: str) -> Iterator[int]:
    """All values of that band within two bits of the figure's own: 254 or 232 of them."""
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
