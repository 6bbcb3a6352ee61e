"""Check what is left after a storm of faults: every record once, as acknowledged, and every medium verified."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from storage.store import Store
from tests.support.retrying_phone import Photo, RetryingPhone

READY_SECONDS = 30.0
"""Longest time without progress. A worker's lease must run out in this time, and the slowest part must come back,
even on a busy machine."""


async def all_ready(phone: RetryingPhone, photos: Sequence[Photo]) -> None:
    """Wait until all media are verified. Fail if no medium becomes READY for `READY_SECONDS`."""
    least, deadline = len(photos), time.monotonic() + READY_SECONDS
    while waiting := {id: state for id, state in (await phone.media_states()).items() if state != "READY"}:
        if len(waiting) < least:
            least, deadline = len(waiting), time.monotonic() + READY_SECONDS
        assert time.monotonic() < deadline, f"{len(waiting)} of {len(photos)} are not READY: {waiting}"
        await asyncio.sleep(0.2)


async def all_pulled(phone: RetryingPhone, photos: Sequence[Photo]) -> None:
    """Pull until the phone has everything that the user's phones handed in, and nothing else.

    The phone has kept its cursor since before the faults.
    """
    deadline = time.monotonic() + READY_SECONDS
    wanted = {photo.id for photo in photos}
    while (has := {id for id, record in phone.pulled.items() if _is_ready(record)}) != wanted:
        assert time.monotonic() < deadline, (
            f"{len(wanted - has)} of {len(wanted)} did not come, {len(has - wanted)} too many"
        )
        await phone.pull()
        await asyncio.sleep(0.2)


async def no_change_is_left(phones: Sequence[RetryingPhone]) -> None:
    """Pull until no phone gets anything. A record can be announced once more after it was complete."""
    deadline = time.monotonic() + READY_SECONDS
    while any([await phone.pull() for phone in phones]):
        assert time.monotonic() < deadline, "the changes have no end"


def _is_ready(record: dict[str, Any]) -> bool:
    return [each["state"] for each in record["content"]["media"]] == ["READY"]


async def records_are_those(store: Store, phones: Sequence[RetryingPhone], photos: Sequence[Photo]) -> None:
    """Check that each record is stored once and matches the receipt on its phone, and that there is no other record."""
    receipts = {id: receipt for phone in phones for id, receipt in phone.receipts.items()}
    kept = {str(each.id): each for each in await store.observations.many(list(receipts))}
    assert set(kept) == set(receipts) == {photo.id for photo in photos}
    for id, receipt in receipts.items():
        [revision] = kept[id].revisions
        assert (revision.content_sha256, id) == (receipt["contentSha256"], receipt["observationId"])
        assert kept[id].received_at == datetime.fromisoformat(receipt["receivedAt"])
    media = {str(each.id): each for each in await store.media.many([photo.media_id for photo in photos])}
    assert {id: (each.sha256, each.observation_id) for id, each in media.items()} == {
        photo.media_id: (photo.sha256, photo.id) for photo in photos
    }
    counts = {name: await store.mongo.collection(name).count({}) for name in ("observations", "media", "set_aside")}
    assert counts == {"observations": len(photos), "media": len(photos), "set_aside": 0}


def summary(phones: Sequence[RetryingPhone]) -> list[str]:
    waits = sorted(wait for phone in phones for wait in phone.waits) or [0.0]
    retries = sum((phone.retries for phone in phones), Counter[str]())
    return [
        f"{len(waits)} photos handed in: median {waits[len(waits) // 2]:.2f} s, longest {waits[-1]:.2f} s each",
        f"{sum(phone.refreshes for phone in phones)} renewals of a session; {retries.total()} retries:",
        *(f"  {count:4} {reason}" for reason, count in retries.most_common()),
    ]
