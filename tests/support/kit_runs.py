"""Run the conformance kit against a product."""

import asyncio

from mobile_contract.kit.main import examine
from mobile_contract.kit.results import ClauseResult
from mobile_contract.kit.runner import select_clauses
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import RunningProduct


def run_kit(address: str, conforming: RunningProduct, *only: str, seconds: float = 20) -> list[ClauseResult]:
    """Run the kit with new users, and return its results."""
    user, other, officer = (conforming.person(like) for like in ("inspector", "inspector2", "officer"))
    passwords = dict.fromkeys((user, other, officer), PASSWORD)
    return asyncio.run(examine(address, user, other, officer, passwords, select_clauses(only), seconds))
