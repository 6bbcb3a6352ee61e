"""What became of a week: counted in the database, in the store and on the line, never taken from the phone's word.

The week itself is `travelling`'s.
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
from scripts.benchmarks.offline_week.confirmed_parts import WHOLE, Confirmed
from scripts.benchmarks.offline_week.plan import MIB, WeekPlan
from scripts.benchmarks.offline_week.run import Traveller
from storage.store import Store

_MEDIUM = re.compile(r"med_[0-9a-f-]{36}")
EVIDENCE, OPEN = "READY", "FINISHED"


@dataclass
class Kept:
    """What the database and the store have of one person, each against what was observed. All but `found` are to be 0."""

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
        own = (self.lost, self.doubled, self.misplaced, self.media_lost, self.media_doubled)
        return sum((*own, self.not_ready, self.wrong_bytes, self.gaps, self.slips_lost))


async def count_kept(
    store: Store, inspector_id: str, digests: dict[str, list[str]], assignments: Sequence[str], rated: int
) -> Kept:
    """`digests` are those of the photos by the text of the observation, in the order in which they were taken."""
    kept = Kept()

    async def all_of(name: str, filter: dict[str, Any]) -> list[dict[str, Any]]:
        return [dict(each) for each in await store.mongo.collection(name).find(filter)]

    observations = await all_of("observations", {"author_id": inspector_id})
    observations.sort(key=lambda each: int(each["content"]["device_sequence"]))
    media = {str(each["_id"]): each for each in await all_of("media", {"uploader_id": inspector_id})}
    texts = Counter(str(each["content"]["text"]) for each in observations)
    kept.lost = sum(text not in texts for text in digests)
    kept.doubled = sum(texts.values()) - len(texts.keys() & digests.keys())
    kept.gaps = sum(each["content"]["device_sequence"] != number for number, each in enumerate(observations, start=1))
    kept.misplaced = sum(each["content"]["text"] != text for each, text in zip(observations, digests, strict=False))
    for each in observations:
        own = [media[id]["sha256"] for id in each["content"]["media_ids"] if id in media]
        wanted = Counter(digests.get(str(each["content"]["text"]), ()))
        kept.media_lost += (wanted - Counter(own)).total()
        kept.media_doubled += (Counter(own) - wanted).total()
    named = Counter(id for each in observations for id in each["content"]["media_ids"])
    kept.media_doubled += len(media.keys() - named.keys()) + sum(count - 1 for count in named.values())
    kept.not_ready = sum(each["state"] != EVIDENCE for each in media.values())
    for each in media.values():
        kept.wrong_bytes += await _digest(store, str(each["key"])) != each["sha256"]
    ratings = await all_of("ratings", {"rater_id": inspector_id})
    answered = await all_of("assignments", {"_id": {"$in": list(assignments)}, "state": OPEN})
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
    """Puts on the line, and of them those that were made although the phone knew better."""

    puts: int
    carried: int
    stored: int
    after_told: int
    after_answer: int


def count_puts(requests: Sequence[Request], broken_off: int, confirmed: Confirmed) -> Sent:
    """`after_told`: the server had said that the part is there. `after_answer`: the store's own 200 had been handed over.

    `stored` are the bytes that the store has of all that `carried`, each counted once.
    """
    puts = sorted((each for each in requests if each.name.startswith("PUT")), key=lambda each: each.began)
    answered: dict[tuple[str, str], float] = {}
    sizes: dict[tuple[str, str], int] = {}
    after_told = after_answer = 0
    for each in puts:
        place = each.key, each.name
        found = _MEDIUM.search(each.key)
        medium, number = found[0] if found else "", int(each.name.removeprefix("PUT").strip() or WHOLE)
        told = min(confirmed.at.get((medium, part), float("inf")) for part in (number, WHOLE))
        after_told += told < each.began
        after_answer += answered.get(place, float("inf")) < each.began
        if each.was_stored or each.status == PRECONDITION_FAILED:
            sizes[place] = each.carried
            if each.was_told:
                answered.setdefault(place, each.ended)
    carried = sum(each.carried for each in puts) + broken_off
    return Sent(len(puts), carried, sum(sizes.values()), after_told, after_answer)


@dataclass(frozen=True)
class WeekReport:
    """All that is said of a week; `faults` is what must be 0."""

    rows: Sequence[tuple[str, str]]
    faults: int

    def told(self) -> str:
        wide = max(len(name) for name, _ in self.rows)
        return "\n".join(f"{name:<{wide}}  {value}" for name, value in self.rows)


def report(plan: WeekPlan, traveller: Traveller, kept: Kept, server_deaths: Sequence[str]) -> WeekReport:
    journey, asked = traveller.journey, [each for each in traveller.server.requests if each.name != "GET"]
    sent = count_puts(traveller.objects.requests, traveller.objects.bytes_broken_off, traveller.confirmed)
    receipts = json.loads(journey.receipts)
    held = sum(bool(each["holds"]) for each in receipts)
    unproven = abs(plan.observations - held)
    fates = Counter(each.fate.name for each in (*asked, *traveller.objects.requests))
    names = Counter(each.name for each in asked)
    died = Counter(server_deaths)
    rows = (
        ("observations, photos, slips kept", ", ".join(f"{count:,}" for count in kept.found.values())),
        ("observations lost, doubled, out of order", f"{kept.lost}, {kept.doubled}, {kept.misplaced}"),
        ("running numbers missing", f"{kept.gaps}"),
        ("photos lost, doubled, not verified", f"{kept.media_lost}, {kept.media_doubled}, {kept.not_ready}"),
        ("photos with other bytes than were taken", f"{kept.wrong_bytes}"),
        ("ratings and answers lost or doubled", f"{kept.slips_lost}"),
        ("receipts that hold, and that do not", f"{held}, {unproven}"),
        ("parts sent again after the server told them to be there", f"{sent.after_told}"),
        ("parts sent again after the store's answer", f"{sent.after_answer}"),
        ("time to take, to deliver", f"{journey.taking:.0f} s, {journey.delivering:.0f} s"),
        (
            "round trips to the server",
            f"{len(asked):,}: {', '.join(f'{name} {names[name]}' for name in sorted(names))}",
        ),
        ("bytes up, down, apart from photos", f"{_sum(asked, 'sent'):,}, {_sum(asked, 'answered'):,}"),
        ("photos taken", f"{traveller.room.byte_size / MIB:.1f} MiB"),
        ("photos stored, in puts", f"{sent.stored / MIB:.1f} MiB, {sent.puts:,}"),
        ("photo bytes sent in vain", f"{(sent.carried - sent.stored) / MIB:.1f} MiB"),
        ("what the network did", ", ".join(f"{name} {fates[name]}" for name in sorted(fates))),
        ("phone killed, started to send, signed in", f"{journey.phone_deaths}, {journey.runs}, {journey.sign_ins}"),
        ("server killed", ", ".join(f"{name} {died[name]}" for name in sorted(died))),
    )
    return WeekReport(rows, kept.faults + unproven + sent.after_told + sent.after_answer)


def _sum(requests: Sequence[Request], name: str) -> int:
    return sum(getattr(each, name) for each in requests)
