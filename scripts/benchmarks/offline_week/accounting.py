"""Count the result of an offline week from the database, the object store and the network traffic.

What the phone reports about itself is not used.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mobile_contract.phone.upload.signed_put import PRECONDITION_FAILED
from scripts.benchmarks.faulty_network import Request
from scripts.benchmarks.offline_week.confirmed_parts import WHOLE, ConfirmedParts
from scripts.benchmarks.offline_week.plan import MIB, WeekPlan
from scripts.benchmarks.offline_week.run import WeekRun
from storage.store import Store

_MEDIUM = re.compile(r"med_[0-9a-f-]{36}")
VERIFIED_STATE, FINISHED_STATE = "READY", "FINISHED"


@dataclass
class StoredState:
    """One person's records in the database and the object store, compared with the plan.

    `counts` has the numbers of records. All other fields count faults and must be 0.
    """

    counts: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0
    misplaced: int = 0
    media_lost: int = 0
    media_doubled: int = 0
    not_ready: int = 0
    wrong_bytes: int = 0
    gaps: int = 0
    operations_lost: int = 0

    @property
    def faults(self) -> int:
        counts = (self.lost, self.doubled, self.misplaced, self.media_lost, self.media_doubled)
        return sum((*counts, self.not_ready, self.wrong_bytes, self.gaps, self.operations_lost))


async def count_stored(
    store: Store, inspector_id: str, digests: dict[str, list[str]], assignments: Sequence[str], rated: int
) -> StoredState:
    """Compare the stored records of a person with the plan.

    `digests` has the photos' digests, keyed by observation text. The observations are in the order in which they were
    taken. `assignments` are the ids of the assignments to be finished, and `rated` is the number of ratings.
    """
    state = StoredState()

    async def find_all(name: str, filter: dict[str, Any]) -> list[dict[str, Any]]:
        return [dict(document) for document in await store.mongo.collection(name).find(filter)]

    observations = await find_all("observations", {"author_id": inspector_id})
    observations.sort(key=lambda observation: int(observation["content"]["device_sequence"]))
    media = {str(medium["_id"]): medium for medium in await find_all("media", {"uploader_id": inspector_id})}
    contents = [observation["content"] for observation in observations]
    texts = Counter(str(content["text"]) for content in contents)
    state.lost = sum(text not in texts for text in digests)
    state.doubled = sum(texts.values()) - len(texts.keys() & digests.keys())
    state.gaps = sum(content["device_sequence"] != number for number, content in enumerate(contents, start=1))
    state.misplaced = sum(content["text"] != text for content, text in zip(contents, digests, strict=False))
    for content in contents:
        stored = Counter(media[id]["sha256"] for id in content["media_ids"] if id in media)
        expected = Counter(digests.get(str(content["text"]), ()))
        state.media_lost += (expected - stored).total()
        state.media_doubled += (stored - expected).total()
    references = Counter(id for content in contents for id in content["media_ids"])
    state.media_doubled += len(media.keys() - references.keys()) + sum(count - 1 for count in references.values())
    state.not_ready = sum(medium["state"] != VERIFIED_STATE for medium in media.values())
    for medium in media.values():
        state.wrong_bytes += await _digest(store, str(medium["key"])) != medium["sha256"]
    ratings = await find_all("ratings", {"rater_id": inspector_id})
    finished = await find_all("assignments", {"_id": {"$in": list(assignments)}, "state": FINISHED_STATE})
    state.operations_lost = abs(rated - len(ratings)) + len(assignments) - len(finished)
    # A finished assignment took two operations of the phone: accept and finish.
    operations = len(ratings) + 2 * len(finished)
    state.counts = {"observations": len(observations), "media": len(media), "operations": operations}
    return state


async def _digest(store: Store, key: str) -> str | None:
    """Return the SHA-256 of a stored object, or None if there is no such object."""
    digest = hashlib.sha256()
    async with store.objects.open(key) as reading:
        if reading is None:
            return None
        async for chunk in reading.chunks:
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True)
class UploadCount:
    """Counts of PUT requests and their bytes.

    `sent_bytes` counts all sent bytes. `stored_bytes` counts the bytes of each part once. `after_confirmation` counts
    the requests that the phone sent although the server had already confirmed the part. `after_reply` counts the
    requests that the phone sent although it had already got the store's 200 for the part.
    """

    puts: int
    sent_bytes: int
    stored_bytes: int
    after_confirmation: int
    after_reply: int


def count_puts(requests: Sequence[Request], aborted_bytes: int, confirmed: ConfirmedParts) -> UploadCount:
    """Count the PUT requests. `aborted_bytes` is the number of bytes of requests that the phone broke off."""
    puts = sorted((request for request in requests if request.name.startswith("PUT")), key=lambda put: put.began)
    answered_at: dict[tuple[str, str], float] = {}
    sizes: dict[tuple[str, str], int] = {}
    after_confirmation = after_reply = 0
    for put in puts:
        part = put.key, put.name
        match = _MEDIUM.search(put.key)
        medium, number = match[0] if match else "", int(put.name.removeprefix("PUT").strip() or WHOLE)
        confirmed_at = min(confirmed.at.get((medium, known), float("inf")) for known in (number, WHOLE))
        after_confirmation += confirmed_at < put.began
        after_reply += answered_at.get(part, float("inf")) < put.began
        if put.was_stored or put.status == PRECONDITION_FAILED:
            sizes[part] = put.body_bytes
            if put.was_answered:
                answered_at.setdefault(part, put.ended)
    sent_bytes = sum(put.body_bytes for put in puts) + aborted_bytes
    return UploadCount(len(puts), sent_bytes, sum(sizes.values()), after_confirmation, after_reply)


@dataclass(frozen=True)
class WeekReport:
    """The result of a week as rows of (name, value); `faults` must be 0."""

    rows: Sequence[tuple[str, str]]
    faults: int

    def text(self) -> str:
        wide = max(len(name) for name, _ in self.rows)
        return "\n".join(f"{name:<{wide}}  {value}" for name, value in self.rows)


def report(plan: WeekPlan, run: WeekRun, stored: StoredState, server_deaths: Sequence[str]) -> WeekReport:
    log, calls = run.log, [request for request in run.server.requests if request.name != "GET"]
    uploads = count_puts(run.objects.requests, run.objects.aborted_bytes, run.confirmed)
    receipts = json.loads(log.receipts)
    proven = sum(bool(receipt["holds"]) for receipt in receipts)
    unproven = abs(plan.observations - proven)
    faults = Counter(request.fault.name for request in (*calls, *run.objects.requests))
    names = Counter(request.name for request in calls)
    deaths = Counter(server_deaths)
    sent, received = sum(call.sent_bytes for call in calls), sum(call.reply_bytes for call in calls)
    rows = (
        ("observations, photos, ratings and answers stored", ", ".join(f"{n:,}" for n in stored.counts.values())),
        ("observations lost, doubled, out of order", f"{stored.lost}, {stored.doubled}, {stored.misplaced}"),
        ("running numbers missing", f"{stored.gaps}"),
        ("photos lost, doubled, not verified", f"{stored.media_lost}, {stored.media_doubled}, {stored.not_ready}"),
        ("photos whose stored bytes differ", f"{stored.wrong_bytes}"),
        ("ratings and answers lost or doubled", f"{stored.operations_lost}"),
        ("receipts that verify, and that do not", f"{proven}, {unproven}"),
        ("parts sent again after the server confirmed them", f"{uploads.after_confirmation}"),
        ("parts sent again after the object store's reply", f"{uploads.after_reply}"),
        ("time to take, to deliver", f"{log.taking_seconds:.0f} s, {log.delivery_seconds:.0f} s"),
        (
            "round trips to the server",
            f"{len(calls):,}: {', '.join(f'{name} {names[name]}' for name in sorted(names))}",
        ),
        ("bytes up, down, without photos", f"{sent:,}, {received:,}"),
        ("photos taken", f"{run.photos.byte_size / MIB:.1f} MiB"),
        ("photos stored, in PUT requests", f"{uploads.stored_bytes / MIB:.1f} MiB, {uploads.puts:,}"),
        ("photo bytes sent in vain", f"{(uploads.sent_bytes - uploads.stored_bytes) / MIB:.1f} MiB"),
        ("network faults", ", ".join(f"{name} {faults[name]}" for name in sorted(faults))),
        ("phone killed, sync started, signed in", f"{log.phone_deaths}, {log.runs}, {log.sign_ins}"),
        ("server killed", ", ".join(f"{name} {deaths[name]}" for name in sorted(deaths))),
    )
    return WeekReport(rows, stored.faults + unproven + uploads.after_confirmation + uploads.after_reply)
