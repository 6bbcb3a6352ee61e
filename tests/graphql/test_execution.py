"""Test plans: compiled once, with guards, loads in batches, and nothing called twice when graphql-core takes over."""

import asyncio
import itertools
from collections.abc import Awaitable
from typing import Any, cast

import pytest
from graphql import DocumentNode, ExecutionResult, GraphQLObjectType, execute, parse

from api.graphql.endpoint import Schema
from api.graphql.execution import executor as executor_module
from api.graphql.execution.compiler import compile_operation
from api.graphql.execution.executor import MAX_VARIANTS, PlanCache, PlanExecutor, executor_class, planned_by
from api.graphql.execution.plans import ObjectPlan
from api.graphql.work_limit import BoundedExecutor, bounded_by
from api.settings import SettingError, Settings
from tests.support.leaf_schema import Calls, Middleware, Mutation, Query, Subscription
from tests.support.small_schema import until
from tests.support.world import SCHEMA

GUARDED = ["guard Leaf.secret", "secret of 0", "guard Leaf.secret"]


PLANNED, CORE = planned_by(10_000), bounded_by(10_000)
SMALL = Schema(Query, Mutation, Subscription)


async def answer(
    document: str | DocumentNode,
    calls: Calls | None = None,
    by: type[BoundedExecutor] = PLANNED,
    variables: dict[str, Any] | None = None,
) -> ExecutionResult:
    result: Any = execute(
        SMALL._schema,
        parse(document) if isinstance(document, str) else document,
        context_value=calls or Calls(),
        variable_values=variables,
        executor_class=by,
        operation_extensions=None,
    )
    return cast("ExecutionResult", await result if isinstance(result, Awaitable) else result)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[ObjectPlan | None]:
    """Note the plans that are compiled. None stands for an operation that has no plan."""
    noted: list[ObjectPlan | None] = []

    def note(executor: BoundedExecutor) -> ObjectPlan | None:
        noted.append(compile_operation(executor))
        return noted[-1]

    monkeypatch.setattr(executor_module, "compile_operation", note)
    return noted


async def test_a_document_is_compiled_once(compiled: list[ObjectPlan | None]) -> None:
    document = parse("query($count: Int!) { leaves(count: $count) { number } }")
    assert (await answer(document, variables={"count": 1})).data == {"leaves": [{"number": 0}]}
    assert (await answer(document, variables={"count": 2})).data == {"leaves": [{"number": 0}, {"number": 1}]}
    assert len(compiled) == 1
    assert compiled[0] is not None


async def test_conditions_have_plans_of_their_own_up_to_a_limit(compiled: list[ObjectPlan | None]) -> None:
    names = "abcdef"
    fields = " ".join(f"{name}: number @include(if: ${name})" for name in names)
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    document = parse(f"query({declared}) {{ leaves(count: 1) {{ __typename {fields} }} }}")
    for values in [*itertools.product((True, False), repeat=len(names))] * 2:
        chosen = dict(zip(names, values, strict=True))
        expected = {"__typename": "Leaf"} | {name: 0 for name in names if chosen[name]}
        assert (await answer(document, variables=chosen)).data == {"leaves": [expected]}
    assert len(compiled) == MAX_VARIANTS


async def test_the_operations_executed_last_keep_their_plans(compiled: list[ObjectPlan | None]) -> None:
    small = type("Small", (PlanExecutor,), {"plans": PlanCache(2)})
    first, second, third = (parse(f"{{ leaves(count: {count}) {{ number }} }}") for count in range(3))
    for document in (first, second, first, third, first, second):
        await answer(document, by=small)
    assert len(compiled) == 4  # the second is compiled twice


async def test_graphql_core_executes_what_is_unusual(compiled: list[ObjectPlan | None]) -> None:
    result = await answer('{ __type(name: "Leaf") { kind } leaves(count: 1) { number } }')
    assert result.data == {"__type": {"kind": "OBJECT"}, "leaves": [{"number": 0}]}
    with_middleware = Schema(Query, extensions=[Middleware], execution_context_class=PLANNED)
    assert (await with_middleware.execute("{ numbered { number } }")).data == {
        "numbered": [{"number": 1}, {"number": 2}]
    }
    assert compiled == [None]


