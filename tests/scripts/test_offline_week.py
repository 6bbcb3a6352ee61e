"""Test a small week offline that is handed in through a bad network, and that the final count detects every fault."""

import hashlib
import secrets
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.benchmarks.faulty_network import NetworkFault, Request
from scripts.benchmarks.offline_week.accounting import count_puts, count_stored
from scripts.benchmarks.offline_week.confirmed_parts import WHOLE, ConfirmedParts, arrived_parts
from scripts.benchmarks.offline_week.main import measure_week
from scripts.benchmarks.offline_week.plan import HEAD_BYTES, KIB, MIB, WeekPhotos, WeekPlan
from storage.embedded.engines import Addresses
from tests.support.world import World, draft, medium

SMALL = WeekPlan(
    observations=12,
    photos=24,
    width=160,
    height=120,
    ordinary=(20 * KIB, 60 * KIB),
    large=(9 * MIB, 9 * MIB),
    kills=2,
    token_seconds=2,
    assignments=1,
    ratings=2,
)
MEDIUM = "med_0198c0de-0000-7000-8000-000000000001"
KEY = f"/bucket/originals/{MEDIUM}-{'0' * 64}"


@pytest.mark.long
def test_a_small_offline_week_loses_nothing(engines: Addresses) -> None:
    found = measure_week(engines, SMALL, lambda _: None)
    assert found.faults == 0, found.text()
    rows = dict(found.rows)
    assert rows["observations, photos, ratings and answers stored"] == "12, 24, 4"
    assert rows["receipts that verify, and that do not"] == "12, 0"
    assert "api.server.serve 1" in rows["server killed"]
    assert "KILL" in rows["network faults"]


def test_a_plan_is_reproducible_and_has_one_of_each_kind(tmp_path: Path) -> None:
    observations = list(SMALL.make_observations())
    assert observations == list(SMALL.make_observations())
    shots = [shot for observation in observations for shot in observation.shots]
    assert [shot.number for shot in shots] == list(range(1, 25))
    assert any(shot.byte_size == 9 * MIB for shot in shots)
    assert any(shot.is_copy for shot in shots)
    assert any(observation.is_killed and not observation.has_copy for observation in observations)
    assert [observations[0].ago > observations[5].ago, observations[-1].ago.total_seconds()] == [True, 0]
    photos = WeekPhotos(SMALL, tmp_path)
    files = [file for observation in observations for file in photos.write(observation)]
    bodies = [file.read_bytes() for file in files]
    short = {shot.byte_size - len(body) for body, shot in zip(bodies, shots, strict=True) if not shot.is_copy}
    assert 0 <= min(short) <= max(short) <= HEAD_BYTES
    assert len(set(bodies)) == 24 - sum(shot.is_copy for shot in shots)
    assert photos.byte_size == sum(map(len, bodies))


def put(name: str, began: float, fault: NetworkFault = NetworkFault.PASS, *, size: int = 10) -> Request:
    status = None if fault in {NetworkFault.LOSE, NetworkFault.HALVE} else 200
    reply_bytes = 0 if fault is not NetworkFault.PASS else 100
    return Request(name, KEY, b"", fault, status, size + 50, size, reply_bytes, began, began + 0.5)


def test_needlessly_repeated_puts_are_counted() -> None:
    lost = [put("PUT 1", 1, NetworkFault.HALVE, size=5), put("PUT 1", 2, NetworkFault.LOSE_REPLY), put("PUT 1", 3)]
    uploads = count_puts(lost, 7, ConfirmedParts())
    assert (uploads.puts, uploads.sent_bytes, uploads.stored_bytes) == (3, 32, 10)
    assert (uploads.after_confirmation, uploads.after_reply) == (0, 0)
    there = replace(put("PUT", 1), status=412)
    assert count_puts([there], 0, ConfirmedParts()).stored_bytes == 10
    again = count_puts([*lost, put("PUT 1", 4)], 0, ConfirmedParts())
    assert (again.after_confirmation, again.after_reply) == (0, 1)
    confirmed = ConfirmedParts()
    confirmed.at = {(MEDIUM, 2): 3.5}
    assert count_puts([put("PUT 2", 3), put("PUT 1", 4)], 0, confirmed).after_confirmation == 0
    assert count_puts([put("PUT 2", 4)], 0, confirmed).after_confirmation == 1
    confirmed.at = {(MEDIUM, WHOLE): 3.5}
    assert count_puts([put("PUT 9", 4)], 0, confirmed).after_confirmation == 1


def test_arrived_parts_are_found_anywhere_in_an_answer() -> None:
    slot = {"mediaId": MEDIUM, "parts": [{"number": 1, "hasArrived": True}, {"number": 2, "hasArrived": False}]}
    answer = {
        "data": {
            "requestUploads": {"results": [{"mediaId": MEDIUM, "hasArrived": False, "slot": slot}]},
            "confirmMedia": {"results": [{"mediaId": "m", "media": {"id": "med_a", "state": "UPLOADED"}}]},
            "observations": {
                "edges": [{"node": {"id": "obs_b", "state": "READY"}}, {"id": "med_c", "state": "EXPECTED"}]
            },
        }
    }
    assert sorted(arrived_parts(answer)) == [(MEDIUM, 1), ("med_a", WHOLE)]


async def test_the_count_detects_lost_doubled_and_different_records(world: World) -> None:
    """Two observations are stored, and each possible fault is then simulated once."""
    inspector = str(world.people["inspector"].id)
    bodies = [secrets.token_bytes(20) for _ in range(2)]
    sent = [
        draft(text=f"{number}", deviceSequence=number, media=[medium(body)]) for number, body in enumerate(bodies, 1)
    ]
    for each in sent:
        await world.submit("inspector", each)
    digests = {f"{number}": [hashlib.sha256(body).hexdigest()] for number, body in enumerate(bodies, 1)}
    store, media = world.store, world.store.mongo.collection("media")

    async def count(known: dict[str, list[str]] = digests, rated: int = 0) -> tuple[int, ...]:
        state = await count_stored(store, inspector, known, [], rated)
        return (
            *(state.lost, state.doubled, state.misplaced, state.gaps, state.operations_lost),
            *(state.media_lost, state.media_doubled, state.not_ready, state.wrong_bytes),
        )

    assert await count() == (0, 0, 0, 0, 0, 0, 0, 2, 2)
    for each, body in zip(sent, bodies, strict=True):
        [stored] = await media.find({"_id": each["media"][0]["id"]})
        await store.objects.put(str(stored["key"]), body, "image/jpeg")
        await media.update_many({"_id": stored["_id"]}, {"$set": {"state": "READY"}})
    assert await count() == (0,) * 9
    assert (await count(rated=1))[4] == 1
    assert (await count({"2": digests["2"], "1": digests["1"]}))[2] == 2
    assert (await count(digests | {"3": ["0" * 64]}))[0] == 1
    assert (await count({"1": digests["1"]}))[1] == 1
    assert (await count(digests | {"1": digests["2"]}))[5:7] == (1, 1)
    await store.objects.put(str(stored["key"]), b"others", "image/jpeg")
    assert (await count())[8] == 1
    await store.mongo.collection("observations").update_many(
        {"_id": sent[1]["id"]}, {"$set": {"content.device_sequence": 3}}
    )
    assert (await count())[3] == 1


def test_the_command_lists_its_options() -> None:
    from scripts.benchmarks.main import app  # noqa: PLC0415  its imports take longer than the other tests

    printed = CliRunner().invoke(app, ["week", "--help"]).output
    assert all(option in printed for option in ("--observations", "--photos", "--seed"))
    assert replace(SMALL, seed=2) != SMALL
