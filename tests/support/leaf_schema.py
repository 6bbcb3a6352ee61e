"""A small schema for tests of execution: leaves with guards, arguments, loads and resolvers that wait.

Its context notes what was called.
"""

import asyncio
import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any

import strawberry
from strawberry.dataloader import DataLoader
from strawberry.extensions import FieldExtension, SchemaExtension

from schema.core.refusals import Refusal, RefusalCode


@dataclass
class Calls:
    """The context: the names of the resolvers that ran, and the sizes of the loader's batches."""

    ran: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.loader = DataLoader(load_fn=self._load)

    async def _load(self, keys: list[int]) -> list["Leaf | Exception"]:
        self.batches.append(len(keys))
        await asyncio.sleep(0)
        return [Leaf(number=key) if key >= 0 else KeyError("absent") for key in keys]

    async def wait(self) -> int:
        self.ran.append("waits")
        try:
            await self.gate.wait()
        finally:
            self.ran.append("stopped")
        return 1


Info = strawberry.Info[Calls, None]


class Even(FieldExtension):
    """Show a field of even leaves only."""

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        info.context.ran.append(f"guard {info.path.typename}.{info.field_name}")
        return await next_(source, info, **arguments) if source.number % 2 == 0 else None


@strawberry.enum
class Unit(enum.Enum):
    ONE = 1
    TEN = 10


@strawberry.interface
class Numbered:
    number: int


@strawberry.type
class Leaf(Numbered):
    @strawberry.field
    async def next(self, info: Info) -> "Leaf":
        return await info.context.loader.load(self.number + 1)

    @strawberry.field
    async def lost(self, info: Info) -> "Leaf | None":
        return await info.context.loader.load(-1)

    @strawberry.field(extensions=[Even()])
    async def secret(self, info: Info) -> str | None:
        info.context.ran.append(f"secret of {self.number}")
        return "secret"

    @strawberry.field
    def times(self, unit: Unit = Unit.ONE, on: date | None = None) -> str:
        return f"{self.number * unit.value} {on!r}"

    @strawberry.field
    def path(self, info: Info) -> list[str]:
        return [str(key) for key in info.path.as_list()]

    @strawberry.field
    async def waits(self, info: Info) -> int:
        return await info.context.wait()


@strawberry.type
class Branch(Numbered):
    leaves: list[Leaf]


@strawberry.type
class Query:
    @strawberry.field
    async def leaves(self, info: Info, count: int = 3) -> list[Leaf]:
        info.context.ran.append("leaves")
        return [Leaf(number=number) for number in range(count)]

    @strawberry.field
    def numbered(self) -> list[Numbered]:
        return [Leaf(number=1), Branch(number=2, leaves=[Leaf(number=3)])]

    @strawberry.field
    def either(self) -> list[Annotated[Leaf | Branch, strawberry.union("Either")]]:
        return [Branch(number=2, leaves=[]), Leaf(number=1)]

    @strawberry.field
    async def waits(self, info: Info) -> int:
        return await info.context.wait()


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def note(self, info: Info, text: str, number: int | None = 1) -> Leaf:
        info.context.ran.append(f"note {text}")
        return Leaf(number=number)  # type: ignore[arg-type]

    @strawberry.mutation
    async def refuse(self, info: Info) -> Leaf | None:
        info.context.ran.append("refuse")
        raise Refusal(RefusalCode.FORBIDDEN)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def leaf(self) -> AsyncIterator[Leaf]:
        yield Leaf(number=1)


class Middleware(SchemaExtension):
    def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        return _next(root, info, *args, **kwargs)
