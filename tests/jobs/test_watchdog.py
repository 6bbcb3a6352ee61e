"""Test the watchdog: it ends a process whose work stands still, and nothing else."""

import asyncio
import sys
from pathlib import Path

import anyio
import pytest

from api.jobs.watchdog import EXIT_CODE, LoopTurns, Watchdog, WorkInProgress, driver_signs
from storage.mongodb.client import Mongo
from storage.processes.programs import Program
from storage.processes.supervisor import Child, ProcessLostError
from tests.support.fail_points import failing
from tests.support.process_states import wait_until_async

ROOT = Path(__file__).parents[2]
HANGING = """
import sys, threading, time
import anyio
from api.jobs.watchdog import LoopTurns, WorkInProgress, watching

async def main():
    turns, work = LoopTurns(0.01), WorkInProgress()
    async with anyio.create_task_group() as tasks:
        with watching(turns.signs, work.signs, seconds=0.1, looks=5):
            tasks.start_soon(turns.run)
            with work.track("check"):
                if sys.argv[1] == "loop":
                    threading.Event().wait()
                if sys.argv[1] == "work":
                    await anyio.sleep_forever()
            tasks.cancel_scope.cancel()

anyio.run(main)
"""


def test_only_what_stays_the_same_for_many_looks_in_a_row_stands_still() -> None:
    signs = {("a", 1), ("b", 1)}
    watchdog = Watchdog([lambda: list(signs)], looks=2)
    assert [watchdog.look(), watchdog.look()] == [[], []]
    signs.remove(("b", 1))
    assert watchdog.look() == ["a"]
    signs.add(("b", 1))
    signs.remove(("a", 1))
    signs.add(("a", 2))
    assert [watchdog.look(), watchdog.look()] == [[], []]
    assert watchdog.look() == ["a", "b"]


@pytest.mark.both_drivers
async def test_long_work_makes_progress_by_its_database_calls(mongo: Mongo) -> None:
    work = WorkInProgress()
    watchdog = Watchdog([work.signs], looks=1)
    with work.track("check"):
        for _ in range(5):
            await mongo.collection("things").find_one({})
            assert watchdog.look() == []
        assert watchdog.look() == ["check 1"]
    assert watchdog.look() == []


@pytest.mark.both_drivers
async def test_a_database_call_that_never_ends_stands_still(mongo: Mongo, system: Mongo) -> None:
    watchdog = Watchdog([driver_signs], looks=3)
    await mongo.command("ping")
    async with failing(system, mongo, "things", blockConnection=True, blockTimeMS=500):
        call = asyncio.create_task(mongo.collection("things").find({}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [watchdog.look() for _ in range(3)] == [[], [], []]
        assert watchdog.look() == ["database call"]
        await call
    assert watchdog.look() == []


async def test_a_running_event_loop_does_not_stand_still() -> None:
    turns = LoopTurns(0)
    watchdog = Watchdog([turns.signs], looks=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(turns.run)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
            assert watchdog.look() == []
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("what", ["loop", "work"])
async def test_a_process_that_stands_still_is_started_again_by_its_supervisor(tmp_path: Path, what: str) -> None:
    said: list[str] = []
    lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
    command = [sys.executable, "-c", HANGING, what]
    program = Program("worker", command, {"PYTHONPATH": str(ROOT)}, tmp_path, tmp_path / "log", grace_seconds=1)
    child = Child(program, said.append, lost)
    await child.start()
    first = child.pid
    await wait_until_async(lambda: child.pid not in {None, first})
    await child.stop()
    assert said[0] == f"worker died by exit code {EXIT_CODE} and is started again."
    log = (tmp_path / "log").read_text()
    assert "stands still" in log
    assert {"loop": "event loop", "work": "check 1"}[what] in log
    assert "most recent call first" in log


async def test_a_process_that_works_ends_by_itself(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGING, "nothing", cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert await process.wait() == 0
