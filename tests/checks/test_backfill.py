"""Test the backfill: old records without likenesses and checks are hashed and checked once, by any worker."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.checks import backfill
from api.checks.backfill import CheckBackfill
from api.checks.runner import CheckRunner
from api.graphql.context import clock
from api.media.verification import MediaVerifier
from scripts.benchmarks.altered_pictures import altered_copies
from scripts.demo.scenes import draw_scene
from storage.formats.sandbox import Decoder, DecoderUnavailableError
from tests.support.flags import codes_of
from tests.support.uploads import hand_in
from tests.support.world import World

OLD = {"$unset": {"check_due_at": "", "check_round": "", "is_likeness_taken": ""}}
"""This update removes the fields that records of earlier versions don't have."""


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    async with Decoder() as decoder:
        yield decoder


async def stored(world: World, decoder: Decoder, folder: Path, *bodies: tuple[str, bytes]) -> list[tuple[str, str]]:
    """Submit pictures and verify them as a version without similarity and checks did.

    Return the ids of the observations and their photos.
    """
    async with httpx.AsyncClient(timeout=30) as http:
        made = [await hand_in(world, http, name, body) for name, body in bodies]
    work = MediaVerifier(world.store, decoder, folder, clock)
    while await work.do_one():
        pass
    await CheckRunner(world.store, clock).do_all()
    mongo = world.store.mongo
    for name in ("media", "observations"):
        await mongo.collection(name).update_many({}, OLD)
    for name in ("likenesses", "flags"):
        await mongo.collection(name).delete_many({})
    return made


async def pictures(folder: Path) -> tuple[bytes, bytes]:
    path = folder / "scene.jpg"
    path.write_bytes(draw_scene(21, 800, 600, ["0900"]))
    return path.read_bytes(), dict(altered_copies(path, 1))["encoded at 60"]


async def test_old_records_are_hashed_checked_and_flagged_once(world: World, decoder: Decoder, tmp_path: Path) -> None:
    one, copy = await pictures(tmp_path)
    [(first, _), (second, photo)] = await stored(world, decoder, tmp_path, ("inspector", one), ("inspector2", copy))
    checks = CheckRunner(world.store, clock)
    assert await checks.do_all() == 0
    assert await codes_of(world, second) == []
    work = CheckBackfill(world.store, decoder, tmp_path, clock)
    assert await work.sweep() == 4
    assert await checks.do_all() == 4
    assert await codes_of(world, second) == ["SIMILAR_PICTURE"]
    assert await codes_of(world, first) == []
    kept = await world.store.likenesses.of([photo])
    assert await work.sweep() == await checks.do_all() == 0
    assert await world.store.likenesses.of([photo]) == kept
    assert await codes_of(world, second) == ["SIMILAR_PICTURE"]


class Failing(Decoder):
    async def examine(self, path: Path) -> Any:
        raise DecoderUnavailableError("no child")


async def test_the_next_worker_continues_where_another_stopped(
    world: World, decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "BATCH", 1)
    one, copy = await pictures(tmp_path)
    made = await stored(world, decoder, tmp_path, ("inspector", one), ("inspector2", copy))
    with pytest.raises(DecoderUnavailableError):
        await CheckBackfill(world.store, Failing(), tmp_path, clock).sweep()
    assert len(await world.store.media.find_unhashed("", 10)) == 2
    assert await CheckBackfill(world.store, decoder, tmp_path, clock).sweep() == 2
    assert len(await world.store.likenesses.of([photo for _, photo in made])) == 2
    assert not [name for name in os.listdir(tmp_path) if name.startswith("tmp")]  # noqa: PTH208  nothing else waits


async def test_a_lost_thumbnail_does_not_stop_the_backfill(world: World, decoder: Decoder, tmp_path: Path) -> None:
    one, copy = await pictures(tmp_path)
    [(_, lost), (_, kept)] = await stored(world, decoder, tmp_path, ("inspector", one), ("inspector2", copy))
    [medium] = await world.store.media.many([lost])
    astray = {"$set": {"thumbnails.1.key": f"{medium.thumbnails[1].key}.gone"}}
    await world.store.mongo.collection("media").update_one({"_id": lost}, astray)
    assert await CheckBackfill(world.store, decoder, tmp_path, clock).sweep() == 4
    assert list(await world.store.likenesses.of([lost, kept])) == [kept]


@pytest.mark.parametrize(
    ("collection", "wanted"),
    [
        ("media", {"is_likeness_taken": None, "state": "READY", "_id": {"$gt": ""}}),
        ("observations", {"check_round": None}),
    ],
)
async def test_remaining_records_are_found_by_a_partial_index(
    world: World, decoder: Decoder, tmp_path: Path, collection: str, wanted: dict[str, Any]
) -> None:
    one, _ = await pictures(tmp_path)
    await stored(world, decoder, tmp_path, ("inspector", one))
    await world.observe()
    find = {"find": collection, "filter": wanted, "sort": {"_id": 1}, "limit": 10}
    plan = await world.store.mongo.command("explain", find, verbosity="executionStats")
    assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])
    assert "'SORT'" not in str(plan["queryPlanner"]["winningPlan"])
    assert (plan["executionStats"]["totalKeysExamined"], plan["executionStats"]["nReturned"]) == (1, 1)
