"""Execute drawn documents by a plan and by graphql-core alone. The replies are equal, byte for byte.

The schema has the types of the product. Its records are drawn, and resolvers and values are wrong at times.
`--comparisons N` and `--documents-seed SEED` compare more, or other documents.
"""

import asyncio
import gc
import random
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import hypothesis
import orjson
import pytest
from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, execute, parse, validate
from hypothesis import strategies as st
from strawberry.execution import optimized_is_awaitable

from api.graphql.execution.executor import planned_by
from api.graphql.work_limit import BoundedExecutor, bounded_by
from tests.support.drawn_records import Draws
from tests.support.mirror_documents import MirrorDocuments
from tests.support.mirror_schema import mirror
from tests.support.world import SCHEMA

BY_PLAN, BY_GRAPHQL_CORE = planned_by(60_000), bounded_by(60_000)


@dataclass(frozen=True)
class Conditions:
    """How a document is executed: with which share of faults, and how often resolvers wait for a loader.

    If some wait longer than others, their turns decide in which order errors come. They also decide which errors
    graphql-core still collects after the whole answer has become null.
    """

    faults: float
    waits: tuple[int, ...] = (1,)


CONDITIONS = (Conditions(0), Conditions(0.005), Conditions(0.02), Conditions(0.01, (0, 1, 1, 2)))
ADDRESS = re.compile(r"0x[0-9a-f]+")


@cache
def mirrored() -> GraphQLSchema:
    return mirror(SCHEMA._schema)._schema


@dataclass
class Reply:
    data: bytes
    errors: list[bytes]
    calls: Counter[tuple[Any, ...]]


def reply(executor: type[BoundedExecutor], document: DocumentNode, variables: dict[str, Any], draws: Draws) -> Reply:
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    root_type = draws.schema.get_root_type(operation.operation)
    assert root_type

    async def executed() -> Any:
        result: Any = execute(
            draws.schema,
            document,
            draws.root(root_type),
            draws,
            variables,
            executor_class=executor,
            is_awaitable=cast("Any", optimized_is_awaitable),  # as Strawberry passes it
            operation_extensions=None,
        )
        result = await result if optimized_is_awaitable(result) else result
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left)
        return result

    result = asyncio.run(executed())
    errors = [
        {"type": type(error.original_error).__name__} | {**error.formatted, "message": ADDRESS.sub("", error.message)}
        for error in result.errors or []
    ]
    return Reply(orjson.dumps(result.data), [orjson.dumps(error) for error in errors], draws.calls)


def same_errors(planned: Reply, expected: Reply) -> bool:
    """Compare errors regardless of their order. Of a null answer, one side may list fewer of the same errors."""
    fewer, more = sorted((planned.errors, expected.errors), key=len)
    if expected.data == b"null":
        return bool(fewer) and not Counter(fewer) - Counter(more)
    return sorted(fewer) == sorted(more)


# graphql-core cancels the tasks of other fields after an error, some of them before they have begun.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_plan_answers_as_graphql_core(request: pytest.FixtureRequest) -> None:
    seen = {"compared": 0, "errors": 0}

    def compare(seed: int) -> None:
        draw = random.Random(seed)  # noqa: S311
        documents = MirrorDocuments(mirrored(), draw)
        document = parse(documents.text)
        if validate(mirrored(), document):
            return  # it selects things of one name that can't be merged
        for conditions in CONDITIONS:
            expected, planned = (
                reply(
                    executor,
                    document,
                    documents.variables,
                    Draws(mirrored(), seed, conditions.faults, conditions.waits),
                )
                for executor in (BY_GRAPHQL_CORE, BY_PLAN)
            )
            assert planned.data == expected.data
            assert same_errors(planned, expected) if len(conditions.waits) > 1 else planned.errors == expected.errors
            assert all(count == 1 for count in planned.calls.values()), "a resolver was called twice"
            assert planned.calls == expected.calls or expected.errors
            seen["compared"] += 1
            seen["errors"] += bool(expected.errors)

    count, seed = request.config.getoption("--comparisons"), request.config.getoption("--documents-seed")
    run = hypothesis.given(st.integers(0, 2**64))(
        hypothesis.settings(max_examples=count // len(CONDITIONS), database=None)(compare)
    )
    hypothesis.seed(seed)(run)()
    gc.collect()  # it would warn of these tasks later
    assert seen["compared"] > count / 2
    assert seen["errors"] > count / 20
