"""Test how the loads of a request are batched, and who gets the error of a load that fails."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from api.graphql.loaders import ContextLoad, Loader, LoaderRead, ReadLoader
from schema.accounts.users import User
from schema.organisation.units import Unit
from tests.support.world import World


class Squared:
    """Numbers that are loaded by `fetch`."""


class Failing:
    """Something whose load fails."""


async def test_loads_are_batched_and_only_those_of_the_failed_relation_fail(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    fetched: list[list[int]] = []

    async def square(_: Any, numbers: list[int]) -> Sequence[int | ValueError]:
        fetched.append(numbers)
        return [number * number if number else ValueError("zero") for number in numbers]

    async def fail(_: Any, numbers: list[int]) -> Sequence[int]:
        raise LookupError(numbers)

    def refuse(_: Any, ids: list[str]) -> LoaderRead:
        raise PermissionError(ids)

    context = world.context("officer")
    loaders = {
        each.relation: each
        for each in (
            Loader(Squared, ("number",), square),
            Loader(Failing, ("number",), fail),
            ReadLoader(Failing, ("name",), refuse),
        )
    }
    load = ContextLoad(context, {**context.services.registry.loaders, **loaders})
    unit, officer = world.units["360703"], world.people["officer"]
    asked: tuple[Awaitable[Any], ...] = (
        load.related(Squared, number=3),
        load.related(Squared, number=4),
        load.related(Squared, number=3),
        load.related(Squared, number=0),
        load.related(Failing, number=1),
        load.related(Failing, number=2),
        load.related(Failing, name="a"),
        load.many(Unit, [unit.id, "unt_none", unit.id]),
        load.one(User, officer.id),
        load.one(User, None),
    )
    outcomes: list[Any] = list(await asyncio.gather(*asked, return_exceptions=True))
    *numbers, zero, first, second, refused, units, person, nobody = outcomes
    assert numbers == [9, 16, 9]
    assert fetched == [[3, 4, 0]]
    assert isinstance(zero, ValueError)
    assert isinstance(first, LookupError)
    assert first is second
    assert isinstance(refused, PermissionError)
    assert units == [unit, unit]
    assert (person.id, nobody) == (officer.id, None)
    assert not caplog.records


async def test_a_load_may_wait_for_another_of_its_level(world: World) -> None:
    """The second of two reads of one command is what the first one needs to arrange its values."""

    def read_squares(context: Any, numbers: list[int]) -> LoaderRead:
        async def arrange() -> list[int]:
            return [number * await context.load.related(Failing, name="factor") for number in numbers]

        return LoaderRead([], arrange)

    def read_factor(_: Any, names: list[str]) -> LoaderRead:
        async def arrange() -> list[int]:
            return [len(name) for name in names]

        return LoaderRead([], arrange)

    context = world.context("officer")
    loaders = (ReadLoader(Squared, ("number",), read_squares), ReadLoader(Failing, ("name",), read_factor))
    context.load = ContextLoad(context, {each.relation: each for each in loaders})
    asked = context.load.related(Squared, number=3), context.load.related(Failing, name="factor")
    async with asyncio.timeout(30):
        loaded: list[Any] = list(await asyncio.gather(*asked))
    assert loaded == [18, 6]
