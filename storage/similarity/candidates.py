"""Choose the candidates that are most like a picture, and align them with it.

This is arithmetic on hashes, keypoints and grey values. It is bounded, and it runs in a thread.
"""

import heapq
from collections.abc import Mapping, Sequence
from operator import itemgetter

from schema.checks.similarity import Likeness, coarse_bits_apart
from storage.similarity.alignment import aligned_bits_apart
from storage.similarity.keypoints import Box, Keypoint, KeypointSet, Overlap, filter_packed, find_overlap

RADIUS = 8
"""Maximum number of differing bits, of the 64 bits of two coarse hashes, at which a similar picture is always found."""
MAX_WHOLES = 200
"""Maximum number of pictures whose detail hashes are compared. Those with the nearest coarse hashes are compared."""
MAX_ALIGNED = 16
"""Maximum number of uncertain candidates to align, for hashes and for keypoints each. One takes up to 10 ms of CPU."""
_MAX_ON_ONE_KEYPOINT = 4
"""Maximum number of candidates to align that share only one keypoint. Most of them have nothing else in common."""
_MIN_SHARED = 0.2
"""Minimum share of each picture's area that must be common to both pictures."""
_MAX_SHARED = 0.5
"""Minimum common share of the area for at least one of the two pictures.

Two photos of the same sign on a wall are not copies of each other.
"""
_ALL_BUT_WHOLE = 0.8
"""If the common share of both pictures is at least this, keypoints can't reliably tell which picture was cropped."""


def rank_wholes(wanted: Sequence[Likeness], coarse_of: Mapping[str, int]) -> list[tuple[str, Likeness]]:
    """Return the nearest pairs of stored coarse hashes (by id) and wanted ones within `RADIUS`, at most `MAX_WHOLES`."""
    near = (
        (bits, id, likeness.cut, likeness)
        for id, coarse in coarse_of.items()
        for likeness in wanted
        if (bits := coarse_bits_apart(coarse, likeness.coarse)) <= RADIUS
    )
    return [(id, likeness) for _, id, _, likeness in heapq.nsmallest(MAX_WHOLES, near, key=itemgetter(0, 1, 2))]


def rank_sharing(
    mine: KeypointSet, keys: Mapping[int, Sequence[Keypoint]], others: Sequence[tuple[str, bytes]]
) -> list[tuple[str, Overlap]]:
    """Return the pictures that share enough of the area, most matching keypoints first.

    `keys` is `lookup_keys(mine)`, and `others` are ids with packed keypoints. Pictures with many matching keypoints are
    looked at first, and the search ends when `MAX_ALIGNED` of them share enough.
    """
    matching = [(id, filter_packed(keys, marks)) for id, marks in others]
    matching.sort(key=lambda pair: (-len(pair[1].marks), pair[0]))
    several: list[tuple[str, Overlap]] = []
    alone: list[tuple[str, Overlap]] = []
    for id, theirs in matching:
        overlap = find_overlap(mine, keys, theirs)
        if overlap and _is_enough(overlap):
            (several if overlap.votes > 1 else alone).append((id, overlap))
        if len(several) == MAX_ALIGNED:
            break
    several.sort(key=lambda pair: (-pair[1].votes, pair[0]))
    return [*several, *alone[:_MAX_ON_ONE_KEYPOINT]]


def _is_enough(overlap: Overlap) -> bool:
    less, more = sorted((_area(overlap.mine), _area(overlap.theirs)))
    return less >= _MIN_SHARED and more >= _MAX_SHARED


def _area(box: Box) -> float:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def bits_aligned(own: bytes, other: bytes, overlap: Overlap) -> int:
    """Align two pictures by their common area and return the number of differing bits at the best fit.

    The common part of the picture with the smaller common share is laid over the other picture. If both shares are
    large, it is not clear which picture was cropped, so both ways are tried.
    """
    mine, theirs = _area(overlap.mine), _area(overlap.theirs)
    is_close = min(mine, theirs) >= _ALL_BUT_WHOLE
    tries = []
    if mine >= theirs or is_close:
        tries.append(aligned_bits_apart(own, other, overlap.theirs, within=overlap.mine))
    if theirs >= mine or is_close:
        tries.append(aligned_bits_apart(other, own, overlap.mine, within=overlap.theirs))
    return min(tries)
