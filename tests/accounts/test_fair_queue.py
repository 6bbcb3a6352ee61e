"""Test the queue of sign-ins: everybody gets a turn, addresses and names in turns, and what is too much is refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from api.accounts.fair_queue import FairQueue
from schema.core.refusals import NextStep, Refusal, RefusalCode


class Crowd:
    """People who want a turn. `order` has those who got one, and `refused` those who did not."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.order: list[str] = []
        self.refused: dict[str, Refusal] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *people: str) -> None:
        """Let people come one after the other. `a.wang.1` is the first attempt on the name wang from the address a."""
        for person in people:
            self.tasks[person] = asyncio.ensure_future(self._want(person))
            await settle()

    async def _want(self, person: str) -> None:
        address, name, _ = person.split(".")
        try:
            async with self.queue.turn(address, name):
                self.order.append(person)
        except Refusal as refusal:
            self.refused[person] = refusal

    async def end(self) -> None:
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def busy(queue: FairQueue) -> AsyncIterator[None]:
    """Hold the only turn of the queue."""
    async with queue.turn("first", "first"):
        yield


async def order_of(people: Sequence[str], limit: int = 100) -> Crowd:
    """Let people wait while the only turn is held. Then let all go on."""
    queue = FairQueue(at_once=1, limit=limit)
    crowd = Crowd(queue)
    async with busy(queue):
        await crowd.come(*people)
    await crowd.end()
    return crowd


async def test_addresses_take_turns_and_names_of_an_address_take_turns() -> None:
    flood = [f"a.wang.{number}" for number in range(5)]
    crowd = await order_of([*flood, "a.li.0", "b.zhao.0", "b.qian.0", "c.sun.0"])
    assert crowd.order == [
        *("a.wang.0", "b.zhao.0", "c.sun.0"),
        *("a.li.0", "b.qian.0"),
        *("a.wang.1", "a.wang.2", "a.wang.3", "a.wang.4"),
    ]
    assert crowd.refused == {}


async def test_a_full_queue_refuses_the_newest_of_those_who_hold_most_places() -> None:
    crowd = await order_of(["a.wang.0", "a.wang.1", "a.li.0", "b.zhao.0", "c.sun.0", "a.li.1", "c.sun.1"], limit=4)
    assert sorted(crowd.refused) == ["a.li.1", "a.wang.1", "c.sun.1"]
    assert sorted(crowd.order) == ["a.li.0", "a.wang.0", "b.zhao.0", "c.sun.0"]
    refusal = crowd.refused["a.li.1"]
    assert (refusal.code, refusal.next_step) == (RefusalCode.BUSY, NextStep.RETRY_LATER)
    assert refusal.retry_after_seconds is not None
    assert 1 <= refusal.retry_after_seconds <= 60
    assert f"{refusal.retry_after_seconds} seconds" in refusal.message


async def test_no_more_than_the_allowed_number_have_a_turn_at_once() -> None:
    queue, inside, most = FairQueue(at_once=3, limit=50), 0, 0

    async def one(number: int) -> None:
        nonlocal inside, most
        async with queue.turn(f"address {number % 7}", f"name {number}"):
            inside += 1
            most = max(most, inside)
            await settle()
            inside -= 1

    await asyncio.gather(*(one(number) for number in range(40)))
    assert (inside, most) == (0, 3)


async def test_a_wait_that_takes_too_long_is_refused_and_leaves_its_place() -> None:
    queue = FairQueue(at_once=1, seconds=0)
    crowd = Crowd(queue)
    async with busy(queue):
        await crowd.come("a.wang.0", "a.wang.1")
        await crowd.end()
    assert sorted(crowd.refused) == ["a.wang.0", "a.wang.1"]
    await crowd.come("a.wang.2")
    assert crowd.order == ["a.wang.2"]


@pytest.mark.parametrize("before_the_turn", [True, False])
async def test_a_turn_of_a_request_that_was_cancelled_goes_to_the_next(*, before_the_turn: bool) -> None:
    queue = FairQueue(at_once=1)
    crowd = Crowd(queue)
    async with busy(queue):
        await crowd.come("a.wang.0", "a.li.0")
        if before_the_turn:
            crowd.tasks["a.wang.0"].cancel()
    crowd.tasks["a.wang.0"].cancel()  # else at the moment at which it has got the turn, and has not run
    await crowd.end()
    assert crowd.order == ["a.li.0"]
    await crowd.come("a.wang.1")
    assert crowd.order == ["a.li.0", "a.wang.1"]
