"""Test the event dispatcher after MongoDB lost its history: later events arrive, a lost position is read only once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from api.notifications import event_dispatcher
from api.notifications.event_dispatcher import EventDispatcher
from api.notifications.subscriber import Subscriber
from schema.access.viewers import Viewer
from storage.mongodb.errors import HistoryLostError
from storage.notifications.record_events import Batch, EventKind, EventReader, RecordEvents
from tests.support.world import World


class Breaking:
    """The real record events, but their history can be lost on demand.

    `asked` holds the positions from which events were read.
    """

    def __init__(self, log: RecordEvents) -> None:
        self._log = log
        self.asked: list[str | None] = []
        self.is_lost = False

    @asynccontextmanager
    async def open_reader(self, after: str | None) -> AsyncIterator[EventReader]:
        self.asked.append(after)
        async with self._log.open_reader(after) as reader:
            yield _Broken(self, reader)

    async def write_heartbeat(self) -> None:
        await self._log.write_heartbeat()


class _Broken:
    def __init__(self, log: Breaking, reader: EventReader) -> None:
        self._log, self._reader = log, reader

    async def next(self) -> Batch:
        if self._log.is_lost:
            self._log.is_lost = False
            raise HistoryLostError
        return await self._reader.next()


@asynccontextmanager
async def running(board: EventDispatcher) -> AsyncIterator[None]:
    task = asyncio.ensure_future(board.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(told: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not told():  # noqa: ASYNC110  a subscriber has no event for the tests
            await anyio.sleep(0.01)


def viewer(world: World, name: str) -> Viewer:
    found = world.context(name).viewer
    assert found
    return found


async def test_changes_after_a_lost_history_are_delivered(world: World) -> None:
    """A subscriber that hears of missed events pulls at once. Therefore it must hear of every later event."""
    log = Breaking(world.store.record_events)
    board, reader = EventDispatcher(log), Subscriber(viewer(world, "officer"), frozenset({EventKind.CASE}))
    async with running(board):
        await board.add_listener(reader, None)
        log.is_lost = True
        await until(lambda: reader.is_overrun)
        reader.is_overrun = False
        case = await world.open_case()
        await until(lambda: (notice := reader.pop_event()) is not None and notice.id == case["id"])


async def test_a_position_too_far_back_is_looked_up_only_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_dispatcher, "MAX_KEPT", 3)
    log = Breaking(world.store.record_events)
    async with log.open_reader(None) as before:
        old = (await before.next()).position
    for _ in range(6):
        await world.open_case()
    board, officer = EventDispatcher(log), viewer(world, "officer")
    async with running(board):
        for _ in range(3):
            with pytest.raises(HistoryLostError):
                await board.add_listener(Subscriber(officer, frozenset({EventKind.CASE})), old)
        assert log.asked.count(old) == 1
        assert board.listener_count == 0
        reader = Subscriber(officer, frozenset({EventKind.CASE}))
        await board.add_listener(reader, None)
        case = await world.open_case()
        await until(lambda: (notice := reader.pop_event()) is not None and notice.id == case["id"])
