"""Test the measurement of many phones that come at once."""

import asyncio
import os

from scripts.benchmarks.phones import PhonesReport, PhonesRun
from scripts.benchmarks.process_memory import memory_below
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import RunningProduct


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
