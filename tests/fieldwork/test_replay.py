"""Test replay: a thousand operations, sent three more times in other orders and concurrently, change nothing."""

import asyncio
import random
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest

from tests.support.case_steps import LINK, MOVE, UNLINK
from tests.support.observation_queries import REVISE
from tests.support.world import ACCEPT, ASSIGN, FINISH, HAND_ON, OPEN, SUBMIT, WITHDRAW, World, draft, medium, new_id

Operation = tuple[str, str, dict[str, Any]]
AT_ONCE = 16


def operations(world: World, seed: int) -> Iterator[list[Operation]]:
    """Yield about 1,000 operations of an office's day in waves, each of which depends only on earlier ones."""
    dice = random.Random(seed)  # noqa: S311
    people = {name: person.id for name, person in world.people.items()}
    drafts = [draft(text=f"第 {n} 条", media=[medium(f"{seed}-{n}".encode())]) for n in range(420)]
    yield [("inspector", SUBMIT, {"drafts": [each]}) for each in drafts]
    yield [
        (
            "inspector",
            REVISE,
            {"id": new_id("rev"), "reason": "补充", "content": each | {"text": "补充情况", "media": []}},
        )
        for each in dice.sample(drafts, 100)
    ]
    cases = [
        {"id": new_id("cas"), "title": f"第 {n} 件", "observationIds": [drafts[n]["id"]], "accept": n % 10 != 0}
        for n in range(100)
    ]
    yield [("officer", OPEN, each) for each in cases]
    accepted = [each for each in cases if each["accept"]]
    waiting = [each for each in cases if not each["accept"]]
    yield [
        ("officer", LINK, {"id": new_id("evt"), "caseId": each["id"], "observationIds": [drafts[100 + n]["id"]]})
        for n, each in enumerate(cases)
    ]
    yield [
        ("officer", UNLINK, {"id": new_id("evt"), "caseId": each["id"], "observationIds": [drafts[100 + n]["id"]]})
        for n, each in enumerate(cases[:40])
    ] + [
        (
            "officer",
            MOVE,
            {"id": new_id("evt"), "caseId": each["id"], "to": "DECLINED", "reason": "重复", "reply": "已并"},
        )
        for each in waiting
    ]
    offers: list[dict[str, Any]] = [
        {"id": new_id("asg"), "caseId": each["id"], "assigneeId": people[name]}
        for each, name in zip(accepted, cycle(["supervisor", "supervisor2"]), strict=False)
    ]
    yield [("officer", ASSIGN, each) for each in offers]
    names = {people[name]: name for name in ("supervisor", "supervisor2")}
    taken, given_back = offers[:70], offers[70:]
    yield [(names[each["assigneeId"]], ACCEPT, {"id": each["id"]}) for each in taken] + [
        ("officer", WITHDRAW, {"id": each["id"]}) for each in given_back
    ]
    onward = [{"id": new_id("asg"), "assignmentId": each["id"], "assigneeId": people["officer"]} for each in taken[:20]]
    yield [(names[each["assigneeId"]], HAND_ON, offer) for each, offer in zip(taken[:20], onward, strict=True)] + [
        (names[each["assigneeId"]], FINISH, {"id": each["id"], "result": "已核实"}) for each in taken[20:50]
    ]
    yield [("officer", ACCEPT, {"id": each["id"]}) for each in onward[:10]] + [
        (
            "officer",
            MOVE,
            {"id": new_id("evt"), "caseId": each["caseId"], "to": "CLOSED", "outcome": "PARTLY", "reply": "已办"},
        )
        for each in taken[20:50]
    ]


async def send(world: World, sent: list[Operation]) -> None:
    """Send all operations, some of them concurrently. Their answers don't matter, but each must come."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(operation: Operation) -> None:
        person, document, input = operation
        async with places:
            await world.ask(person, document, input=input)

    await asyncio.gather(*map(one, sent))


@pytest.mark.parametrize("driver", ["pymongo"])  # for four thousand operations it takes half the time of the other
@pytest.mark.long
async def test_replaying_a_thousand_operations_three_times_changes_nothing(world: World) -> None:
    seed = 2009
    waves = list(operations(world, seed))
    for wave in waves:
        await send(world, wave)
    sent = [operation for wave in waves for operation in wave]
    assert len(sent) >= 1000
    settled = await world.snapshot()
    assert [len(settled[name]) for name in ("observations", "media", "cases", "set_aside")] == [420, 420, 100, 0]
    assert sorted(each["sequence"] for each in settled["cases"]) == list(range(1, 101))
    dice = random.Random(seed)  # noqa: S311
    for _ in range(3):
        dice.shuffle(sent)
        await send(world, sent)
        assert await world.snapshot() == settled
