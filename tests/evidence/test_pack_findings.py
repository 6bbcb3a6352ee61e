"""Test packs from a store that has lost or altered bytes: the pack and `scripts/verify` report it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from api.evidence.pack_writer import HELD_BYTES
from api.settings import MIB
from scripts.demo.scenes import draw_scene
from scripts.stored_zip import BadZipError
from scripts.verify import verify_pack
from tests.support.packs import PHOTO, files_of, observed, packed, verified
from tests.support.world import World


def manifest_of(pack: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files_of(pack)["manifest.json"])
    return found


async def test_altered_and_missing_originals_are_reported(world: World, tmp_path: Path) -> None:
    id = await observed(world, PHOTO, PHOTO + b"!")
    await verified(world, tmp_path)
    [observation] = await world.store.observations.many([id])
    first, second = observation.content.media_ids
    by_id = {str(each.id): each for each in await world.store.media.many([first, second])}
    await world.store.objects.put(by_id[first].key, PHOTO[:-1] + b"x", "image/jpeg")
    pack = await packed(world, "supervisor", id)
    assert [each["finding"] for each in manifest_of(pack)["media"]] == ["ALTERED", "SAME"]
    with pytest.raises(BadZipError, match=f"is not what was handed in as {first}"):
        verify_pack(io.BytesIO(pack))
    assert "影像 1-1 与登记不符" in files_of(pack)["index.html"].decode()
    await world.store.mongo.collection("media").update_one({"_id": first}, {"$set": {"key": "originals/gone"}})
    pack = await packed(world, "supervisor", id)
    assert [each["finding"] for each in manifest_of(pack)["media"]] == ["MISSING", "SAME"]
    with pytest.raises(BadZipError, match=f"The original of {first} is missing"):
        verify_pack(io.BytesIO(pack))


async def test_a_large_original_is_read_twice_and_packed_as_a_small_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await observed(world, PHOTO, PHOTO + b"!")
    await verified(world, tmp_path)
    [observation] = await world.store.observations.many([id])
    [first] = await world.store.media.many(observation.content.media_ids[:1])
    await world.store.objects.put(first.key, PHOTO[:-1] + b"x", "image/jpeg")

    def originals(pack: bytes) -> list[bytes]:
        return [body for name, body in files_of(pack).items() if name.startswith("originals/")]

    assert HELD_BYTES == 8 * MIB
    small = await packed(world, "supervisor", id)
    monkeypatch.setattr("api.evidence.pack_writer.HELD_BYTES", 1_000)
    large = await packed(world, "supervisor", id)
    assert originals(large) == originals(small) == [PHOTO[:-1] + b"x", PHOTO + b"!"]
    assert [each["finding"] for each in manifest_of(large)["media"]] == ["ALTERED", "SAME"]


async def test_altered_and_missing_thumbnails_are_left_out_and_reported(world: World, tmp_path: Path) -> None:
    """One is altered, one missing, one from before digests were recorded, and one intact. All originals are intact."""
    id = await observed(world, *(PHOTO + b"!" * number for number in range(4)))
    await verified(world, tmp_path)
    [observation] = await world.store.observations.many([id])
    other, gone, old, same = observation.content.media_ids
    by_id = {str(each.id): each for each in await world.store.media.many([other, gone, old, same])}
    assert {each.sha256 is None for media in by_id.values() for each in media.thumbnails} == {False}
    for each in by_id[other].thumbnails:
        await world.store.objects.put(each.key, draw_scene(5, 64, 48, ["0900"]), "image/jpeg")
    media = world.store.mongo.collection("media")
    await media.update_one({"_id": gone}, {"$set": {"thumbnails.0.key": "thumbnails/gone"}})
    without = [{key: value for key, value in vars(each).items() if key != "sha256"} for each in by_id[old].thumbnails]
    without = [each | {"rendition": each["rendition"].value} for each in without]
    await media.update_one({"_id": old}, {"$set": {"thumbnails": without}})
    pack = await packed(world, "supervisor", id)
    told = {
        each["mediaId"]: (each["finding"], each["sha256"] is None, each["path"])
        for each in manifest_of(pack)["thumbnails"]
    }
    files = files_of(pack)
    paths = {medium: next((name for name in files if "thumbnails" in name and medium in name), None) for medium in told}
    assert told == {
        other: ("ALTERED", False, None),
        gone: ("MISSING", False, None),
        old: ("UNRECORDED", True, paths[old]),
        same: ("SAME", False, paths[same]),
    }
    assert paths[old]
    assert paths[same]
    page = files["index.html"].decode()
    assert "影像 1-1 的缩略图与制作时登记不符" in page
    assert "缩略图缺失" in page
    assert "缩略图制作时未登记摘要、须与原件对照：1-3。" in page
    said = verify_pack(io.BytesIO(pack))
    assert "4 are those that were handed in" in said
    assert "the server did not record the digests of 1" in said
    assert "2 are left out" in said
