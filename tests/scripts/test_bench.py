"""Test that the benchmarks measure what they claim to. Their speed is not tested."""

import asyncio
import os
from pathlib import Path

import pytest

from api.settings import Settings
from scripts.benchmarks.day_traffic import measure_day
from scripts.benchmarks.main import measure_likeness
from scripts.benchmarks.phones import PhonesReport, PhonesRun
from scripts.benchmarks.process_memory import memory_below
from storage.mongodb.client import Mongo
from storage.store import Store
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import RunningProduct


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


def test_phones_that_come_at_once_are_timed_and_their_errors_are_counted(served: RunningProduct) -> None:
    before = memory_below(os.getpid())
    run = PhonesRun(served.own_address, [served.person(), "nobody"], PASSWORD, "360703-JT-1")
    asyncio.run(run.run())
    assert [len(step.seconds) for step in run.steps.values()] == [1, 1, 1, 1, 1]
    report = PhonesReport(run.steps, before, memory_below(os.getpid()))
    assert report.failures == 1
    printed = report.text().splitlines()
    assert printed[1].split()[:5] == ["sign", "in", "1", "0", "1"]
    assert printed[2].split() == ["1", "BAD_CREDENTIALS"]
    [line] = [line.split() for line in printed if line.startswith("api.server.serve")]
    before_mib, highest, after = (int(figure) for figure in line[1:])
    assert 50 < before_mib <= highest
    assert 50 < after <= highest
