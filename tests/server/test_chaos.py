"""Test that killing any process at any time loses nothing acknowledged and doubles nothing, and all processes recover.

`pytest tests/server/test_chaos.py --chaos-minutes 30` kills processes for 30 minutes.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from random import Random

import httpx
import pytest
from PIL import Image

from api.accounts.key_ring import KeyRing
from api.graphql.context import clock
from api.settings import MIB
from storage.store import Store
from tests.support.chaos import DECK, ChaosStack
from tests.support.picture_files import saved
from tests.support.retrying_phone import Photo, RetryingPhone
from tests.support.storm_checks import all_pulled, all_ready, no_change_is_left, records_are_those, summary
from tests.support.world import World

PHONES, PHOTOS = 5, 12
PAUSE_SECONDS = 1.2
"""Mean time that a phone rests between two photos."""
PART_BYTES = 5 * MIB
"""The minimum size that S3 accepts for every part but the last."""
SETTINGS = {
    "MINGCHA_ACCESS_TOKEN_SECONDS": "1",  # plus the leeway for clocks: tokens expire during the storm
    "MINGCHA_SINGLE_PUT_BYTES": str(MIB),
    "MINGCHA_PART_BYTES": str(PART_BYTES),
}
PASSWORD = "正确的马电池订书钉"


@pytest.mark.long
async def test_kills_lose_nothing_and_double_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    given = request.config.getoption("--chaos-seed")
    seed = secrets.randbits(32) if given is None else int(given)
    house = ChaosStack(tmp_path / "data", SETTINGS)
    phones: list[RetryingPhone] = []
    random = Random(seed)  # noqa: S311  not a secret
    try:
        await _storm(house, phones, random, float(request.config.getoption("--chaos-minutes")) * 60)
    finally:
        house.end()
        print(f"--chaos-seed={seed}", *house.notes, *summary(phones), house.run.output[-2000:], sep="\n")


async def _storm(house: ChaosStack, phones: list[RetryingPhone], random: Random, seconds: float) -> None:
    await house.start()
    await _people(house)
    each = max(PHOTOS, round(seconds / PAUSE_SECONDS))
    shares = [[_photo(random) for _ in range(each)] for _ in range(PHONES)]
    everything = [photo for share in shares for photo in share]
    async with httpx.AsyncClient(timeout=15) as http:
        phones += [RetryingPhone(house.address, "inspector", PASSWORD, random, http) for _ in shares]
        async with asyncio.timeout(180 + 2 * seconds), asyncio.TaskGroup() as tasks:
            for phone, share in zip(phones, shares, strict=True):
                tasks.create_task(_hand_in(phone, share, house))
            await house.torment(random, seconds)
        house.note("every phone has its receipts")
        await all_ready(phones[0], everything)
        house.note("every medium is READY")
        await asyncio.gather(*(all_pulled(phone, everything) for phone in phones))
        await no_change_is_left(phones)
        house.note("every pull is complete")
        await asyncio.gather(*(_hand_in_again(phone, share) for phone, share in zip(phones, shares, strict=True)))
    assert [denial for phone in phones for denial in phone.denials] == []
    assert [phone.sign_ins for phone in phones] == [1] * PHONES  # lost replies signed nobody out
    reasons = {reason for phone in phones for reason in phone.retries}
    assert not [reason for reason in reasons if "INTERNAL" in reason]  # an outage is reported as an outage
    async with house.store() as (_, store):
        await records_are_those(store, phones, everything)
        await _bytes_are_those(store, everything, house.data.parent / "original")
    await house.stop()
    assert house.orphans == []
    assert house.survivors() == []
    assert list((house.data / "work").iterdir()) == []
    assert house.kills.total() >= len(DECK)


def _photo(random: Random) -> Photo:
    """Return a photo with random pixels. One photo in fifty is so large that it is uploaded in parts."""
    picture = Image.frombytes("RGB", (8, 6), random.randbytes(8 * 6 * 3)).resize((80, 60))
    return Photo.of(saved(picture), random.choices((0, 300_000, PART_BYTES + 300_000), (66, 32, 2))[0])


async def _people(house: ChaosStack) -> None:
    async with house.store() as (settings, store):
        world = await World(store, settings, KeyRing(settings.keys_folder)).build()
        hashed = await world.passwords.hash(PASSWORD)
        await store.users.set_password(world.people["inspector"].id, hashed, clock())


async def _hand_in(phone: RetryingPhone, photos: Sequence[Photo], house: ChaosStack) -> None:
    """Hand in the photos. As long as processes are being killed, rest after each photo."""
    for photo in photos:
        await phone.hand_in(photo)
        await phone.pull()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(house.calm.wait(), phone.random.uniform(0, 2 * PAUSE_SECONDS))


async def _hand_in_again(phone: RetryingPhone, photos: Sequence[Photo]) -> None:
    for photo in photos:
        await phone.submit_again(photo)


async def _bytes_are_those(store: Store, photos: Sequence[Photo], path: Path) -> None:
    """Check that the store has each original as its phone sent it, two thumbnails of each, and no other object."""
    originals = {f"originals/{photo.media_id}-{photo.sha256}": photo for photo in photos}
    records = await store.media.many([photo.media_id for photo in photos])
    thumbnails = {made.key for media in records for made in media.thumbnails}
    assert len(thumbnails) == 2 * len(photos)
    pages = store.objects._client.get_paginator("list_objects_v2").paginate(Bucket=store.objects.bucket)
    assert {found["Key"] for page in pages for found in page["Contents"]} == {
        *originals,
        *thumbnails,
        ".ready",
        ".once",
    }
    for key, photo in originals.items():
        found = await store.objects.download(key, path)
        assert found
        assert (found.sha256, found.byte_size) == (photo.sha256, len(photo.body))
