"""Test the limit of work: a request that makes too large an answer is stopped and refused, and nothing is cancelled."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import strawberry

from api.graphql.endpoint import Schema
from api.graphql.execution.executor import planned_by
from api.graphql.work_limit import bounded_by
from schema.core.refusals import Refusal, RefusalCode
from tests.support.small_schema import until
from tests.support.subscription_clients import linked, serving, signed_in
from tests.support.world import World


def nested(levels: int) -> str:
    return "query($id: ID!) { case(id: $id) { " + "relatedCases { " * levels + "id" + " }" * levels + " } }"


async def crowded(world: World, cases: int) -> str:
    """Open cases about one unit, each of which is related to all others, and return the id of one."""
    opened = [await world.open_case("officer", await world.observe()) for _ in range(cases)]
    id: str = opened[-1]["id"]
    return id


async def test_nested_lists_are_refused_while_they_are_made(world: World) -> None:
    id = await crowded(world, 21)
    answer = await world.ask("officer", nested(3), id=id)
    assert len(answer["case"]["relatedCases"][0]["relatedCases"][0]["relatedCases"]) == 20
    assert await world.errors("officer", nested(4), id=id) == ["LIMIT_EXCEEDED"]


async def test_lists_that_can_become_too_long_are_refused_before_anything_runs(world: World) -> None:
    assert await world.errors("officer", nested(5), id="cas_x") == ["LIMIT_EXCEEDED"]
    assert await world.errors("officer", nested(2), id="cas_x") == ["BAD_ID"]


async def test_an_event_of_a_subscription_has_the_limit_too(world: World) -> None:
    await crowded(world, 21)
    selection = "relatedCases { " * 4 + "id" + " }" * 4
    text = f"subscription {{ caseChanged {{ __typename ... on CaseChanged {{ case {{ {selection} }} }} }} }}"
    async with serving(world) as address, linked(address, await signed_in(world, "officer")) as phone:
        await phone.subscribe(text)
        await phone.news()
        await world.open_case("officer", await world.observe())
        message = await phone.receive()
        assert (message["type"], message["payload"]["data"]) == ("next", None)
        assert message["payload"]["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert (await phone.receive())["type"] == "complete"


@strawberry.type
class Leaf:
    number: int

    @strawberry.field
    async def waited(self) -> int:
        Leaves.waiting += 1
        await Leaves.gate.wait()
        Leaves.ended += 1
        return self.number


@strawberry.type
class Leaves:
    """Counts the resolvers that wait and that have ended."""

    gate: strawberry.Private[asyncio.Event] = asyncio.Event()
    waiting: strawberry.Private[int] = 0
    ended: strawberry.Private[int] = 0

    @strawberry.field
    def numbers(self, count: int) -> list[int]:
        return list(range(count))

    @strawberry.field
    def items(self, count: int) -> list[Leaf]:
        return [Leaf(number=number) for number in range(count)]


@strawberry.type
class Query:
    @strawberry.field
    def leaves(self) -> Leaves:
        return Leaves()

    @strawberry.field
    def failing(self) -> int | None:
        raise ValueError


@strawberry.type
class Mutation:
    @strawberry.mutation
    def note(self, info: strawberry.Info, text: str) -> Leaves:
        info.context.append(text)
        return Leaves()


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self) -> AsyncIterator[Leaves]:
        for _ in range(5):
            yield Leaves()


Bounded = Callable[..., Schema]


@pytest.fixture(params=[bounded_by, planned_by])
def bounded(request: pytest.FixtureRequest) -> Bounded:
    """Return a function that makes a schema with a limit, for each of the two ways to execute operations."""

    def make(limit: int, seconds: float = 30) -> Schema:
        return Schema(Query, Mutation, Subscription, execution_context_class=request.param(limit, seconds))

    return make


async def test_what_graphql_core_must_execute_has_a_limit_of_its_own() -> None:
    schema = Schema(Query, execution_context_class=planned_by(200, core_limit=50))
    text = "{ leaves { items(count: 9) { number } } }"
    assert not (await schema.execute(text)).errors
    cause = await refusal_of(schema, text[:-1] + "failing }")
    assert (cause.code, "limit of 50" in cause.message) == (RefusalCode.LIMIT_EXCEEDED, True)
    assert (await schema.execute("{ failing leaves { __typename } }")).data == {
        "failing": None,
        "leaves": {"__typename": "Leaves"},
    }


async def refusal_of(schema: Schema, text: str, context: list[str] | None = None) -> Refusal:
    result = await schema.execute(text, context_value=context if context is not None else [])
    assert result.data is None
    [cause] = [error.original_error for error in result.errors or []]
    assert isinstance(cause, Refusal)
    return cause


@pytest.mark.parametrize(
    ("text", "work"),
    [
        ("{ leaves { __typename } }", 1 + 15 + 1 + 1),
        ("{ leaves { numbers(count: 9) } }", 1 + 15 + 1 + 15 + 9),
        ("{ leaves { items(count: 9) { number } } }", 1 + 15 + 1 + 15 + 9 * (1 + 1 + 1)),
        ("{ leaves { items(count: 9) { number again: number } } }", 1 + 15 + 1 + 15 + 9 * (1 + 1 + 2)),
        ("{ __type(name: \"Leaf\") { name } }", 1 + 1 + 2 * (1 + 1)),
    ],
)  # fmt: skip
async def test_objects_fields_and_list_items_are_work(bounded: Bounded, text: str, work: int) -> None:
    result = await bounded(work).execute(text)
    assert not result.errors
    assert (await refusal_of(bounded(work - 1), text)).code is RefusalCode.LIMIT_EXCEEDED


async def test_the_time_limit_ends_work_that_never_waits(bounded: Bounded) -> None:
    refusal = await refusal_of(bounded(1_000_000, seconds=0), "{ leaves { items(count: 9) { number } } }")
    assert refusal.code is RefusalCode.UNAVAILABLE


async def test_resolvers_that_wait_end_by_themselves(bounded: Bounded) -> None:
    """A cancelled call of the database's driver could keep a lock for ever."""
    Leaves.gate, Leaves.waiting, Leaves.ended = asyncio.Event(), 0, 0
    text = "{ leaves { a: items(count: 3) { waited } b: items(count: 90) { waited } } }"
    running = asyncio.ensure_future(refusal_of(bounded(200), text))
    await until(lambda: Leaves.waiting > 0)
    Leaves.gate.set()
    assert (await running).code is RefusalCode.LIMIT_EXCEEDED
    assert Leaves.ended == Leaves.waiting < 93


async def test_a_mutation_after_the_limit_does_not_run_and_the_refusal_says_what_may_have_happened(
    bounded: Bounded,
) -> None:
    noted: list[str] = []
    text = 'mutation { a: note(text: "a") { numbers(count: 99) } b: note(text: "b") { numbers(count: 1) } }'
    refusal = await refusal_of(bounded(100), text, noted)
    assert noted == ["a"]
    assert "may have taken effect" in refusal.message


async def test_each_event_has_the_whole_limit(bounded: Bounded) -> None:
    results = [
        result
        async for result in await bounded(60).stream(
            "subscription { ticks { numbers(count: 9) } }", allowed_operation_types=None
        )
    ]
    assert len(results) == 5
    assert [getattr(result, "errors", None) for result in results] == [None] * 5
