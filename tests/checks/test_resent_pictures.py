"""Test one picture that is sent again and again in other bytes: the work for each copy stays the same."""

import threading
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from schema.checks.similarity import Likeness
from schema.media.media import MediaState
from scripts.demo.scenes import draw_scene
from storage.checks import similar_pictures
from storage.checks.queue import MAX_SAME
from storage.checks.similar_pictures import MAX_ALIKE, Likenesses
from storage.formats.pictures import examine
from storage.indexes import ensure_indexes
from storage.mongodb.client import Mongo
from storage.similarity import candidates
from storage.similarity.candidates import MAX_ALIGNED
from storage.similarity.keypoints import find_overlap
from tests.support.world import World, medium, new_id

COPIES = 70


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Likeness:
    path = tmp_path_factory.mktemp("picture") / "original"
    path.write_bytes(draw_scene(3, 640, 480, ["0900"]))
    return examine(path).likeness[0]


@pytest.fixture
async def index(mongo: Mongo) -> Likenesses:
    await ensure_indexes(mongo)
    return Likenesses(mongo)


def flipped(picture: Likeness, *bits: int, **fields: Any) -> Likeness:
    detail = int(picture.detail, 16)
    for bit in bits:
        detail ^= 1 << bit
    return replace(picture, detail=f"{detail:064x}", **fields)


async def test_few_copies_are_found_however_many_there_are_and_a_sibling_hides_none(
    index: Likenesses, picture: Likeness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With enough sure copies, no part of the picture is compared any more."""
    await index.store("med_first", [picture])
    for number in range(COPIES):
        await index.store(f"med_{number:02}", [flipped(picture, number)])
    siblings = [f"med_sibling_{number:02}" for number in range(MAX_ALIKE)]
    for sibling in siblings:
        await index.store(sibling, [picture])
    monkeypatch.delattr(Likenesses, "_find_sharing")
    found = await index.near("med_new", [picture], 24, siblings)
    assert [each.media_id for each in found] == ["med_first", *(f"med_{number:02}" for number in range(MAX_ALIKE - 1))]


async def test_parts_are_compared_in_a_thread_and_the_search_ends(
    index: Likenesses, picture: Likeness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these pictures shares all keypoints, as crops do, and has another hash."""
    random, threads, compared = Random(5), set(), []  # noqa: S311
    for number in range(COPIES):
        other = flipped(picture, *random.sample(range(256), 60), coarse=random.getrandbits(63))
        await index.store(f"med_{number:02}", [other])

    def rank(*given: Any) -> Any:
        threads.add(threading.current_thread())
        return candidates.rank_sharing(*given)

    def overlap(*given: Any) -> Any:
        compared.append(given)
        return find_overlap(*given)

    monkeypatch.setattr("storage.similarity.candidates.find_overlap", overlap)
    monkeypatch.setattr(similar_pictures, "rank_sharing", rank)
    found = await index.near("med_new", [picture], 24)
    assert len(found) == len(compared) == MAX_ALIGNED
    assert threads
    assert threading.main_thread() not in threads


async def test_few_media_with_the_same_bytes_are_read_for_each_of_them(world: World) -> None:
    """A file that was sent very often leaves place for another file's copies."""
    ids = [await world.observe() for _ in range(2)]
    media = world.store.mongo.collection("media")
    await world.observe(media=[medium()])
    stored = (await media.find({}))[0] | {"state": MediaState.READY.value}
    often = [stored | {"_id": new_id("med"), "observation_id": ids[0]} for _ in range(3 * MAX_SAME)]
    once = stored | {"_id": new_id("med"), "observation_id": ids[0], "sha256": "0" * 64}
    await media.insert_many([*often, once])
    found = await world.store.checks.same_files([stored["sha256"], "0" * 64], ids[1])
    assert len(found) == MAX_SAME + 1
    assert once["_id"] in {str(each.id) for each in found}
    assert len(await world.store.checks.same_files(["0" * 64], ids[1])) == 1
