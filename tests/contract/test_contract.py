"""Test the contract: the stored SDL is the served one, and every named operation is valid in it."""

import json
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate

from api.graphql.query_cost import measure_document
from api.server.graphql_schema import print_sdl
from api.settings import Settings
from mobile_contract import documents
from tests.support.world import SCHEMA

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


@pytest.mark.parametrize("file", OPERATIONS, ids=lambda file: file.stem)
def test_a_named_operation_is_within_the_query_limits(file: Path) -> None:
    settings = Settings()
    shape = measure_document(build_schema(print_sdl(SCHEMA)), parse(file.read_text(encoding="utf-8")))
    assert shape.cost[file.stem].total({}) <= settings.max_cost
    assert shape.depth <= settings.max_depth
    assert shape.aliases <= settings.max_aliases


def test_only_the_costliest_type_of_a_union_counts() -> None:
    """A page of changes must not cost as much as if every record were of all kinds at once."""
    texts = ("... on Unit { id }", "... on MonitoringPoint { id code }", "... on Unit { code name }")
    page = "{ changes(first: 10) { ... on ChangePage { changes { record { %s } } } } }"
    core = build_schema(print_sdl(SCHEMA))
    one, two, both = (
        measure_document(core, parse(page % " ".join(texts[:count]))).cost[None].total({}) for count in (1, 2, 3)
    )
    assert (two - one, both - one) == (10, 20)
