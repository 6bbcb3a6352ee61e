"""Test keypoints: packing, lookup by the keys that a copy may have, and the overlap of two pictures."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.similarity.keypoints import (
    FIGURE_BITS,
    KEY_BITS,
    LEVELS,
    Keypoint,
    KeypointSet,
    find_overlap,
    lookup_keys,
    pack,
    select_keypoints,
    unpack,
)

EDGE = st.integers(0, 2**16 - 1).map(lambda value: value / (2**16 - 1))
MARKS = st.builds(
    Keypoint,
    st.integers(0, 2**FIGURE_BITS - 1),
    st.permutations(range(KEY_BITS)).map(lambda bits: (bits[0], bits[1], bits[2], bits[3])),
    EDGE,
    EDGE,
    st.integers(0, len(LEVELS) - 1),
)
SIDES = (1.0, 0.75)


@given(st.lists(MARKS, max_size=9).map(tuple), EDGE.filter(bool))
def test_packed_keypoints_are_read_back_unchanged(marks: tuple[Keypoint, ...], height: float) -> None:
    assert unpack(pack(KeypointSet((1.0, height), marks))) == KeypointSet((1.0, height), marks)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_unpack_to_valid_levels_or_raise_value_error(body: bytes) -> None:
    try:
        found = unpack(body)
    except ValueError:
        return
    assert all(each.level < len(LEVELS) for each in found.marks)


@given(MARKS, st.sets(st.integers(0, 3)))
def test_keypoints_of_odd_levels_are_looked_up_with_any_of_their_weak_bits_flipped(
    mark: Keypoint, changed: set[int]
) -> None:
    keys = lookup_keys(KeypointSet(SIDES, (mark,)))
    copied = mark.key
    for place in changed:
        copied ^= 1 << mark.weak[place]
    assert (copied in keys) is (mark.level % 2 == 1)
    assert len(keys) in {0, 16}


def of(*places: tuple[int, float, float, int]) -> KeypointSet:
    """Return keypoints, each given as (figure, x, y, level)."""
    return KeypointSet(SIDES, tuple(Keypoint(figure, (0, 1, 2, 3), x, y, level) for figure, x, y, level in places))


WIDE = of((1 << 20, 0.4, 0.3, 3), (1 << 21, 0.6, 0.45, 5), (1 << 22, 0.5, 0.375, 7))


def test_the_position_of_a_crop_follows_from_its_keypoints() -> None:
    """The crop is the middle half of the picture's width and height.

    Six levels double the size, and the crop is half as large as the picture. So a keypoint at level 9 of the whole
    picture is at level 3 of the crop.
    """
    cut = of((1 << 20, 0.3, 0.225, 3), (1 << 21, 0.7, 0.525, 5))
    found = find_overlap(cut, lookup_keys(cut), of((1 << 20, 0.4, 0.3, 9), (1 << 21, 0.6, 0.45, 11)))
    assert found is not None
    assert found.votes == 2
    # Levels are whole pixels: a side is known to a hundredth.
    assert found.mine == pytest.approx((0, 0, 1, 1), abs=0.02)
    assert found.theirs == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.02)
    wide = of((1 << 20, 0.4, 0.3, 9), (1 << 21, 0.6, 0.45, 11))
    mirrored = find_overlap(wide, lookup_keys(wide), cut)
    assert mirrored is not None
    assert mirrored.mine == pytest.approx(found.theirs, abs=0.02)


def test_a_single_keypoint_must_also_match_beyond_its_key() -> None:
    one = of((1 << 20, 0.4, 0.3, 3))
    keys = lookup_keys(one)
    assert find_overlap(one, keys, one)
    beyond = [sum(1 << KEY_BITS + place for place in range(count)) for count in (4, 5, 8, 9)]
    found = [find_overlap(one, keys, of((1 << 20 | more, 0.4, 0.3, 3))) for more in beyond]
    assert [each is not None for each in found] == [True, False, False, False]
    two = of((1 << 20 | beyond[2], 0.4, 0.3, 3), (1 << 21 | beyond[2], 0.6, 0.45, 5))
    borne_out = find_overlap(WIDE, lookup_keys(WIDE), two)
    assert borne_out
    assert borne_out.votes == 2


def test_unrelated_pictures_share_nothing_and_a_contradicting_keypoint_is_outvoted() -> None:
    assert find_overlap(WIDE, lookup_keys(WIDE), of()) is None
    far = of((1 << 20, 0.0, 0.0, 3))
    one = of((1 << 20, 1.0, 0.75, 3))
    assert find_overlap(one, lookup_keys(one), far) is None
    most = replace(WIDE, marks=(*WIDE.marks, Keypoint(1 << 20, (0, 1, 2, 3), 0.9, 0.1, 3)))
    found = find_overlap(WIDE, lookup_keys(WIDE), most)
    assert found
    assert found.votes == 3
    assert found.theirs == pytest.approx((0, 0, 1, 1), abs=0.02)


def test_flat_areas_and_bare_edges_give_no_keypoint() -> None:
    flat, edge = bytes(64), bytes([0, 0, 0, 0, 255, 255, 255, 255] * 8)
    assert select_keypoints(3, (100, 75), [(50, 40, flat), (50, 40, edge)]) == []
