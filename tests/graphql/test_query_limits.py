"""Test the limits on documents: each excess is refused as LIMIT_EXCEEDED before any resolver runs, and quickly."""

import time
from typing import Any

import pytest
from graphql import get_introspection_query, parse

from api.graphql import query_limits
from api.graphql.query_cost import measure_document
from api.settings import Settings
from tests.support.small_schema import schema_of, serving

SETTINGS = Settings(max_depth=6, max_aliases=5, max_tokens=3000, max_cost=500)


def cost_of(query: str, **variables: Any) -> int:
    shape = measure_document(schema_of()._schema, parse(query))
    (cost,) = shape.cost.values()
    return cost.total(variables)


def chain(length: int, inner: str) -> str:
    """Return a query with `length` levels of fields."""
    return "{ node " + "{ parent " * (length - 2) + "{ " + inner + " }" + " }" * (length - 1)


BOMB = "{ node { ...F0 } }" + "".join(
    f"fragment F{n} on Node {{ parent {{ ...F{n + 1} }} b: parent {{ ...F{n + 1} }} }}" for n in range(25)
) + "fragment F25 on Node { id }"  # fmt: skip


@pytest.mark.parametrize(
    ("query", "what"),
    [
        (chain(7, "id"), "levels of fields"),
        ("{ ...A } fragment A on Query { node { ...B } } fragment B on Node " + "{ parent " * 5 + "{ id" + " }" * 6, "levels"),
        ("{ hello " + " ".join(f"a{n}: hello" for n in range(6)) + " }", "aliases"),
        ("{ hello " * 1 + "".join(f" ...F{n}" for n in range(3)) + "}" + "".join(
            f"fragment F{n} on Query {{ x{n}: hello y{n}: hello }}" for n in range(3)), "aliases"),
        ("{ " + "hello " * 3000 + "}", "tokens"),
        ("{ " + "hello " * 2900 + "}", "repeated fields"),
        ("{ hello } fragment U on Query { " + "hello " * 2900 + "}", "repeated fields"),
        ("{ " + "node { parent { id } } " * 280 + "}", "repeated fields"),
        ("{ node { id" + " @skip(if: false)" * 51 + " } }", "directives"),
        ("{ node { id " + " ".join(f"...F{n}" for n in range(51)) + "} }" + "".join(
            f"fragment F{n} on Node {{ id }}" for n in range(51)), "fragments"),
        (" ".join(f"query Q{n} {{ hello }}" for n in range(11)), "operations"),
        ("{ node { page(first: 101) { nodes { id } } } }", "records a page"),
        ("{ node { page(first: 99999999999999999999) { nodes { id } } } }", "records a page"),
        ("{ node { page(first: 100) { nodes { page(first: 100) { nodes { id } } } } } }", "fields, counted"),
        ("{ node { children { children { children { children { id } } } } } }", "fields, counted"),
        ("{ " + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(3)) + " }", "introspections"),
        (BOMB, ""),
        ("{ node { ...A } } fragment A on Node { parent { ...A ...A } }", ""),
        ("{ " + "... { " * 150 + "hello" + " }" * 151, "nested"),
        ("{ hello } #" + "x" * 40_000, "longer"),
    ],
)  # fmt: skip
async def test_a_document_over_a_limit_is_refused_before_anything_runs(query: str, what: str) -> None:
    async with serving(SETTINGS) as small:
        started = time.process_time()
        answer = await small.post(query, operationName="Q1" if "Q1" in query else None)
        spent = time.process_time() - started
    assert answer.status_code == 400
    assert set(answer.json()) == {"errors"}
    error = answer.json()["errors"][0]
    if what:
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert error["extensions"]["nextStep"] == "FIX_AND_RESEND"
        assert what in error["message"]
    assert small.ran == []
    assert spent < 10, "a bomb that is unfolded takes minutes on any machine"


