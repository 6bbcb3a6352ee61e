"""Test the documentation against the product: its examples, tables, commands and links are right."""

import importlib
import json
import os
import re
import shlex
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import rfc8785
from graphql import (
    FieldNode,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    parse,
    validate,
    visit,
)

from api.graphql.partial_batches import find_coercion_faults
from api.imports.runner import Noun, csv_template
from api.server.areas import REGISTRY
from api.settings import Settings
from api.telemetry.metrics import Metrics
from schema.access.viewers import Role
from schema.casework.case_moves import MOVES
from schema.checks.thresholds import DEFAULTS, MEASURES, Measure
from schema.core.digests import canonical, digest_of
from schema.core.ids import PREFIXES, kind_of
from schema.core.refusals import CATALOGUE
from schema.fieldwork.observations import METHODS_OF
from schema.media.media import KINDS
from tests.support.doc_pages import BLOCKS, PAGES, ROOT, Block, blocks_of, coded, name_of, rows
from tests.support.observation_drafts import typed_draft
from tests.support.world import SCHEMA, World, new_id

CONTRACT = build_schema((ROOT / "mobile_contract" / "schema.graphql").read_text("utf-8"))
LANGUAGES = {"csv", "diff", "graphql", "ini", "js", "json", "nginx", "python", "sh", "text"}
COMMANDS = {"aws", "cd", "curl", "eval", "export", "git", "mkdir", "mongodump", "mongorestore", "tar"}
FACTORS = {"": 1, "KiB": 1024, "MiB": 1024**2, "s": 1, "days": 1}


def in_(*languages: str) -> list[Any]:
    found = [block for block in BLOCKS if block.language in languages]
    return [pytest.param(block, id=f"{block.path}:{block.line}") for block in found]


def operations(block: Block) -> list[OperationDefinitionNode]:
    return [each for each in parse(block.text).definitions if isinstance(each, OperationDefinitionNode)]


@pytest.mark.parametrize("block", in_("graphql"))
def test_a_graphql_example_is_valid_in_the_contract(block: Block) -> None:
    assert validate(CONTRACT, parse(block.text)) == []


@pytest.mark.parametrize(
    ("example", "values"),
    [
        pytest.param(one, other, id=f"{other.path}:{other.line}")
        for one, other in pairwise(BLOCKS)
        if (one.language, other.language) == ("graphql", "json") and other.follows and one.page == other.page
    ],
)
def test_the_variables_of_an_example_fit_it(example: Block, values: Block) -> None:
    given = json.loads(values.text)
    wanted = set()
    for operation in operations(example):
        named = {each.variable.name.value for each in operation.variable_definitions or ()}
        wanted |= named
        if named & set(given):
            assert list(find_coercion_faults(SCHEMA._schema, operation, given)) == []
    assert set(given) <= wanted
    for id in re.findall(r'"([a-z]{3}_[^"]*)"', values.text):
        assert kind_of(id)


RECIPES = [block for block in BLOCKS if block.is_recipe and block.language == "graphql"]


