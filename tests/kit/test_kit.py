"""Test the conformance kit against the product: every clause holds, and the reports say what the kit saw."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from mobile_contract.kit.clauses import CLAUSES
from mobile_contract.kit.results import ClauseVerdict
from tests.support.fault_proxy import faulty
from tests.support.kit_runs import run_kit
from tests.support.phone_sessions import PASSWORD
from tests.support.planted_faults import FAULTS
from tests.support.running_product import RunningProduct

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "docs" / "protocol.md"
CLAUSE = re.compile(r"^- \*\*([A-Z]\d+)\*\* ● (.+(?:\n  .+)*)$", re.MULTILINE)
"""Matches a clause of the page. A clause has one sentence a line, so it may span several lines."""


def test_every_server_clause_of_the_protocol_has_one_check_with_the_same_words() -> None:
    page = {id: words.replace("\n  ", " ") for id, words in CLAUSE.findall(PROTOCOL.read_text())}
    assert page == {each.id: each.words for each in CLAUSES.values()}


def ran(address: str, *given: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    """Run the command as a person who has only an address and an account."""
    command = [sys.executable, "-P", "-m", "mobile_contract.kit", address, *given]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MINGCHA_KIT_PASSWORD": password, "COLUMNS": "160"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_reports_as_text_junit_and_json(conforming: RunningProduct, tmp_path: Path) -> None:
    name, report = conforming.person(), tmp_path / "kit.xml"
    done = ran(conforming.own_address, "--user", name, "--only", "W1,W2,C4", "--junit", str(report))
    assert done.returncode == 3, done.stdout + done.stderr
    assert re.search(r"W1 .*HOLDS", done.stdout)
    assert re.search(r"C4 .*NOT RUN", done.stdout)
    cases = ElementTree.parse(report).getroot().iter("testcase")  # noqa: S314  our own file
    found = {str(case.get("name")).split()[0]: [child.tag for child in case] for case in cases}
    assert found == {"W1": ["system-out"], "W2": ["system-out"], "C4": ["skipped"]}
    told = ran(conforming.own_address, "--user", name, "--only", "W1", "--json")
    assert told.returncode == 0
    assert [(each["id"], each["verdict"]) for each in json.loads(told.stdout)] == [("W1", "HOLDS")]


def test_the_command_exits_with_1_when_a_clause_is_broken(conforming: RunningProduct) -> None:
    [gaps] = [fault for fault in FAULTS if fault.breaks == "K2"]
    with faulty(conforming.own_address, gaps) as address:
        done = ran(address, "--user", conforming.person(), "--only", "K")
    assert done.returncode == 1
    assert re.search(r"K1 .*HOLDS", done.stdout)
    assert re.search(r"K2 .*BROKEN", done.stdout)


def test_the_command_exits_with_2_when_it_cannot_try_a_clause(conforming: RunningProduct) -> None:
    name = conforming.person()
    wrong = ran(conforming.own_address, "--user", name, "--only", "W1", password="wrong")
    nobody = ran("http://127.0.0.1:9", "--user", name, "--only", "W1")
    unknown = ran(conforming.own_address, "--user", name, "--only", "Z9")
    assert [each.returncode for each in (wrong, nobody, unknown)] == [2, 2, 2], (wrong, nobody, unknown)
    assert "can't sign in" in wrong.stdout + wrong.stderr


def test_every_clause_holds_for_the_product(conforming: RunningProduct) -> None:
    findings = run_kit(conforming.own_address, conforming, seconds=8)
    assert [(each.id, each.seen) for each in findings if each.verdict is not ClauseVerdict.HOLDS] == []
