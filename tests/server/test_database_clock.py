"""Test a machine whose clock is wrong: it is compared with the database's, told, and nothing is signed or stored."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio
import httpx
import pytest
from structlog.testing import capture_logs

from api import connections
from api.jobs.job import Job, Resources, Run
from api.server import worker
from api.server.app import create_app
from api.server.health import server_clock
from api.telemetry.metrics import Metrics
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.mongodb.database_clock import MAX_SECONDS, WARN_SECONDS, DatabaseClock
from tests.support.packs import address, serving
from tests.support.world import SUBMIT, World, draft


def own_clock(ahead: float) -> Callable[[], datetime]:
    """Return the clock of a machine that is this far ahead."""
    return lambda: datetime.now(UTC) + timedelta(seconds=ahead)


@pytest.mark.both_drivers
@pytest.mark.parametrize("ahead", [0, 3 * 3600, -3 * 3600])
async def test_heartbeats_tell_how_far_the_clock_is_ahead(engines: Addresses, driver: str, ahead: float) -> None:
    clock = DatabaseClock(own_clock(ahead), connections._log_clock)
    mongo = Mongo(engines.mongo_url, "test_clock", driver=driver, listeners=[clock])
    assert clock.describe() == "not compared with the database's yet"
    assert clock.is_right, "before the first heartbeat nothing is known against it"
    with capture_logs() as logs:
        await mongo.command("ping")
    await mongo.close()
    assert abs((clock.ahead or 0) - ahead) < WARN_SECONDS
    assert clock.is_right == (ahead == 0)
    assert [each["log_level"] for each in logs if "clock" in each["event"]] == (["error"] if ahead else [])


@pytest.mark.parametrize("ahead", [MAX_SECONDS + 1, -MAX_SECONDS - 1, 3 * 3600])
async def test_nothing_is_signed_or_stored_while_the_clock_is_wrong(world: World, ahead: float) -> None:
    known = await world.observe()
    url = await address(world, "inspector", known)
    before = await world.snapshot()
    world.store.database_clock.ahead = ahead
    sync = "mutation { sync(input: {}) { ... on Refused { code nextStep } } }"
    submitted = (await world.ask("inspector", SUBMIT, input={"drafts": [draft()]}))["submitObservations"]
    assert (submitted["code"], submitted["nextStep"]) == ("UNAVAILABLE", "RETRY_LATER")
    assert "clock" in submitted["message"]
    assert (await world.ask("inspector", sync))["sync"] == {"code": "UNAVAILABLE", "nextStep": "RETRY_LATER"}
    async with serving(world) as client:
        pack = await client.get(url)
    assert (pack.status_code, pack.json()["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
    assert await world.snapshot() == before
    found = await world.ask("inspector", "query($id: ID!) { observation(id: $id) { id } }", id=known)
    assert found == {"observation": {"id": known}}, "reading goes on"
    world.store.database_clock.ahead = -MAX_SECONDS + 1
    await world.observe()


async def test_readyz_tells_that_the_clock_is_wrong(world: World) -> None:
    clock = world.store.database_clock
    probe = server_clock(clock)
    clock.ahead = WARN_SECONDS + 1
    assert (
        await probe.ask()
        == "The clock is 6.0 s ahead of the database's. Set it right: this machine should keep time by NTP."
    )
    clock.ahead = -3 * 3600.0
    app = create_app(world.settings, world.store)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://small") as client:
        answer = await client.get("/readyz")
    [part] = [each for each in answer.json()["parts"] if each["part"] == "clock"]
    assert (answer.status_code, part["up"], part["needed"]) == (503, False, True)
    assert "10800.0 s behind the database's" in part["says"]


async def test_the_worker_does_nothing_while_the_clock_is_wrong(world: World) -> None:
    done = anyio.Event()

    async def start(_: Resources) -> Run:
        async def piece() -> None:
            assert world.store.database_clock.is_right
            done.set()

        return piece

    world.store.database_clock.ahead = 3 * 3600.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run_worker, world.settings, world.store, Metrics(), [Job("test", 0.01, start)])
        with anyio.move_on_after(0.3):
            await done.wait()
        assert not done.is_set()
        world.store.database_clock.ahead = 0.0
        with anyio.fail_after(20):
            await done.wait()
        tasks.cancel_scope.cancel()
