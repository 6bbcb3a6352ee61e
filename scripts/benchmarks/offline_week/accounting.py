"""Count the result of a week in the database, the object store and the network traffic, never from the phone's report."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mobile_contract.phone.upload.signed_put import PRECONDITION_FAILED
from scripts.benchmarks.faulty_network import Request
from scripts.benchmarks.offline_week.confirmed_parts import WHOLE, Confirmed
from scripts.benchmarks.offline_week.plan import MIB, WeekPlan
from scripts.benchmarks.offline_week.run import Traveller
from storage.store import Store

_MEDIUM = re.compile(r"med_[0-9a-f-]{36}")
EVIDENCE, OPEN = "READY", "FINISHED"


@dataclass
class Kept:
    """What database and object store hold of one person, compared with the plan. All except `found` must be 0."""

    found: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0
    misplaced: int = 0
    media_lost: int = 0
    media_doubled: int = 0
    not_ready: int = 0
    wrong_bytes: int = 0
    gaps: int = 0
    slips_lost: int = 0

    @property
    def faults(self) -> int:
        counts = (self.lost, self.doubled, self.misplaced, self.media_lost, self.media_doubled)
        return sum((*counts, self.not_ready, self.wrong_bytes, self.gaps, self.slips_lost))


async def count_kept(
    store: Store, inspector_id: str, digests: dict[str, list[str]], assignments: Sequence[str], rated: int
) -> Kept:
    """`digests` holds the photos' digests by observation text, in the order in which they were taken."""
    kept = Kept()

    async def find_all(name: str, filter: dict[str, Any]) -> list[dict[str, Any]]:
        return [dict(document) for document in await store.mongo.collection(name).find(filter)]

    observations = await find_all("observations", {"author_id": inspector_id})
    observations.sort(key=lambda observation: int(observation["content"]["device_sequence"]))
    media = {str(medium["_id"]): medium for medium in await find_all("media", {"uploader_id": inspector_id})}
    contents = [observation["content"] for observation in observations]
    texts = Counter(str(content["text"]) for content in contents)
    kept.lost = sum(text not in texts for text in digests)
    kept.doubled = sum(texts.values()) - len(texts.keys() & digests.keys())
    kept.gaps = sum(content["device_sequence"] != number for number, content in enumerate(contents, start=1))
    kept.misplaced = sum(content["text"] != text for content, text in zip(contents, digests, strict=False))
    for content in contents:
        stored = Counter(media[id]["sha256"] for id in content["media_ids"] if id in media)
        expected = Counter(digests.get(str(content["text"]), ()))
        kept.media_lost += (expected - stored).total()
        kept.media_doubled += (stored - expected).total()
    references = Counter(id for content in contents for id in content["media_ids"])
    kept.media_doubled += len(media.keys() - references.keys()) + sum(count - 1 for count in references.values())
    kept.not_ready = sum(medium["state"] != EVIDENCE for medium in media.values())
    for medium in media.values():
        kept.wrong_bytes += await _digest(store, str(medium["key"])) != medium["sha256"]
    ratings = await find_all("ratings", {"rater_id": inspector_id})
    answered = await find_all("assignments", {"_id": {"$in": list(assignments)}, "state": OPEN})
    kept.slips_lost = abs(rated - len(ratings)) + len(assignments) - len(answered)
    kept.found = {"observations": len(observations), "media": len(media), "slips": len(ratings) + 2 * len(answered)}
    return kept


async def _digest(store: Store, key: str) -> str | None:
    digest = hashlib.sha256()
    async with store.objects.open(key) as reading:
        if reading is None:
            return None
        async for chunk in reading.chunks:
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True)
class Sent:
    """PUT requests, and those that the phone repeated although it knew that the part had arrived."""

    puts: int
    carried: int
    stored: int
    after_told: int
    after_answer: int


