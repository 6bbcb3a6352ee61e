"""The conformance kit against the product: all that is promised holds, and what it reports is what it saw."""

import asyncio
import re
from pathlib import Path

from mobile_contract.kit.clauses import CLAUSES
from mobile_contract.kit.commands import examine
from mobile_contract.kit.running import chosen
from mobile_contract.kit.verdicts import Finding, Verdict
from tests.phones import PASSWORD
from tests.served import Served

PROTOCOL = Path(__file__).parent.parent / "docs" / "protocol.md"
CLAUSE = re.compile(r"^- \*\*([A-Z]\d+)\*\* ● (.+)$", re.MULTILINE)


def examined(address: str, conforming: Served, *only: str, seconds: float = 20) -> list[Finding]:
    """What the kit finds, as people who are new."""
    user, other, officer = (conforming.person(like) for like in ("inspector", "inspector2", "officer"))
    passwords = dict.fromkeys((user, other, officer), PASSWORD)
    return asyncio.run(examine(address, user, other, officer, passwords, chosen(only), seconds))


def test_every_clause_that_binds_a_server_has_its_one_check_in_the_clause_s_words() -> None:
    assert dict(CLAUSE.findall(PROTOCOL.read_text())) == {each.id: each.words for each in CLAUSES.values()}


def test_all_holds_of_the_product(conforming: Served) -> None:
    findings = examined(conforming.own_address, conforming, seconds=8)
    assert [(each.id, each.seen) for each in findings if each.verdict is not Verdict.HOLDS] == []
