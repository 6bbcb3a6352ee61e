"""Test `scripts/test --changed`: the tests that a change touches run first, and tests that were not run are named."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.changed_tests import ROOT, ImportGraph, changed_files


@pytest.fixture(scope="module")
def graph() -> ImportGraph:
    return ImportGraph()


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run([shutil.which("git") or "git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_every_test_module_is_known(graph: ImportGraph) -> None:
    files = {path.relative_to(ROOT).with_suffix("") for path in ROOT.glob("tests/**/test_*.py")}
    assert graph.names == {".".join(file.parts) for file in files}


def test_no_test_module_is_imported_by_another(graph: ImportGraph) -> None:
    assert graph.imported_by_others() == set()


@pytest.mark.parametrize(
    ("file", "nearest"),
    [
        ("api/casework/cases.py", "tests.casework.test_cases"),
        ("schema/casework/cases.py", "tests.casework.test_cases"),
        ("storage/formats/pictures.py", "tests.formats.test_pictures"),
        ("mobile_contract/kit/runner.py", "tests.kit.test_field_faults"),
        ("mobile_contract/schema.graphql", "tests.contract.test_codegen"),
        ("scripts/seed.py", "tests.scripts.test_seed"),
        ("tests/stored/goldens/case.json", "tests.stored.test_account_documents"),
        ("docs/api.md", "tests.contract.test_docs"),
        ("api/casework/deleted_noun.py", "tests.casework.test_assignment_answers"),
    ],
)
def test_the_test_of_the_same_noun_or_area_comes_first(graph: ImportGraph, file: str, nearest: str) -> None:
    assert graph.touched_by([file])[0] == nearest


def test_tests_that_import_the_file_indirectly_follow_by_distance(graph: ImportGraph) -> None:
    touched = graph.touched_by(["storage/formats/pictures.py"])
    assert "tests.publication.test_masking" in touched, "it imports the file through another"
    assert touched.index("tests.scripts.test_scenes") < touched.index("tests.publication.test_masking")
    assert "tests.accounts.test_sessions" not in touched, "it has the file through the composed product alone"


def test_a_helper_touches_the_tests_that_use_it_and_a_test_only_itself(graph: ImportGraph) -> None:
    assert "tests.imports.test_tables" in graph.touched_by(["tests/support/table_files.py"])
    assert graph.touched_by(["tests/casework/test_cases.py"]) == ["tests.casework.test_cases"]
    assert set(graph.touched_by(["tests/conftest.py"])) == graph.names


def test_changed_new_and_deleted_files_are_listed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for name in ("same", "changed", "deleted"):
        (tmp_path / name).write_text("before")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x")
    (tmp_path / "changed").write_text("after")
    (tmp_path / "deleted").unlink()
    (tmp_path / "new").write_text("")
    assert changed_files("HEAD", tmp_path) == ["changed", "deleted", "new"]


def test_late_and_long_tests_are_named_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
    (tmp_path / "test_two.py").write_text("import pytest\n\n@pytest.mark.long\ndef test_c(): raise AssertionError\n")
    said = {}
    for seconds in (0, 600):
        done = subprocess.run(
            [
                sys.executable,
                *("-m", "pytest", "-p", "tests.support.time_budget", f"--begin-until={time.time() + seconds}"),
                *(f"--rootdir={tmp_path}", "-n", "2", str(tmp_path)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        said[seconds] = done.stdout
    assert "3 touched tests were not run" in said[0]
    assert "test_one.py (2)" in said[0]
    assert "1 touched tests were not run" in said[600]
    assert "test_two.py (1)" in said[600]
    assert "2 passed" in said[600]
