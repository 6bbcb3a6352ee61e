"""Test the contract: the stored SDL is the served one, and every named operation is valid in it."""

import json
from pathlib import Path

import pytest
from graphql import (
    GraphQLObjectType,
    OperationDefinitionNode,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    parse,
    validate,
)

from api.graphql.list_sizes import LIST_SIZES, PAGE_LISTS
from api.graphql.query_cost import measure_document
from api.server.graphql_schema import print_sdl
from api.settings import Settings
from mobile_contract import documents
from schema.core.pagination import MAX_PAGE
from tests.support.world import SCHEMA

CORE = SCHEMA._schema
CONTRACT = Path(__file__).parents[2] / "mobile_contract"
OPERATIONS = sorted((CONTRACT / "operations").glob("*.graphql"))


def test_the_stored_sdl_is_the_served_one() -> None:
    """To change it on purpose, run scripts/export, read the difference, and explain it in CHANGELOG.md."""
    assert (CONTRACT / "schema.graphql").read_text(encoding="utf-8") == print_sdl(SCHEMA)


def test_the_manifest_lists_the_current_operations() -> None:
    assert documents.MANIFEST.read_text(encoding="utf-8") == documents.manifest_text(documents.manifest())
    retired = json.loads(documents.RETIRED.read_text(encoding="utf-8"))["operations"]
    standing = {file.read_text(encoding="utf-8") for file in OPERATIONS}
    assert standing.isdisjoint(each["body"] for each in retired)
    assert set(documents.trusted_documents().values()) == standing | {each["body"] for each in retired}


@pytest.mark.parametrize("file", OPERATIONS, ids=lambda file: file.stem)
def test_a_named_operation_is_valid_and_named_like_its_file(file: Path) -> None:
    document = parse(file.read_text(encoding="utf-8"))
    assert validate(build_schema(print_sdl(SCHEMA)), document) == []
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    assert [each.name and each.name.value for each in operations] == [file.stem]


@pytest.mark.parametrize(("id", "text"), documents.trusted_documents().items(), ids=lambda value: value[:12])
def test_a_trusted_document_is_within_the_query_limits_at_its_largest_page(id: str, text: str) -> None:
    """Every list is counted as long as it can be, so no data of a phone makes the estimate larger."""
    settings = Settings()
    shape = measure_document(CORE, parse(text))
    assert documents.digest(text) == id
    for cost in shape.cost.values():
        assert cost.total({"first": MAX_PAGE, "input": {"first": MAX_PAGE}}) <= settings.max_cost
    assert shape.depth <= settings.max_depth
    assert shape.aliases <= settings.max_aliases


def test_every_list_of_records_has_a_length() -> None:
    lists = {
        f"{name}.{field_name}"
        for name, type_ in CORE.type_map.items()
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__")
        for field_name, field in type_.fields.items()
        if is_list_type(get_nullable_type(field.type)) and is_composite_type(get_named_type(field.type))
    }
    assert {name for name in lists if name.rpartition(".")[2] not in PAGE_LISTS} == LIST_SIZES.keys()


def test_a_page_size_inside_an_input_object_counts() -> None:
    selection = "{ ... on SyncPayload { changes { ... on ChangePage { changes { id } } } } }"
    for head, field, variables in (
        ("", "sync(input: { first: 3 })", {}),
        ("($n: Int!)", "sync(input: { first: $n })", {"n": 3}),
        ("($input: SyncInput!)", "sync(input: $input)", {"input": {"first": 3}}),
    ):
        [cost] = measure_document(CORE, parse(f"mutation{head} {{ {field} {selection} }}")).cost.values()
        assert cost.total(variables) == 1 + 1 + 1 + 3
        assert cost.total({}) == 1 + 1 + 1 + (100 if variables else 3)


def test_only_the_costliest_type_of_a_union_counts() -> None:
    """A page of changes must not cost as much as if every record were of all kinds at once."""
    texts = ("... on Unit { id }", "... on MonitoringPoint { id code }", "... on Unit { code name }")
    page = "{ changes(first: 10) { ... on ChangePage { changes { record { %s } } } } }"
    core = build_schema(print_sdl(SCHEMA))
    one, two, both = (
        measure_document(core, parse(page % " ".join(texts[:count]))).cost[None].total({}) for count in (1, 2, 3)
    )
    assert (two - one, both - one) == (10, 20)
