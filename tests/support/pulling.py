"""Pull changes as a phone does, and run the worker that writes the change feed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio

from api.graphql.context import clock
from api.sync.change_feed_worker import ChangeFeedWorker
from schema.organisation.monitoring_points import MonitoringPoint
from storage.store import Store
from tests.support.world import World, new_id

PULL = """
query Pull($since: String, $kinds: [ChangeKind!], $first: Int!) {
  changes(since: $since, kinds: $kinds, first: $first) {
    __typename
    ... on ChangePage {
      cursor hasMore asOf
      changes {
        kind id
        record {
          __typename
          ... on Unit { id code name }
          ... on MonitoringPoint { id code enterprise }
          ... on CatalogueEntry { id code name }
          ... on Assignment { id assignmentState: state note case { id } }
          ... on Case { id number caseState: state }
          ... on Observation { id revision mediaArrived content { text } followUps { caseNumber state reply } }
        }
      }
    }
    ... on Refused { code nextStep field message }
  }
}"""


@asynccontextmanager
async def followed(store: Store) -> AsyncIterator[None]:
    """Run a worker that writes the change feed, until the block ends."""
    work = ChangeFeedWorker(store, new_id("ses"), clock, save_interval=timedelta())

    async def follow() -> None:
        while True:
            await work.follow()
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        yield
        tasks.cancel_scope.cancel()


async def settled(store: Store) -> None:
    """Wait until the change feed contains everything that was written before this call."""
    written = clock()
    with anyio.fail_after(20):
        while True:
            sequence = await store.changes.sequence()
            if sequence and sequence.as_of and sequence.as_of > written:
                return
            await anyio.sleep(0.01)


def point_of(world: World) -> MonitoringPoint:
    """Return the world's only monitoring point."""
    assert world.point
    return world.point


class Puller:
    """The records of one phone, and its cursor."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.cursor: str | None = None
        self.records: dict[str, dict[str, Any]] = {}

    async def page(self, kinds: Sequence[str] | None = None, first: int = 100) -> dict[str, Any]:
        asked = {"since": self.cursor, "kinds": kinds, "first": first}
        answer: dict[str, Any] = (await self.world.ask(self.name, PULL, **asked))["changes"]
        return answer

    def take(self, page: dict[str, Any]) -> None:
        self.cursor = page["cursor"]
        for change in page["changes"]:
            if change["record"] is None:
                self.records.pop(change["id"], None)
            else:
                self.records[change["id"]] = change["record"]

    async def pull(self, kinds: Sequence[str] | None = None, first: int = 100) -> list[dict[str, Any]]:
        """Pull all pages, apply them, and return the changes."""
        await settled(self.world.store)
        changes: list[dict[str, Any]] = []
        while True:
            page = await self.page(kinds, first)
            assert page["__typename"] == "ChangePage", page
            self.take(page)
            changes += page["changes"]
            if not page["hasMore"]:
                return changes

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records.values() if record["__typename"] == kind]
