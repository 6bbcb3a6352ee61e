"""Test that one person's media delay nobody else's, and that nobody has the same bytes examined again and again."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.graphql.context import clock
from api.media.verification import MAX_FAILURES, REMEMBERED_FOR, RETRY_PAUSE, MediaVerifier
from schema.media.media import Media, MediaState
from schema.media.media_facts import MediaDamage
from storage.formats.results import Damage, ReadResult
from storage.formats.sandbox import Decoder
from tests.support.hostile_files import nested_forms
from tests.support.uploads import JPEG, hand_in, upload
from tests.support.world import World, draft, medium


class Counting(Decoder):
    """A decoder that counts the files that it examines."""

    examined = 0

    async def examine(self, path: Path) -> ReadResult:
        self.examined += 1
        return await super().examine(path)


class Overrun(Counting):
    """A decoder for which every file takes too long."""

    async def examine(self, path: Path) -> ReadResult:
        self.examined += 1
        return ReadResult("application/pdf", damage=Damage.TIMED_OUT)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


@pytest.fixture
async def decoder() -> AsyncIterator[Counting]:
    async with Counting() as decoder:
        yield decoder


async def media(world: World, *ids: str) -> list[Media]:
    found = {str(medium.id): medium for medium in await world.store.media.many(ids)}
    return [found[id] for id in ids]


async def copies(world: World, body: bytes, count: int) -> list[str]:
    """Submit media with the same bytes, which the inspector has already sent."""
    photos: list[dict[str, Any]] = [medium(body) for _ in range(count)]
    [result] = await world.submit("inspector", draft(media=photos))
    assert (result["outcome"], result["uploads"]) == ("ACCEPTED", [])
    return [str(photo["id"]) for photo in photos]


async def test_a_flood_of_one_person_does_not_delay_another_persons_photo(
    world: World, http: httpx.AsyncClient, decoder: Counting, tmp_path: Path
) -> None:
    flood = [(await hand_in(world, http, "inspector", JPEG + bytes([number])))[1] for number in range(4)]
    _, honest = await hand_in(world, http, "inspector2", JPEG)
    work = MediaVerifier(world.store, decoder, tmp_path, clock)
    assert await work.do_one()
    assert await work.do_one()
    states = [medium.state for medium in await media(world, honest, *flood)]
    assert (states[0], states.count(MediaState.READY)) == (MediaState.READY, 2)
    while await work.do_one():
        pass
    assert {medium.state for medium in await media(world, *flood)} == {MediaState.READY}


async def test_the_same_bytes_of_a_person_are_examined_once(
    world: World, http: httpx.AsyncClient, decoder: Counting, tmp_path: Path
) -> None:
    _, first = await hand_in(world, http, "inspector", JPEG)
    ids = await copies(world, JPEG, 2)
    work = MediaVerifier(world.store, decoder, tmp_path, clock)
    while await work.do_one():
        pass
    known, *others = await media(world, first, *ids)
    assert decoder.examined == 1
    likenesses = await world.store.likenesses.of([first, *ids])
    for other in others:
        assert (other.state, other.facts) == (MediaState.READY, known.facts)
        assert [(each.rendition, each.sha256) for each in other.thumbnails] == [
            (each.rendition, each.sha256) for each in known.thumbnails
        ]
        assert len(other.thumbnails) == 2
        for thumbnail in other.thumbnails:
            found = await world.store.objects.download(thumbnail.key, tmp_path / "found")
            assert found
            assert found.sha256 == thumbnail.sha256
        assert likenesses[str(other.id)] == likenesses[first]
    # Nobody else's verification is shortened, and after a day a newer decoder gets a chance.
    await hand_in(world, http, "inspector2", JPEG)
    while await work.do_one():
        pass
    assert decoder.examined == 2
    await copies(world, JPEG, 1)
    later = clock() + REMEMBERED_FOR
    while await MediaVerifier(world.store, decoder, tmp_path, lambda: later).do_one():
        pass
    assert decoder.examined == 3


async def test_a_copy_is_examined_if_a_thumbnail_of_the_first_is_gone(
    world: World, http: httpx.AsyncClient, decoder: Counting, tmp_path: Path
) -> None:
    _, first = await hand_in(world, http, "inspector", JPEG)
    work = MediaVerifier(world.store, decoder, tmp_path, clock)
    assert await work.do_one()
    [known] = await media(world, first)
    await world.store.objects.ask("delete_object", Key=known.thumbnails[1].key)
    [copy] = await copies(world, JPEG, 1)
    assert await work.do_one()
    [made] = await media(world, copy)
    assert (decoder.examined, made.state, len(made.thumbnails)) == (2, MediaState.READY, 2)


async def test_a_file_that_overruns_is_tried_three_times_for_all_its_copies_and_senders(
    world: World, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    hostile = JPEG + b"hostile"
    _, first = await hand_in(world, http, "inspector", hostile)
    ids = [first, *await copies(world, hostile, 3), (await hand_in(world, http, "inspector2", hostile))[1]]
    now, decoder = clock(), Overrun()
    work = MediaVerifier(world.store, decoder, tmp_path, lambda: now)
    for _ in range(2 * MAX_FAILURES):
        while await work.do_one():
            pass
        now += RETRY_PAUSE
    assert decoder.examined == MAX_FAILURES
    for kept in await media(world, *ids):
        assert kept.facts
        assert (kept.state, kept.facts.damage) == (MediaState.READY, MediaDamage.TIMED_OUT)


async def test_a_hostile_document_is_examined_again_beside_the_others(
    world: World, http: httpx.AsyncClient, decoder: Counting, tmp_path: Path
) -> None:
    """The document's forms draw each other 2^28 times. Two copies are announced, then somebody sends a photo."""
    hostile = nested_forms(28)
    document = medium(hostile, contentType="application/pdf")
    [result] = await world.submit("inspector", draft(media=[document]))
    assert await upload(http, result["uploads"][0], hostile) == 200
    await world.store.media.confirm(document["id"], clock())
    async with Decoder(seconds=0.3) as quick:
        assert await MediaVerifier(world.store, quick, tmp_path, clock, again=False).do_one()
    ids = [document["id"], *await copies(world, hostile, 2)]
    _, honest = await hand_in(world, http, "inspector2", JPEG)
    first = MediaVerifier(world.store, decoder, tmp_path, clock, again=False)
    while await first.do_one():
        pass
    *documents, shown = await media(world, *ids, honest)
    assert (shown.state, decoder.examined) == (MediaState.READY, 1)
    assert {(kept.state, kept.decoding_failures) for kept in documents} == {(MediaState.UPLOADED, 1)}
    overrun, now = Overrun(), clock()
    again = MediaVerifier(world.store, overrun, tmp_path, lambda: now, again=True)
    for _ in range(MAX_FAILURES):
        while await again.do_one():
            pass
        now += RETRY_PAUSE + timedelta(seconds=1)
    assert overrun.examined == MAX_FAILURES - 1
    assert {kept.state for kept in await media(world, *ids)} == {MediaState.READY}
