"""Test the shape of the tree: few entries in a folder, short files, and few records that refer to each other."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.doc_pages import ROOT

MAX_ENTRIES = 25
MAX_LINES = 300
BACK_REFERENCES = {
    "schema.casework.assignments",
    "schema.casework.cases",
    "schema.casework.deadlines",
    "schema.casework.limits",
    "schema.casework.notices",
    "schema.checks.flags",
    "schema.fieldwork.observations",
    "schema.media.media",
    "schema.publication.redactions",
}
"""Modules whose records refer to each other. Cases refer to observations, for example, and observations to cases.

They need each other's types only.
"""


def python_files() -> list[str]:
    rooms = ("api", "mobile_contract", "schema", "scripts", "storage", "tests")
    return [path.relative_to(ROOT).as_posix() for room in rooms for path in (ROOT / room).rglob("*.py")]


@pytest.mark.parametrize("room", ["api", "storage", "schema"])
def test_a_room_has_at_most_25_entries(room: str) -> None:
    entries = [entry.name for entry in (ROOT / room).iterdir() if entry.name != "__pycache__"]
    assert len(entries) <= MAX_ENTRIES, sorted(entries)


def test_no_file_is_longer_than_300_lines() -> None:
    long = {
        name: count
        for name in python_files()
        if (count := len((ROOT / name).read_text("utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}


def test_only_the_listed_records_refer_to_each_other() -> None:
    """The listed modules must be the largest group in which every module reaches every other.

    Imports for types and lazy references count.
    """
    names = {name[:-3].replace("/", ".") for name in python_files() if name.startswith("schema/")}
    leads = {name: set(references(name)) & names for name in names}
    groups = {frozenset(other for other in reached(name, leads) if name in reached(other, leads)) for name in names}
    assert max(groups, key=len) == BACK_REFERENCES


def references(module: str) -> Iterator[str]:
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "strawberry.lazy":
            yield str(ast.literal_eval(node.args[0]))


def reached(start: str, leads: dict[str, set[str]]) -> set[str]:
    found, new = set[str](), {start}
    while new:
        found |= new
        new = {target for name in new for target in leads[name]} - found
    return found
