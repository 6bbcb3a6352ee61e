"""Test the explorer: our server serves all its files, its security policy allows them, its examples fit the schema."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import OperationDefinitionNode, parse, validate
from graphql.execution.values import get_variable_values

from api.graphql.query_cost import measure_document
from api.server.explorer import FOLDER, PATH, Explorer, read_example, read_manifest
from api.server.graphql_schema import build_schema
from api.server.health import Readiness
from api.server.routes import build_web_app
from api.settings import Settings
from api.telemetry.metrics import Metrics
from schema.access.viewers import Role
from schema.core.ids import PREFIXES
from tests.support.small_schema import Context, schema_of

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SETTINGS = Settings()
SCHEMA = build_schema(SETTINGS)._schema
MANIFEST = read_manifest(FOLDER)
EXAMPLES = [(role["name"], read_example) for role in MANIFEST["roles"] for read_example in role["examples"]]
BLANK = re.compile(r"\{\{([\w-]+)(?::(\w+))?(?:#\w+)?\}\}")


def filled(text: str) -> dict[str, Any]:
    """Return the variables of an example. Blanks are filled in the same way as by the page."""

    def value(match: re.Match[str]) -> str:
        kind, prefix = match.groups()
        if kind in {"new", "last"}:
            assert prefix in PREFIXES
            return f"{prefix}_0198f00d-7000-7000-8000-000000000000"
        return "2026-11-20T09:05:00.000+08:00" if kind == "now" else "text"

    found: dict[str, Any] = json.loads(BLANK.sub(value, text or "{}"))
    return found


@pytest.mark.parametrize(("role", "worked"), EXAMPLES, ids=[f"{role}/{worked['name']}" for role, worked in EXAMPLES])
def test_every_example_fits_the_schema_and_the_limits(role: str, worked: dict[str, str]) -> None:
    document = parse(worked["operation"])
    assert validate(SCHEMA, document) == []
    variables = filled(worked["variables"])
    shape = measure_document(SCHEMA, document)
    for operation in document.definitions:
        assert isinstance(operation, OperationDefinitionNode)
        assert operation.name
        declared = {each.variable.name.value for each in operation.variable_definitions or ()}
        coerced = get_variable_values(SCHEMA, operation.variable_definitions or (), variables)
        # One example shows on purpose how a draft that can't be read is refused alone.
        if worked["name"] != "02-submit":
            assert not isinstance(coerced, list), coerced
        assert declared <= set(variables)
        assert shape.cost[operation.name.value].total(variables) <= SETTINGS.max_cost
    assert shape.depth <= SETTINGS.max_depth
    assert shape.aliases <= SETTINGS.max_aliases
    assert worked["title"].isascii()
    assert not worked["titleZh"].isascii()
    assert bool(worked["about"]) == bool(worked["aboutZh"])


@pytest.mark.parametrize("name", ["signIn", "refresh", "signOut"])
def test_the_operations_of_a_session_fit_the_schema(name: str) -> None:
    operation = MANIFEST["operations"][name]
    document = parse(operation["query"])
    assert validate(SCHEMA, document) == []
    (defined,) = document.definitions
    assert isinstance(defined, OperationDefinitionNode)
    coerced = get_variable_values(SCHEMA, defined.variable_definitions or (), filled(operation["variables"]))
    assert not isinstance(coerced, list), coerced


def test_every_role_has_examples() -> None:
    assert [role["name"] for role in MANIFEST["roles"]] == ["anyone", *(role.name.lower() for role in Role)]
    assert all(role["examples"] for role in MANIFEST["roles"])


def test_an_example_without_its_titles_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "01-x.graphql"
    path.write_text("# Only English\n{ me { userName } }\n")
    with pytest.raises(ValueError, match=r"01-x\.graphql must begin with its title"):
        read_example(path)


def test_the_page_follows_its_security_policy() -> None:
    """The page has no inline script or style, and loads nothing from other servers. The policy would block these."""
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r"<script[^>]*>[^<]", page) == []
    for file in (FOLDER / "index.html", *(FOLDER / "page").iterdir()):
        outside = set(re.findall(r"https?://[\w./]+", file.read_text())) - {"http://www.w3.org/2000/svg"}
        assert not outside, file
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", file.read_text()), file


def test_every_file_and_text_that_the_page_names_exists() -> None:
    page = (FOLDER / "index.html").read_text()
    named = set(re.findall(rf'"{PATH}/([\w.-]+)"', page))
    for script in (FOLDER / "page").glob("*.js"):
        named |= set(re.findall(r'from "\./([\w.-]+)"', script.read_text()))
    assert named == {file.name for file in (FOLDER / "page").iterdir()}
    assert set(re.findall(r'data-(?:text|label|title)="(\w+)"', page)) <= _words("en") == _words("zh")


def _words(language: str) -> set[str]:
    text = (FOLDER / "page" / "words.js").read_text()
    (block,) = re.findall(rf"^  {language}: \{{\n(.*?)^  \}},", text, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"^    (\w+):", block, re.MULTILINE))


@pytest.mark.parametrize("introspection", [True, False])
async def test_browsers_get_only_the_page_and_its_files(introspection: bool) -> None:
    async def context_of(_: object) -> Context:
        return Context()

    settings = replace(SETTINGS, introspection=introspection)
    app = build_web_app(settings, schema_of(settings), context_of, metrics=Metrics(), readiness=Readiness([]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://small") as client:
        page = await client.get("/graphql", headers={"accept": BROWSER})
        home = await client.get("/")
        answers = {name.name: await client.get(f"{PATH}/{name.name}") for name in (FOLDER / "page").iterdir()}
        examples = await client.get(f"{PATH}/examples.json")
        outside = [
            await client.get(f"{PATH}/{path}") for path in ("../index.html", "%2e%2e/%2e%2e/app.py", "roles.json", "")
        ]
        asked = await client.get("/graphql", params={"query": "{ hello }"}, headers={"accept": "*/*"})
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert (home.status_code, home.headers["location"]) == (307, "/graphql")
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for name, answer in answers.items():
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(types[Path(name).suffix])
        assert answer.headers["cache-control"] == "no-cache"
    assert examples.json() == MANIFEST
    assert {answer.status_code for answer in outside} == {404}
    assert asked.json() == {"data": {"hello": "hello world"}}


def test_a_missing_page_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Explorer(tmp_path)
