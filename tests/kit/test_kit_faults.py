"""Test that the kit detects faults: a fault planted in front of the product makes the kit report a broken clause."""

import re

import pytest

from mobile_contract.kit.results import ClauseVerdict
from tests.support.fault_proxy import PlantedFault, faulty
from tests.support.kit_runs import run_kit
from tests.support.planted_faults import FAULTS
from tests.support.running_product import RunningProduct

SECONDS = 8.0
"""How long the kit waits for an answer, as in the test that every clause holds. So only the fault can cause a timeout."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_breaks_its_clause(conforming: RunningProduct, fault: PlantedFault) -> None:
    """Without the fault every clause holds, as another test shows."""
    with faulty(conforming.own_address, fault) as address:
        findings = run_kit(address, conforming, fault.breaks, seconds=SECONDS)
    assert [(each.id, each.verdict) for each in findings] == [(fault.breaks, ClauseVerdict.BROKEN)], findings
    assert re.search(fault.seen, findings[0].seen), findings[0].seen
