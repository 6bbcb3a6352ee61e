"""Test causal reads: each read of a pull sees at least as much as the reads before it."""

from typing import Any

import pytest

from storage.embedded.engines import Addresses
from storage.mongodb.client import CommandListener, Mongo
from storage.store import Store
from tests.support.pulling import Puller, followed, settled
from tests.support.world import World


class Reads(CommandListener):
    """The commands that read, as they were sent to the server."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: Any) -> None:
        if event.command_name in {"find", "aggregate"}:
            self.commands.append(dict(event.command))

    def succeeded(self, event: Any) -> None:
        """Do nothing, because the command is recorded when it starts."""

    def failed(self, event: Any) -> None:
        """Do nothing, because the command is recorded when it starts."""


@pytest.mark.parametrize("kind", ["motor", "pymongo"])
async def test_no_read_of_a_pull_sees_less_than_the_reads_before_it(
    world: World, engines: Addresses, kind: str
) -> None:
    store, reads = world.store, Reads()
    async with followed(store):
        await world.observe("inspector")
        await settled(store)
        mongo = Mongo(engines.mongo_url, store.mongo.name, driver=kind, listeners=[reads])
        world.store = Store(mongo, store.objects)
        page = await Puller(world, "inspector").page()
        await mongo.close()
    assert {each["kind"] for each in page["changes"]} >= {"UNIT", "OBSERVATION", "CATALOGUE_ENTRY"}
    names = [next(iter(each.values())) for each in reads.commands]
    after = [each["readConcern"].get("afterClusterTime") for each in reads.commands]
    begun = names.index("change_state")
    assert {"changes", "observations", "units", "catalogue"} <= set(names[begun:])
    assert all(after[begun + 1 :]), list(zip(names, after, strict=True))
    assert {each["readConcern"]["level"] for each in reads.commands} == {"majority"}