async def test_root_fields_have_a_limit_apart_from_aliases() -> None:
    query = "{ " + " ".join(f"a{n}: hello" for n in range(11)) + " }"
    async with serving(Settings(max_aliases=30)) as small:
        answer = await small.post(query)
    assert "fields at the root" in answer.json()["errors"][0]["message"]
    assert small.ran == []


@pytest.mark.parametrize(
    "query",
    [
        chain(6, "id"),
        "{ " + " ".join(f"a{n}: hello" for n in range(5)) + " }",
        "{ hello " + "...F " * 20 + "} fragment F on Query { hello }",
        "{ node { page(first: 100) { nodes { id } } } }",
        "{ node { page(first: 0) { nodes { id } } } }",
    ],
)
async def test_a_document_within_the_limits_runs(query: str) -> None:
    async with serving(SETTINGS) as small:
        answer = await small.post(query)
    assert "errors" not in answer.json()


async def test_tools_can_introspect_within_the_limits() -> None:
    async with serving(SETTINGS) as small:
        answer = await small.post(get_introspection_query(input_value_deprecation=True))
        bomb = await small.post("{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }")
    assert answer.json()["data"]["__schema"]["queryType"]["name"] == "Query"
    assert bomb.status_code == 400
    assert "data" not in bomb.json()


PAGED = "query($n: Int = 2) { node { page(first: $n) { nodes { id name } } } }"


@pytest.mark.parametrize(
    ("query", "variables", "cost"),
    [
        ("{ hello }", {}, 1),
        ("{ hello __typename __schema { types { name } } }", {}, 1),
        ("{ node { id name } }", {}, 3),
        ("{ node { children { id } } }", {}, 1 + 1 + 100 * 1),
        ("{ node { page { nodes { id name } } } }", {}, 1 + 1 + 1 + 10 * 2),
        ("{ node { page(first: 3) { nodes { id name } } } }", {}, 1 + 1 + 1 + 3 * 2),
        ("{ node { page(first: 3) { nodes { children { id } } } } }", {}, 1 + 1 + 1 + 3 * (1 + 100)),
        (PAGED, {}, 1 + 1 + 1 + 2 * 2),
        (PAGED, {"n": 7}, 1 + 1 + 1 + 7 * 2),
        (PAGED, {"n": None}, 1 + 1 + 1 + 2 * 2),
        (PAGED, {"n": True}, 1 + 1 + 1 + 2 * 2),
        (PAGED, {"n": -5}, 1 + 1 + 1),
        ("query($n: Int) { node { page(first: $n) { nodes { id } } } }", {}, 1 + 1 + 1 + 10 * 1),
        ("{ nothing(first: 4) { known } }", {}, 1 + 1),
        ("{ node { ... on Node { id } ...F } } fragment F on Node { name }", {}, 3),
    ],
)
def test_the_cost_of_a_document_counts_fields_times_list_sizes(
    query: str, variables: dict[str, Any], cost: int
) -> None:
    assert cost_of(query, **variables) == cost


async def test_page_sizes_in_variables_are_limited_too() -> None:
    async with serving() as small:
        fits = await small.post(PAGED, variables={"n": 100})
        huge = await small.post(PAGED, variables={"n": 101})
        negative = await small.post(PAGED, variables={"n": -1})
    assert "errors" not in fits.json()
    assert huge.json()["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert negative.json()["errors"][0]["extensions"]["code"] == "BAD_INPUT"
    assert small.ran == ["node"]


async def test_documents_are_parsed_and_measured_once() -> None:
    query_limits.prepare_document.cache_clear()
    async with serving() as small:
        for _ in range(3):
            await small.post("{ hello measured: __typename }")
    # Every `serving` makes a schema of its own. Within one, later requests reuse the result of the first.
    assert (query_limits.prepare_document.cache_info().misses, query_limits.prepare_document.cache_info().hits) == (
        1,
        2,
    )
