"""Test that the kit names a fault in any field of any operation, by faults that are generated from the contract."""

import random

import pytest
from graphql import FieldNode, Visitor, visit

from mobile_contract.documents import operation_names
from mobile_contract.kit.shapes import operation_of
from tests.support.field_fault_runs import FieldFaultRuns
from tests.support.field_faults import FaultKind, all_faults
from tests.support.running_product import RunningProduct


class LeafCounter(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.count += node.selection_set is None


def test_every_field_of_every_operation_has_a_fault() -> None:
    for operation in operation_names():
        counter = LeafCounter()
        visit(operation_of(operation), counter)
        altered = [each for each in all_faults() if each.operation == operation and each.kind is FaultKind.ALTERED]
        assert len(altered) == counter.count, operation


def test_the_kit_names_faults_in_fields(conforming: RunningProduct, request: pytest.FixtureRequest) -> None:
    """Draw some faults. `--field-faults 0` plants all of them, and takes some minutes."""
    option = request.config.getoption
    faults = [fault for fault in all_faults() if fault.can_be_caused]
    if count := option("--field-faults"):
        faults = random.Random(option("--documents-seed")).sample(faults, count)  # noqa: S311  not a secret
    runs = FieldFaultRuns(conforming)
    runs.name(faults)
    assert [fault.name for fault in faults if fault not in runs.named] == []
