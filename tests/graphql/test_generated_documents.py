"""Search for a document within the limits that keeps the server busy for too long. Documents are drawn from the schema.

The draws depend on the seed alone. `--documents N` and `--documents-seed SEED` search longer, or elsewhere.
"""

import hashlib
import random
import time
from typing import Any

import pytest

from api.settings import Settings
from schema.core.refusals import Refusal
from tests.support.document_generator import DocumentGenerator
from tests.support.world import SCHEMA, World, medium

SECONDS = 3.0
"""Largest processor time of a document. It is a second on an idle machine; shared ones need up to three times as long."""
PEOPLE = ("officer", "supervisor", "officer", "inspector", "monitor", "officer", "supervisor", "admin")


async def crowded(world: World) -> dict[str, list[str]]:
    """Fill the world with cases that are related to each other, and return ids by their prefix."""
    ids: dict[str, list[str]] = {"obs": [], "med": [], "cas": [], "pnt": [], "unt": [], "usr": []}
    for number in range(24):
        photos = [medium(hashlib.sha256(f"{number}.{each}".encode()).digest()) for each in range(3)]
        ids["obs"].append(await world.observe(media=photos))
        ids["med"] += [str(photo["id"]) for photo in photos]
    for start in range(0, 24, 2):
        for _ in range(2):
            case = await world.open_case("officer", *ids["obs"][start : start + 8])
            ids["cas"].append(case["id"])
    ids["unt"] = [str(unit.id) for unit in world.units.values()]
    ids["usr"] = [str(user.id) for user in world.people.values()]
    assert world.point
    ids["pnt"] = [str(world.point.id)]
    return ids


async def test_no_document_within_the_limits_takes_long(world: World, request: pytest.FixtureRequest) -> None:
    count, seed = request.config.getoption("--documents"), request.config.getoption("--documents-seed")
    generator = DocumentGenerator(SCHEMA._schema, await crowded(world), random.Random(seed))  # noqa: S311
    slowest, ran, stopped = (0.0, ""), 0, 0
    for number in range(count):
        text, person = generator.document(), PEOPLE[number % len(PEOPLE)]
        context = world.context(person)
        started = time.process_time()
        result = await SCHEMA.execute(text, context_value=context)
        spent = time.process_time() - started
        slowest = max(slowest, (spent, text))
        assert spent < SECONDS, f"seed {seed}, number {number}: {text}"
        causes = [error.original_error for error in result.errors or ()]
        assert all(isinstance(cause, Refusal) for cause in causes), f"{result.errors}: {text}"
        codes = {cause.code.value for cause in causes if isinstance(cause, Refusal)}
        ran += result.data is not None
        stopped += result.data is None and codes == {"LIMIT_EXCEEDED"}
        assert size_of(result.data) <= Settings().max_work
    print(f"slowest: {slowest[0]:.2f} s of {count}, {ran} answered, {stopped} stopped: {slowest[1]}")
    assert ran > count / 5, "most documents must reach resolvers"
    assert stopped, "some documents must meet a limit, or the search looks only at light ones"


def size_of(value: Any) -> int:
    """Return the number of objects, fields and items of an answer."""
    if isinstance(value, dict):
        return 1 + sum(size_of(each) for each in value.values())
    return sum(size_of(each) for each in value) if isinstance(value, list) else 1
