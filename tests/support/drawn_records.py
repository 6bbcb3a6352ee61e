"""Draw records whose fields are mostly right, and at times wrong in every way that resolvers and data can be wrong."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from datetime import UTC, date, datetime
from typing import Any, NoReturn

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
)
from strawberry.dataloader import DataLoader
from strawberry.extensions import FieldExtension

from schema.core.refusals import Refusal, RefusalCode

CLASSES: dict[str, type] = {}
"""The classes of the mirrored types, by name."""
GOOD: dict[str, tuple[Any, ...]] = {
    "String": ("", "窗口无人在岗", "a"),
    "ID": ("obs_1", "unt_2"),
    "Int": (0, 1, -5, 2**31 - 1),
    "Float": (0.0, 1.5, 3, -2.25),
    "Boolean": (True, False),
    "DateTime": (datetime(2026, 11, 20, 9, 5, tzinfo=UTC),),
    "Date": (date(2026, 11, 1),),
    "ByteCount": (0, 2**40),
}
STRANGE: tuple[Any, ...] = (
    *(7, 2**40, "zz", "12", True, 1.5, 2.0, float("nan"), (), [], {}, object, Undefined),
    ValueError("an error as a value"),
)


ROUND_TRIP = 60
"""Turns of the event loop that a load takes. As with a database, that is more than graphql-core needs for an answer."""


def fail(draw: random.Random) -> NoReturn:
    """Raise one of the errors that resolvers raise."""
    raise draw.choice(
        (RuntimeError("it broke"), Refusal(RefusalCode.NOT_FOUND), GraphQLError("refused"), KeyError("key"))
    )


class Later:
    """A value that must be awaited."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return self.value


class Draws:
    """The context of an execution. It counts the calls of each resolver, and the keys of each batch of a loader.

    `faults` is the share of values that are wrong. `waits` says how often resolvers wait for the loader.
    """

    def __init__(self, schema: GraphQLSchema, seed: int, faults: float, waits: Sequence[int] = (1,)) -> None:
        self.schema = schema
        self.seed = seed
        self.faults = faults
        self.waits = waits
        self.calls: Counter[tuple[Any, ...]] = Counter()
        self.batches: list[int] = []
        self.loader: DataLoader[Any, Any] = DataLoader(load_fn=self._load)

    async def _load(self, keys: list[Any]) -> list[Any]:
        self.batches.append(len(keys))
        for _ in range(ROUND_TRIP):
            await asyncio.sleep(0)
        return [ValueError("not loaded") if key % 100 < self.faults * 100 else key for key in keys]

    def root(self, type_: GraphQLObjectType) -> Any:
        """Return the source of the root fields."""
        return self._record(type_, self.seed)

    def value(self, type_: Any, draw: random.Random) -> Any:
        """Draw a value of an output type."""
        if draw.random() < self.faults:
            return self._wrong_value(type_, draw)
        if isinstance(type_, GraphQLNonNull):
            return self._present_value(type_.of_type, draw)
        return None if draw.random() < 0.15 else self._present_value(type_, draw)

    def _present_value(self, type_: Any, draw: random.Random) -> Any:
        if isinstance(type_, GraphQLList):
            return [self.value(type_.of_type, draw) for _ in range(draw.choice((0, 1, 2, 2, 3)))]
        if isinstance(type_, GraphQLEnumType):
            return draw.choice(list(CLASSES[type_.name]))  # type: ignore[call-overload]
        if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
            type_ = draw.choice(self.schema.get_possible_types(type_))
        if type_.name in GOOD:
            return draw.choice(GOOD[type_.name])
        return self._record(type_, draw.getrandbits(32))

    def _record(self, type_: GraphQLObjectType, seed: int) -> Any:
        record: Any = object.__new__(CLASSES[type_.name])
        record.__dict__.update(draws=self, seed=seed, record_type=type_)
        return record

    def _wrong_value(self, type_: Any, draw: random.Random) -> Any:
        chance = draw.random()
        if chance < 0.25:
            return None
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        right = self._present_value(inner, draw)
        if chance < 0.4:
            return Later(right)
        if isinstance(right, list):
            return draw.choice((tuple(right), (each for each in right), dict.fromkeys("ab", 1), right))
        return draw.choice(STRANGE)


class Drawn:
    """A record whose attributes are drawn when they are first read."""

    draws: Draws
    seed: int
    record_type: Any

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("f_"):
            raise AttributeError(name)
        draw = random.Random(f"{self.seed} {name}")  # noqa: S311
        if draw.random() < self.draws.faults / 10:
            raise AttributeError(name)
        value = self.__dict__[name] = self.draws.value(self.record_type.fields[name[2:]].type, draw)
        return value

    def take(self, info: Any, name: str, **arguments: Any) -> Any:
        """Resolve a field without waiting."""
        return self._resolve(info, name, arguments)[0]

    async def wait(self, info: Any, name: str, **arguments: Any) -> Any:
        """Resolve a field that waits for the loader. Some fail before they wait, and some afterwards."""
        value, draw = self._resolve(info, name, arguments)
        for _ in range(draw.choice(self.draws.waits)):
            await info.context.loader.load(draw.getrandbits(32))
        if draw.random() < self.draws.faults:
            fail(draw)
        return value

    def _resolve(self, info: Any, name: str, arguments: Any) -> tuple[Any, random.Random]:
        draws: Draws = info.context
        draws.calls[tuple(info.path.as_list())] += 1
        draw = random.Random(f"{self.seed} {name} {arguments}")  # noqa: S311
        if draw.random() < draws.faults:
            fail(draw)
        return draws.value(info._raw_info.return_type, draw), draw


class Guard(FieldExtension):
    """Refuse at times before the resolver is called, or return null, as the product's guards do."""

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Any, **arguments: Any
    ) -> Any:
        draws: Draws = info.context
        draw = random.Random(f"{draws.seed} {info.path.as_list()}")  # noqa: S311
        if draw.random() < draws.faults:
            fail(draw)
        return None if draw.random() < draws.faults else await next_(source, info, **arguments)
