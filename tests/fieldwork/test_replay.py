"""Test replay: the operations of a day, sent three more times in other orders and concurrently, change nothing.

`pytest tests/fieldwork/test_replay.py --replay-cases 100` replays 1,000 operations.
"""

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


def operations(world: World, seed: int, count: int) -> Iterator[list[Operation]]:
    """Yield the operations of a day with `count` cases in waves. Operations depend only on those of earlier waves."""
    dice = random.Random(seed)  # noqa: S311
    people = {name: person.id for name, person in world.people.items()}
    drafts = [draft(text=f"第 {n} 条", media=[medium(f"{seed}-{n}".encode())]) for n in range(count * 42 // 10)]
    yield [("inspector", SUBMIT, {"drafts": [each]}) for each in drafts]
    yield [
        (
            "inspector",
            REVISE,
            {"id": new_id("rev"), "reason": "补充", "content": each | {"text": "补充情况", "media": []}},
        )
        for each in dice.sample(drafts, count)
    ]
    cases = [
        {"id": new_id("cas"), "title": f"第 {n} 件", "observationIds": [drafts[n]["id"]], "accept": n % 10 != 0}
        for n in range(count)
    ]
    yield [("officer", OPEN, each) for each in cases]
    accepted = [each for each in cases if each["accept"]]
    waiting = [each for each in cases if not each["accept"]]
    yield [
        ("officer", LINK, {"id": new_id("evt"), "caseId": each["id"], "observationIds": [drafts[count + n]["id"]]})
        for n, each in enumerate(cases)
    ]
    yield [
        ("officer", UNLINK, {"id": new_id("evt"), "caseId": each["id"], "observationIds": [drafts[count + n]["id"]]})
        for n, each in enumerate(cases[: count * 4 // 10])
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
    taken, given_back = offers[: count * 7 // 10], offers[count * 7 // 10 :]
    handed_on, finished = taken[: count * 2 // 10], taken[count * 2 // 10 : count * 5 // 10]
    yield [(names[each["assigneeId"]], ACCEPT, {"id": each["id"]}) for each in taken] + [
        ("officer", WITHDRAW, {"id": each["id"]}) for each in given_back
    ]
    onward = [{"id": new_id("asg"), "assignmentId": each["id"], "assigneeId": people["officer"]} for each in handed_on]
    yield [(names[each["assigneeId"]], HAND_ON, offer) for each, offer in zip(handed_on, onward, strict=True)] + [
        (names[each["assigneeId"]], FINISH, {"id": each["id"], "result": "已核实"}) for each in finished
    ]
    yield [("officer", ACCEPT, {"id": each["id"]}) for each in onward[: count // 10]] + [
        (
            "officer",
            MOVE,
            {"id": new_id("evt"), "caseId": each["caseId"], "to": "CLOSED", "outcome": "UNFOUNDED", "reply": "不实"},
        )
        for each in finished
    ]


async def send(world: World, sent: list[Operation]) -> None:
    """Send all operations, some of them concurrently. Their answers don't matter, but each must be answered."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(operation: Operation) -> None:
        person, document, input = operation
        async with places:
            await world.ask(person, document, input=input)

    await asyncio.gather(*map(one, sent))


@pytest.mark.parametrize("driver", ["pymongo"])  # it takes half the time of the other
async def test_replaying_a_day_three_times_changes_nothing(world: World, request: pytest.FixtureRequest) -> None:
    seed, count = 2009, int(request.config.getoption("--replay-cases"))
    waves = list(operations(world, seed, count))
    for wave in waves:
        await send(world, wave)
    sent = [operation for wave in waves for operation in wave]
    assert len(sent) >= 10 * count
    settled = await world.snapshot()
    assert [len(settled[name]) for name in ("observations", "media", "cases", "set_aside")] == [
        count * 42 // 10,
        count * 42 // 10,
        count,
        0,
    ]
    assert sorted(each["sequence"] for each in settled["cases"]) == list(range(1, count + 1))
    dice = random.Random(seed)  # noqa: S311
    for _ in range(3):
        dice.shuffle(sent)
        await send(world, sent)
        assert await world.snapshot() == settled
