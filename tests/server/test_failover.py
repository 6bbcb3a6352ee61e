"""Test that failovers of a replica set lose nothing acknowledged, double nothing, and leave no process standing still.

Three real members are killed, made to step down, stopped and restarted under load, on both drivers at once.
`pytest tests/server/test_failover.py --chaos-minutes 5` goes on for 5 minutes.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from storage.embedded.engines import Addresses
from tests.support.failover_load import RETRIES, FailoverLoad, loaded
from tests.support.replica_set import ReplicaSet, replica_set
from tests.support.storm_checks import summary

DRIVERS = ("motor", "pymongo")
SECONDS = (1.0, 3.0)
LONG_SECONDS = (0.5, 20.0)


@pytest.mark.long
async def test_failovers_lose_nothing_and_double_nothing(
    engines: Addresses, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    minutes, given = float(request.config.getoption("--chaos-minutes")), request.config.getoption("--chaos-seed")
    seed = time.time_ns() % 10**9 if given is None else int(given)
    random = Random(seed)  # noqa: S311  not a secret
    loads: list[FailoverLoad] = []
    async with AsyncExitStack() as exits:
        members = await exits.enter_async_context(replica_set(tmp_path))
        own = replace(engines, mongo_url=members.url)
        try:
            products = [loaded(own, driver, tmp_path / driver, random) for driver in DRIVERS]
            loads += await asyncio.gather(*map(exits.enter_async_context, products))
            members.note("the products serve")
            await _storm(members, loads, random, minutes * 60)
        finally:
            print(f"--chaos-seed={seed}", *members.notes, sep="\n")
            for load in loads:
                print(*summary(load.clients), load.log.read_text()[-2000:], sep="\n")


async def _storm(members: ReplicaSet, loads: list[FailoverLoad], random: Random, seconds: float) -> None:
    calm = asyncio.Event()
    await asyncio.gather(*(load.begin() for load in loads))
    members.note("everybody is signed in")
    async with asyncio.timeout(240 + 2 * seconds), asyncio.TaskGroup() as tasks:
        for load in loads:
            tasks.create_task(load.run(calm))
        await _disturb(members, random, seconds)
        calm.set()
    members.note("everything is acknowledged")
    async with asyncio.timeout(180):
        await asyncio.gather(*(load.check() for load in loads))
    members.note("everything is checked")
    reasons = {reason for load in loads for client in load.clients for reason in client.retries}
    assert {reason.rpartition(": ")[2] for reason in reasons} <= RETRIES, reasons


async def _disturb(members: ReplicaSet, random: Random, seconds: float) -> None:
    """Cause each fault once, in any order, and again until `seconds` have passed."""
    until = time.monotonic() + seconds
    faults = [
        *(members.kill_primary, members.step_down, members.freeze_primary, members.freeze_secondary),
        *(members.freeze_majority, members.kill_all),
    ]
    if seconds:
        faults.append(members.stop_all)
    while True:
        for fault in random.sample(faults, len(faults)):
            await fault(random.uniform(*(LONG_SECONDS if seconds else SECONDS)))
            await members.settled()
        if time.monotonic() > until:
            return
