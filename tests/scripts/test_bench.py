"""Test that the benchmarks measure what they claim to. Their speed is not tested."""

from pathlib import Path

import pytest

from api.settings import Settings
from scripts.benchmarks.day_traffic import measure_day
from scripts.benchmarks.main import measure_likeness
from storage.mongodb.client import Mongo
from storage.store import Store


async def test_all_planted_hashes_are_found_and_copies_are_counted(
    mongo: Mongo, capsys: pytest.CaptureFixture[str]
) -> None:
    await measure_likeness(mongo, hashes=400, lookups=30, pictures=1, photos=None, seed=5)
    printed = capsys.readouterr().out
    assert "400 pictures loaded" in printed
    assert "lookup of one hash" in printed
    assert "lookup of one whole picture, a hash and 72 marks, that is like no other" in printed
    assert printed.count("missed 0 of 30") == 3
    assert "encoded at 60                  100.0%  1 of 1" in printed
    assert "taken for copies of one another: 0 of 0 pairs" in printed


async def test_the_traffic_of_a_day_and_of_a_first_sync_is_measured(kept: Store, tmp_path: Path) -> None:
    day = await measure_day(kept, Settings(data=tmp_path), observations=2, photos=3, pulls=2)
    assert day.records > 50
    assert 0 < day.first_sync.received_packed < 200_000
    assert day.first_sync.received_packed < day.first_sync.received_plain
    assert f"first sync of a county, {day.records} records: 1 requests" in day.report(2, 3)
    assert day.work.requests >= 1 + 2 + 1 + 1 + 2
    assert 0 < day.work.sent_packed < day.work.sent_plain
    assert 0 < day.work.received_packed < day.work.received_plain