def count_puts(requests: Sequence[Request], broken_off: int, confirmed: Confirmed) -> Sent:
    """Count PUT requests and their bytes.

    `after_told` counts those after the server had confirmed the part, `after_answer` those after the phone got the store's
    200. `carried` counts all sent bytes, `stored` those of each part once.
    """
    puts = sorted((request for request in requests if request.name.startswith("PUT")), key=lambda put: put.began)
    answered: dict[tuple[str, str], float] = {}
    sizes: dict[tuple[str, str], int] = {}
    after_told = after_answer = 0
    for put in puts:
        part = put.key, put.name
        match = _MEDIUM.search(put.key)
        medium, number = match[0] if match else "", int(put.name.removeprefix("PUT").strip() or WHOLE)
        confirmed_at = min(confirmed.at.get((medium, known), float("inf")) for known in (number, WHOLE))
        after_told += confirmed_at < put.began
        after_answer += answered.get(part, float("inf")) < put.began
        if put.was_stored or put.status == PRECONDITION_FAILED:
            sizes[part] = put.carried
            if put.was_told:
                answered.setdefault(part, put.ended)
    carried = sum(put.carried for put in puts) + broken_off
    return Sent(len(puts), carried, sum(sizes.values()), after_told, after_answer)


@dataclass(frozen=True)
class WeekReport:
    """The result of a week as rows of (name, value); `faults` must be 0."""

    rows: Sequence[tuple[str, str]]
    faults: int

    def text(self) -> str:
        wide = max(len(name) for name, _ in self.rows)
        return "\n".join(f"{name:<{wide}}  {value}" for name, value in self.rows)


def report(plan: WeekPlan, traveller: Traveller, kept: Kept, server_deaths: Sequence[str]) -> WeekReport:
    journey, asked = traveller.journey, [request for request in traveller.server.requests if request.name != "GET"]
    sent = count_puts(traveller.objects.requests, traveller.objects.bytes_broken_off, traveller.confirmed)
    receipts = json.loads(journey.receipts)
    proven = sum(bool(receipt["holds"]) for receipt in receipts)
    unproven = abs(plan.observations - proven)
    fates = Counter(request.fate.name for request in (*asked, *traveller.objects.requests))
    names = Counter(request.name for request in asked)
    died = Counter(server_deaths)
    rows = (
        ("observations, photos, ratings and answers stored", ", ".join(f"{n:,}" for n in kept.found.values())),
        ("observations lost, doubled, out of order", f"{kept.lost}, {kept.doubled}, {kept.misplaced}"),
        ("running numbers missing", f"{kept.gaps}"),
        ("photos lost, doubled, not verified", f"{kept.media_lost}, {kept.media_doubled}, {kept.not_ready}"),
        ("photos whose stored bytes differ", f"{kept.wrong_bytes}"),
        ("ratings and answers lost or doubled", f"{kept.slips_lost}"),
        ("receipts that verify, and that do not", f"{proven}, {unproven}"),
        ("parts sent again after the server confirmed them", f"{sent.after_told}"),
        ("parts sent again after the object store's reply", f"{sent.after_answer}"),
        ("time to take, to deliver", f"{journey.taking:.0f} s, {journey.delivering:.0f} s"),
        (
            "round trips to the server",
            f"{len(asked):,}: {', '.join(f'{name} {names[name]}' for name in sorted(names))}",
        ),
        ("bytes up, down, without photos", f"{_sum(asked, 'sent'):,}, {_sum(asked, 'answered'):,}"),
        ("photos taken", f"{traveller.room.byte_size / MIB:.1f} MiB"),
        ("photos stored, in PUT requests", f"{sent.stored / MIB:.1f} MiB, {sent.puts:,}"),
        ("photo bytes sent in vain", f"{(sent.carried - sent.stored) / MIB:.1f} MiB"),
        ("network faults", ", ".join(f"{name} {fates[name]}" for name in sorted(fates))),
        ("phone killed, sync started, signed in", f"{journey.phone_deaths}, {journey.runs}, {journey.sign_ins}"),
        ("server killed", ", ".join(f"{name} {died[name]}" for name in sorted(died))),
    )
    return WeekReport(rows, kept.faults + unproven + sent.after_told + sent.after_answer)


def _sum(requests: Sequence[Request], name: str) -> int:
    return sum(getattr(request, name) for request in requests)
