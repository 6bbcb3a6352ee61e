"""Test keys in the object store for originals, renditions and redacted copies, and the log of accesses to originals."""

from pathlib import Path
from typing import Any

from schema.media.object_keys import first_key, media_id_of, next_key
from tests.stored.fixed import DIGEST, fixed_id
from tests.support.packs import observed, verified
from tests.support.redactions import COUNTER, awaiting
from tests.support.world import World

KEY = f"originals/med_01a2008d-7400-7000-8000-000000000001-{DIGEST}"


def test_keys_of_originals_hold_medium_digest_and_number() -> None:
    medium = fixed_id("med")
    assert first_key(medium, DIGEST) == KEY
    assert [next_key(KEY), next_key(f"{KEY}.2"), next_key(f"{KEY}.10")] == [f"{KEY}.2", f"{KEY}.3", f"{KEY}.11"]
    assert [media_id_of(KEY), media_id_of(f"{KEY}.2"), media_id_of(f"thumbnails/{medium}")] == [medium, medium, None]


async def stored(world: World, collection: str) -> list[dict[str, Any]]:
    return await world.store.mongo.collection(collection).find({}, sort=[("_id", 1)])


async def test_a_verified_and_redacted_photo_has_its_keys_and_log_entries(world: World, tmp_path: Path) -> None:
    await observed(world, COUNTER)
    await verified(world, tmp_path)
    [photo] = await stored(world, "media")
    await awaiting(world, tmp_path, photo["_id"])
    [copy] = await stored(world, "redactions")
    await check_keys(world, tmp_path, photo, copy)
    await check_accesses(world, photo, copy)


async def check_keys(world: World, folder: Path, photo: dict[str, Any], copy: dict[str, Any]) -> None:
    """Check that each key names the digest of the bytes stored there."""
    objects, digests = world.store.objects, {}
    for listed in (await objects.ask("list_objects_v2"))["Contents"]:
        found = await objects.download(listed["Key"], folder / "object")
        assert found
        digests[listed["Key"]] = found.sha256
    large, small = (thumbnail["key"] for thumbnail in photo["thumbnails"])
    rendering = copy["rendering"]["key"]
    assert set(digests) == {photo["key"], large, small, rendering}
    assert photo["key"] == f"originals/{photo['_id']}-{digests[photo['key']]}"
    assert large == f"thumbnails/{photo['_id']}-large-{digests[large]}.jpg"
    assert small == f"thumbnails/{photo['_id']}-small-{digests[small]}.jpg"
    assert rendering == f"redactions/{copy['_id']}-1-{digests[rendering]}.jpg"


async def check_accesses(world: World, photo: dict[str, Any], copy: dict[str, Any]) -> None:
    """Check all fields of the log entries for originals that the worker read. Ids and times vary with the run."""
    looking, covering, _ = await stored(world, "media_accesses")
    for access in (looking, covering):
        assert [*access.items()] == [
            ("_id", access["_id"]),
            ("media_id", photo["_id"]),
            ("rendition", "ORIGINAL"),
            ("redaction_id", copy["_id"]),
            ("purpose", "通报用图"),
            ("user_id", world.people["officer"].id),
            ("device_id", None),
            ("at", access["at"]),
        ]
