"""Test the contributors' guide: its worked example works when applied to a copy of the product."""

import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest

from storage.embedded.engines import Addresses
from tests.support.doc_pages import ROOT, blocks_of

PAGE = ROOT / "docs" / "contributing.md"
NEW = {block.language.split()[1]: block.text for block in blocks_of(PAGE) if block.language.startswith("python ")}
CHANGED = {block.language.split()[1]: block.text for block in blocks_of(PAGE) if block.language.startswith("diff ")}
MAX_SHARED_LINES = 6

ASK = """
import asyncio, os, sys
from datetime import UTC, datetime
from pathlib import Path

import orjson

from api.graphql.context import Context
from api.server.areas import REGISTRY
from api.server.graphql_schema import build_schema
from api.server.services import open_services
from api.settings import Settings
from schema.access.viewers import Role, Viewer
from schema.core.ids import compose
from schema.organisation.staff_members import StaffMember
from storage.embedded.engines import Addresses
from storage.indexes import ensure_indexes
from storage.mongodb.client import Mongo
from storage.store import Store


async def main() -> None:
    engines = Addresses(**orjson.loads(os.environ["ENGINES"]))
    mongo, objects = Mongo(engines.mongo_url, os.environ["DATABASE"], driver="pymongo"), engines.store()
    await ensure_indexes(mongo)
    store, settings = Store(mongo, objects), Settings(data=Path(os.environ["DATA"]))
    id = compose("stf", datetime.now(UTC), bytes(10))
    await store.staff_members.add(StaffMember(id=id, badge="007", name="甲", unit_id="unt_x", path="p/"))
    schema, services = build_schema(settings), open_services(store, settings)
    answers = []
    for scope in ("p/", "q/"):
        viewer = Viewer("usr_x", frozenset({Role.OFFICER}), (scope,), None, None, frozenset(), None)
        query = "query($id: ID!) { staffMembers { edges { node { badge name unit { id } } } } node(id: $id) { id } }"
        result = await schema.execute(query, {"id": id}, context_value=Context(services, viewer))
        assert not result.errors, result.errors
        answers.append(result.data)
    indexes = await mongo.command("listIndexes", "staff_members")
    await mongo.command("dropDatabase")
    await mongo.close()
    objects.close()
    permits = sorted(name for name in REGISTRY.permits if name.startswith("StaffMember"))
    keys = [list(index["key"]) for index in indexes["cursor"]["firstBatch"]]
    sys.stdout.buffer.write(orjson.dumps({"answers": answers, "permits": permits, "keys": keys}))


asyncio.run(main())
"""


def apply_change(text: str, change: str) -> str:
    """Apply a diff without line numbers.

    An added line replaces the removed line above it, or goes before the line below it.
    """
    lines, removed_at, added = text.splitlines(), None, []
    for line in change.splitlines():
        sign, content = line[0], line[1:]
        if sign == "-":
            removed_at = lines.index(content)
            del lines[removed_at]
        elif sign == "+" and removed_at is not None:
            lines.insert(removed_at, content)
            removed_at = None
        elif sign == "+":
            added.append(content)
        else:
            place = lines.index(content)
            lines[place:place], added = added, []
    return "\n".join(lines) + "\n"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of the product with the example applied."""
    for room in ("api", "schema", "storage", "mobile_contract"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in NEW.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name, change in CHANGED.items():
        (tmp_path / name).write_text(apply_change((ROOT / name).read_text("utf-8"), change), encoding="utf-8")
    return tmp_path


def test_a_new_noun_changes_at_most_six_shared_lines() -> None:
    shared = [line for change in CHANGED.values() for line in change.splitlines() if line.startswith("+")]
    assert len(shared) <= MAX_SHARED_LINES
    assert not any((ROOT / name).exists() for name in NEW), "the example is no noun of the product"
    assert all((ROOT / name).exists() for name in CHANGED)


def test_the_worked_example_of_the_guide_works_unchanged(copied: Path, engines: Addresses) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(copied),
        "ENGINES": orjson.dumps(asdict(engines)).decode(),
        "DATABASE": f"test_{uuid.uuid4().hex}",
        "DATA": str(copied / "data"),
    }
    ran = subprocess.run(
        [sys.executable, "-P", "-c", ASK], cwd=copied, env=environment, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    said = orjson.loads(ran.stdout)
    shown, hidden = said["answers"]
    assert shown["staffMembers"]["edges"] == [{"node": {"badge": "007", "name": "甲", "unit": None}}]
    assert shown["node"] is not None
    assert (hidden["staffMembers"]["edges"], hidden["node"]) == ([], None)
    assert "StaffMember.badge" in said["permits"]
    assert ["path", "badge", "_id"] in said["keys"]
