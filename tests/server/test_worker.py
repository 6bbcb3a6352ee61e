"""Test the worker: a record that raises, as a bug would, does not stop the work on any other record."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio

from api.checks.jobs import JOBS
from api.checks.runner import CheckRunner
from api.graphql.context import clock
from api.jobs.job import Job, Resources, Run
from api.server import worker
from api.telemetry.metrics import Metrics
from tests.support.flags import FAR, codes_of, flags_of
from tests.support.world import SUBMIT, World, draft


async def test_a_record_that_raises_does_not_stop_another(world: World) -> None:
    often = [replace(job, seconds=0.05) for job in JOBS]
    observations = world.store.mongo.collection("observations")
    poisoned = await world.observe(position=FAR | {"isMock": True})
    await observations.update_one({"_id": poisoned}, {"$unset": {"content.text": ""}})
    sound = await world.observe("inspector2", position=FAR | {"isMock": True})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run_worker, world.settings, world.store, Metrics(), often)
        with anyio.fail_after(20):
            while await codes_of(world, sound) != ["MOCK_POSITION"]:  # noqa: ASYNC110  the database has no event to wait for
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    left = await observations.find_one({"_id": poisoned})
    assert left
    assert left["check_due_at"] is not None, "it is tried again once its lease is over"


async def test_the_worker_waits_while_a_disk_is_full_but_goes_on_freeing_space(world: World, tmp_path: Path) -> None:
    done: list[str] = []

    def job(kind: str, **fields: bool) -> Job:
        async def start(_: Resources) -> Run:
            async def work() -> None:
                done.append(kind)

            return work

        return Job(kind, 0.01, start, **fields)

    filler = tmp_path / "filler"
    filler.touch()
    settings = replace(world.settings, storage_folders=(str(filler),), min_free_bytes=2**62)
    async with anyio.create_task_group() as tasks:
        jobs = [job("writes"), job("frees", frees_space=True)]
        tasks.start_soon(worker.run_worker, settings, world.store, Metrics(), jobs)
        with anyio.fail_after(20):
            while done.count("frees") < 3:  # noqa: ASYNC110  the list has no event to wait for
                await anyio.sleep(0.01)
            assert "writes" not in done
            filler.unlink()  # a folder that does not exist is on no full disk
            while "writes" not in done:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


async def test_a_wrong_device_clock_is_flagged_with_the_measured_skew(
    world: World,
) -> None:
    slow = (clock() - timedelta(hours=2)).isoformat()
    sent = draft(capturedAt=slow)
    given = {"drafts": [sent], "deviceClock": {"at": slow, "roundTripMilliseconds": 80}}
    await world.ask("inspector", SUBMIT, input=given)
    await CheckRunner(world.store, clock).do_all()
    [flag] = await flags_of(world, sent["id"]) or []
    assert (flag["code"], flag["value"], flag["measure"]) == ("CLOCK_SKEW", -7200, "SECONDS")
