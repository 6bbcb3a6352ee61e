"""The worker: one record that trips our own code, as a bug would, costs itself and no other record's work."""

import anyio
import pytest

from api import work
from api.metrics import Metrics
from tests.test_checking import FAR, codes_of
from tests.world import World


@pytest.fixture
def driver() -> str:
    return "motor"


async def test_a_record_that_trips_our_code_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "LOOK_EVERY_SECONDS", 0.05)
    observations = world.store.mongo.collection("observations")
    poisoned = await world.observe(position=FAR | {"isMock": True})
    await observations.update_one({"_id": poisoned}, {"$unset": {"content.text": ""}})
    sound = await world.observe("inspector2", position=FAR | {"isMock": True})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work.work, world.settings, world.store, Metrics())
        with anyio.fail_after(20):
            while await codes_of(world, sound) != ["MOCK_POSITION"]:  # noqa: ASYNC110  the database has no event to wait for
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    left = await observations.find_one({"_id": poisoned})
    assert left
    assert left["check_due_at"] is not None, "it is tried again once its lease is over"