def may_ask(block: Block) -> frozenset[Role]:
    """Return the roles that the permission table allows to ask for every field of a block."""
    types, passing = TypeInfo(CONTRACT), set(Role)

    class Fields(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            if not node.name.value.startswith("__"):
                owner = types.get_parent_type()
                assert owner
                passing.intersection_update(REGISTRY.permits[f"{owner.name}.{node.name.value}"].roles)

    visit(parse(block.text), TypeInfoVisitor(types, Fields()))
    return frozenset(passing)


@pytest.mark.parametrize("block", RECIPES, ids=lambda block: f"{block.path}:{block.line}")
def test_a_recipe_names_exactly_the_roles_that_may_run_it(block: Block) -> None:
    assert block.roles == may_ask(block)


def test_every_role_has_a_recipe() -> None:
    assert set(Role) == {role for block in RECIPES for role in block.roles or ()}


async def test_the_queries_of_a_page_run_for_its_readers(world: World) -> None:
    """The queries must also keep within the query limits."""
    case = await world.open_case()
    assert world.point is not None
    values: dict[str, Any] = {
        "id": case["id"],
        "unit": world.units["360703"].id,
        "device": new_id("dev"),
        "below": world.units["360703"].id,
        "point": world.point.id,
        "redaction": new_id("red"),
        "industry": world.point.industry,
        "near": {"latitude": 25.8, "longitude": 114.7, "radiusMetres": 2000},
    }
    readers = {"README.md": {Role.SUPERVISOR}, "docs/api.md": {Role.INSPECTOR}}
    for block in (block for block in BLOCKS if block.language == "graphql"):
        for role in (block.roles or ()) if block.is_recipe else readers[block.path]:
            for operation in operations(block):
                if operation.operation is OperationType.QUERY:
                    name = operation.name.value if operation.name else None
                    context = world.context(str(role.value).lower())
                    result = await SCHEMA.execute(
                        block.text, variable_values=values, context_value=context, operation_name=name
                    )
                    assert not result.errors, (block.path, block.line, role, result.errors)


@pytest.mark.parametrize("block", in_("json"))
def test_json_blocks_are_valid_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", in_("sh"))
def test_shell_blocks_begin_with_known_commands(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        words = [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]
        assert not words or words[0] in COMMANDS or is_command(words[0]), line


def is_command(name: str) -> bool:
    return name.startswith("scripts/") and os.access(ROOT / name, os.X_OK)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_settings_and_metrics_named_on_a_page_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for name in re.findall(r"\bscripts/[a-z]+\b(?!\.)", text):
        assert is_command(name), name
    settings = {f"MINGCHA_{field.name.upper()}" for field in fields(Settings)}
    for name in re.findall(r"\bMINGCHA_[A-Z0-9_]+\b", text.replace("MINGCHA_OIDC_*", "")):
        assert name in settings or name.startswith("MINGCHA_PHONE_"), name
    metrics = {family.name for family in Metrics().registry.collect()}
    for name in re.findall(r"\bmingcha_[a-z_]+\b", text):
        assert name.removesuffix("_total") in metrics, name
    assert {block.language.split()[0] for block in blocks_of(page)} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_anchors_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, anchor = unquote(target).partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors_of(found), target


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("index", [ROOT / "README.md", ROOT / "docs" / "clients" / "README.md"], ids=name_of)
def test_an_index_links_every_page_below_it(index: Path) -> None:
    """For a folder with its own index, a link to that index is enough."""
    folder = ROOT / "docs" if index.parent == ROOT else index.parent
    pages = [page for page in [*folder.glob("*.md"), *folder.glob("*/README.md")] if page != index]
    text = index.read_text("utf-8")
    assert pages
    assert [page.name for page in pages if f"({page.relative_to(index.parent).as_posix()})" not in text] == []


def test_every_setting_is_listed_with_its_default() -> None:
    listed = {coded(name)[0]: default.strip("`") for name, default, _ in rows("docs/operations.md", "variable")}
    assert listed == {f"MINGCHA_{field.name.upper()}": shown(field.default) for field in fields(Settings)}


def shown(default: Any) -> str:
    match default:
        case None:
            return "unset"
        case ():
            return "none"
        case bool():
            return str(default).lower()
        case _:
            return str(default) or "empty"


def test_the_table_of_refusals_matches_the_catalogue() -> None:
    listed = [(coded(code)[0], coded(step)[0], *said) for code, step, *said in rows("docs/api.md", "code", "next step")]
    assert listed == [
        (code.value, entry.next_step.value, entry.message, entry.message_zh) for code, entry in CATALOGUE.items()
    ]


@pytest.mark.parametrize("row", rows("docs/api.md", "what", "limit", "set by"), ids=lambda row: row[0])
def test_a_documented_limit_matches_the_code(row: list[str]) -> None:
    number, _, unit = row[1].partition(" ")
    [source] = coded(row[2])
    if source.startswith("MINGCHA_"):
        limit = getattr(Settings(), source.removeprefix("MINGCHA_").lower())
    else:
        module, _, name = source.rpartition(".")
        limit = getattr(importlib.import_module(module), name)
    assert int(number) * FACTORS[unit] == limit


def test_the_table_of_roles_matches_the_permission_table() -> None:
    listed = {
        operation: {role for role, cell in zip(Role, allowed, strict=True) if cell == "yes"}
        for names, *allowed in rows("docs/security.md", "operation")
        for operation in coded(names)
    }
    roots = {name.partition("."): permit for name, permit in REGISTRY.permits.items()}
    asked = {
        field: permit for (owner, _, field), permit in roots.items() if owner in {"Query", "Mutation", "Subscription"}
    }
    assert listed == {field: set(permit.roles) for field, permit in asked.items() if not permit.public}


def test_the_table_of_moves_matches_the_case_transitions() -> None:
    listed = {coded(to)[0]: coded(before) for to, before, *_ in rows("docs/clients/cases.md", "to", "from")}
    reached = {str(target.value) for targets in MOVES.values() for target in targets}
    assert set(listed) == reached
    assert {(before, to) for to, states in listed.items() for before in states} == {
        (str(before.value), str(target.value)) for before, targets in MOVES.items() for target in targets
    }


def test_the_table_of_methods_matches_the_methods_of_each_role() -> None:
    listed = {Role(coded(role)[0]): set(coded(methods)) for role, methods in rows("docs/clients/recording.md", "role")}
    assert listed == {role: {str(method.value) for method in methods} for role, methods in METHODS_OF.items()}


def test_the_table_of_thresholds_matches_the_defaults() -> None:
    units = {"metres": Measure.METRES, "seconds": Measure.SECONDS, "km/h": Measure.KILOMETRES_PER_HOUR}
    units |= {"bits of 256": Measure.BITS, "days": Measure.DAYS, "raters": Measure.RATINGS}
    listed = rows("docs/clients/flags.md", "kind", "measure", "at first")
    assert [(coded(kind)[0], units[measure], float(first)) for kind, measure, first in listed] == [
        (str(each.kind.value), MEASURES[each.kind], each.value) for each in DEFAULTS
    ]


def test_documented_prefixes_and_content_types_match_the_code() -> None:
    named = {prefix for row in rows("docs/api.md", "prefix", "kind") for prefix in coded(row[0])}
    assert named == {f"{prefix}_" for prefix in PREFIXES}
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    [line] = [line for line in text.splitlines() if line.startswith("Content types that may be announced")]
    assert set(coded(line)) == set(KINDS)


def test_the_documented_digest_matches_the_draft_beside_it() -> None:
    draft = typed_draft()
    texts = [block.text.strip() for block in BLOCKS if block.path == "docs/api.md"]
    [sent] = [json.loads(text) for text in texts if text.startswith("{\n") and draft.id in text]
    assert sent == canonical(draft) | {"capturedAt": draft.captured_at.isoformat(), "unit": None}
    assert rfc8785.dumps(canonical(draft)).decode() in texts
    assert digest_of(draft) in texts


def test_documented_csv_templates_match_the_printed_ones() -> None:
    printed = [csv_template(noun).removeprefix("\ufeff").replace("\r\n", "\n") for noun in Noun]
    assert [block.text for block in BLOCKS if block.language == "csv"] == printed
