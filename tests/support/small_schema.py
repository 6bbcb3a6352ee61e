"""Serve a small schema, made for tests, as the real one is served."""

import asyncio
import enum
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp
from strawberry.types import Info

from api.graphql import query_limits
from api.graphql.endpoint import GraphQLEndpoint, Schema
from api.graphql.execution.executor import executor_class
from api.http.responses import GRAPHQL_JSON, JSON
from api.settings import Settings
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.drafts import UnreadableDraft

SECRET = "hunter2-correct-horse"


@dataclass
class Context:
    """A request's context.

    `ran` names the resolvers that ran. It is empty after a refusal. The resolver `waits` ends when `gate` is set.
    """

    unreadable: dict[str, list[UnreadableDraft]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)


@strawberry.enum
class Colour(enum.Enum):
    RED = "RED"
    BLUE = "BLUE"


@strawberry.input
class Draft:
    id: strawberry.ID
    count: int
    text: str = ""
    colour: Colour = Colour.RED
    parts: list["Draft"] = strawberry.field(default_factory=list)


@strawberry.input
class SubmitInput:
    drafts: list[Draft]
    note: str = ""


@strawberry.type
class Submitted:
    accepted: list[str]
    unreadable: list[str]


@strawberry.type
class Node:
    id: strawberry.ID
    name: str = "a"

    @strawberry.field
    def parent(self) -> "Node":
        return self

    @strawberry.field
    def children(self) -> list["Node"]:
        return [Node(id=strawberry.ID("2"))]

    @strawberry.field
    def page(self, first: int = 10) -> "Connection":
        return Connection()


@strawberry.type
class Connection:
    @strawberry.field
    def nodes(self) -> list[Node]:
        return [Node(id=strawberry.ID("3"))]


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, info: Info[Context, None], name: str = "world") -> str:
        info.context.ran.append("hello")
        return f"hello {name}"

    @strawberry.field
    def node(self, info: Info[Context, None]) -> Node:
        info.context.ran.append("node")
        return Node(id=strawberry.ID("1"))

    @strawberry.field
    def fails(self) -> str:
        raise RuntimeError(f"the password is {SECRET}")

    @strawberry.field
    def fails_softly(self) -> str | None:
        raise KeyError(SECRET)

    @strawberry.field
    def refused(self) -> str | None:
        raise Refusal(RefusalCode.NOT_FOUND, field="id")

    @strawberry.field
    def half(self) -> str:
        return "\ud83d"

    @strawberry.field
    def wrong(self) -> int:
        return SECRET  # type: ignore[return-value]

    @strawberry.field
    async def waits(self, info: Info[Context, None]) -> str:
        info.context.ran.append("waits")
        await info.context.gate.wait()
        return "done"

    @strawberry.field
    def half_of(self, number: int) -> float:
        return number / 2


@strawberry.type
class Mutation:
    @strawberry.mutation
    def submit(self, info: Info[Context, None], input: SubmitInput) -> Submitted:
        info.context.ran.append("submit")
        return Submitted(
            accepted=[draft.id for draft in input.drafts],
            unreadable=[
                f"{bad.index} {bad.id} {bad.field}" for bad in info.context.unreadable.get(str(info.path.key), ())
            ],
        )


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self) -> AsyncIterator[int]:
        yield 1


def schema_of(settings: Settings = Settings()) -> Schema:  # noqa: B008  frozen
    return Schema(
        Query,
        Mutation,
        Subscription,
        extensions=query_limits.limit_extensions(settings),
        execution_context_class=executor_class(settings),
    )


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Poll `condition`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.002)


@dataclass
class Served:
    """A client of the small schema, and the contexts of its requests."""

    client: httpx.AsyncClient
    contexts: list[Context]

    @property
    def ran(self) -> list[str]:
        return [name for context in self.contexts for name in context.ran]

    async def post(self, query: str, *, accept: str = GRAPHQL_JSON, **more: Any) -> httpx.Response:
        """Post a query as JSON that escapes non-ASCII characters, as some phones do.

        In this form a test can also send half of a surrogate pair.
        """
        headers = {"accept": accept, "content-type": JSON}
        return await self.client.post("/graphql", content=json.dumps({"query": query, **more}), headers=headers)


@asynccontextmanager
async def serving(
    settings: Settings = Settings(),  # noqa: B008  frozen
    *,
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    context_of: Callable[[Request], Awaitable[Context]] | None = None,
    **endpoint: Any,
) -> AsyncIterator[Served]:
    """Serve the small schema at /graphql in this process; `wrap` puts middleware around it."""
    contexts: list[Context] = []

    async def noted(_: Request) -> Context:
        contexts.append(Context())
        return contexts[-1]

    served = GraphQLEndpoint(schema_of(settings), context_of or noted, flat=not settings.introspection, **endpoint)
    app = wrap(Starlette(routes=[Route("/graphql", served)]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://small") as client:
        yield Served(client, contexts)