async def test_guards_arguments_and_paths_reach_the_resolvers() -> None:
    calls = Calls()
    result = await answer(
        "query($on: Date) { leaves { path secret again: times(unit: TEN, on: $on) times } }",
        calls,
        variables={"on": "2026-11-01"},
    )
    assert not result.errors
    assert result.data == {
        "leaves": [
            {
                "path": ["leaves", str(number), "path"],
                "secret": None if number % 2 else "secret",
                "again": f"{number * 10} datetime.date(2026, 11, 1)",
                "times": f"{number} None",
            }
            for number in range(3)
        ]
    }
    assert calls.ran.count("guard Leaf.secret") == 3
    assert [name for name in calls.ran if name.startswith("secret")] == ["secret of 0", "secret of 2"]


async def test_the_class_of_a_value_decides_its_fields() -> None:
    text = "{ numbered { __typename number ... on Branch { leaves { number } } } either { ... on Leaf { times } } }"
    assert (await answer(text)).data == {
        "numbered": [
            {"__typename": "Leaf", "number": 1},
            {"__typename": "Branch", "number": 2, "leaves": [{"number": 3}]},
        ],
        "either": [{}, {"times": "1 None"}],
    }


async def test_loads_of_one_level_are_one_batch() -> None:
    calls = Calls()
    result = await answer("{ leaves { next { next { number } } } }", calls)
    assert result.data == {"leaves": [{"next": {"next": {"number": number}}} for number in (2, 3, 4)]}
    assert calls.batches == [3, 1]  # 2 and 3 were loaded before


@pytest.mark.parametrize(
    ("text", "ran"),
    [
        ("{ leaves(count: 2) { secret lost { number } next { number } } }", ["leaves", *GUARDED]),
        ("{ a: leaves(count: 2) { secret } b: waits @skip(if: true) c: leaves(count: null) { number } }", None),
        ('mutation { a: refuse { number } b: note(text: "b") { number lost { number } } }', ["refuse", "note b"]),
        ('mutation { a: note(text: "a", number: null) { number } b: note(text: "b") { number } }', ["note a"]),
    ],
)
async def test_after_an_error_graphql_core_answers_and_nothing_is_called_twice(
    text: str, ran: list[str] | None
) -> None:
    planned, core = Calls(), Calls()
    result, expected = await answer(text, planned), await answer(text, core, by=CORE)
    assert expected.errors
    assert result.data == expected.data
    assert [error.formatted for error in result.errors or []] == [error.formatted for error in expected.errors]
    assert sorted(planned.ran) == sorted(core.ran)
    assert ran is None or planned.ran == ran


@pytest.mark.parametrize("text", ["{ leaves(count: 2) { waits } }", "{ a: waits b: waits }"])
async def test_a_cancelled_request_stops_its_resolvers(text: str) -> None:
    calls = Calls()
    request = asyncio.ensure_future(answer(text, calls))
    await until(lambda: calls.ran.count("waits") == 2)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await until(lambda: calls.ran.count("stopped") == 2)


def test_resolvers_of_records_wait_for_loads_only() -> None:
    """They share the task of their request. Those of `schema` do no input or output, which its imports prove."""
    roots = {"Query", "Mutation", "Subscription"}
    rooms: dict[str, set[str]] = {}
    for type_ in SCHEMA._schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and type_.name not in roots and not type_.name.startswith("__"):
            for name, each in type_.fields.items():
                definition = each.extensions["strawberry-definition"]
                if definition.is_async:
                    room = definition.base_resolver.wrapped_func.__module__.partition(".")[0]
                    rooms.setdefault(room, set()).add(f"{type_.name}.{name}")
    assert len(rooms.pop("schema")) > 40
    assert rooms == {"api": {"AssignmentPayload.case"}}, "read whether the new resolver waits for `context.load` only"


def test_a_setting_chooses_how_operations_are_executed() -> None:
    assert issubclass(executor_class(Settings()), PlanExecutor)
    assert not issubclass(
        executor_class(Settings.from_environment({"MINGCHA_EXECUTION": "graphql-core"})), PlanExecutor
    )
    with pytest.raises(SettingError, match="MINGCHA_EXECUTION must be plan or graphql-core"):
        Settings.from_environment({"MINGCHA_EXECUTION": "fast"})
