"""Test that the kit detects faults: a fault planted in front of the product makes the kit report a broken clause."""

import re

import pytest

from mobile_contract.kit.results import ClauseVerdict
from tests.support.fault_proxy import PlantedFault, faulty
from tests.support.kit_runs import run_kit
from tests.support.planted_faults import FAULTS
from tests.support.running_product import RunningProduct

SECONDS = 8.0
"""How long the kit waits for an answer, with and without the fault. So only the fault can cause a timeout."""


@pytest.fixture(scope="module")
def holding() -> set[str]:
    """Return the ids of the clauses that hold for the product without a fault. The tests fill this set.

    Several faults break the same clause. Because of the set, this clause is checked without a fault only once.
    """
    return set()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_breaks_its_clause(conforming: RunningProduct, holding: set[str], fault: PlantedFault) -> None:
    if fault.breaks not in holding:
        [before] = run_kit(conforming.own_address, conforming, fault.breaks, seconds=SECONDS)
        assert (before.id, before.verdict) == (fault.breaks, ClauseVerdict.HOLDS), before
        holding.add(fault.breaks)
    with faulty(conforming.own_address, fault) as address:
        findings = run_kit(address, conforming, fault.breaks, seconds=SECONDS)
    assert [(each.id, each.verdict) for each in findings] == [(fault.breaks, ClauseVerdict.BROKEN)], findings
    assert re.search(fault.seen, findings[0].seen), findings[0].seen
