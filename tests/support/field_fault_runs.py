"""Run the conformance kit against the product behind generated faults, and say which faults its clauses named."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mobile_contract.kit.accounts import SignInFailedError
from mobile_contract.kit.results import ClauseVerdict
from tests.support.fault_proxy import PlantedFault, faulty
from tests.support.field_faults import FaultKind, FieldFault
from tests.support.kit_runs import run_kit
from tests.support.running_product import RunningProduct

SECONDS = 5.0
PULLING, EVENTS, TEXTS = ("C9", "C10", "C5"), ("P5",), ("W9",)
CLAUSES_OF: dict[str, tuple[str, ...]] = {
    "AbortUploads": ("U11", *TEXTS),
    "AcceptAssignment": ("O15", *TEXTS),
    "AnswerAssignments": ("O15", *TEXTS),
    "AssignmentChanged": EVENTS,
    "CaseChanged": EVENTS,
    "Catalogue": ("C9",),
    "Changes": PULLING,
    "ConfirmMedia": ("U11", *TEXTS),
    "EditAssignmentNotes": ("O15", *TEXTS),
    "FinishAssignment": ("O15", *TEXTS),
    "ForgetPushToken": ("P6", *TEXTS),
    "HeldOperations": ("O15",),
    "MonitoringPoints": ("C9",),
    "MyAssignments": ("C9",),
    "MyMedia": ("U12", "C9"),
    "MyRatings": ("O16",),
    "MyReports": ("O5", "U12", "C9", "O14"),
    "RefreshSession": ("S7", "S6", *TEXTS),
    "RegisterPushToken": ("P6", *TEXTS),
    "RequestUploads": ("U11", *TEXTS),
    "RevokeDevice": ("S8", *TEXTS),
    "SignIn": ("S7", *TEXTS),
    "SignOut": ("S8", *TEXTS),
    "SubmitObservations": ("O13", *TEXTS),
    "SubmitRatings": ("O16", *TEXTS),
    "Sync": ("O13", "O15", "O16", "U11", "K1", "K2", *PULLING, *TEXTS),
    "Units": ("C9",),
}
"""The clauses that can name a fault in an operation's answers."""


@dataclass
class FieldFaultRuns:
    """What the kit said of faults. `planted` counts the places where each fault was put.

    A fault that was planted nowhere would have changed nothing: the value is null in every answer, or the list empty.
    """

    conforming: RunningProduct
    planted: Counter[FieldFault] = field(default_factory=Counter)
    named: set[FieldFault] = field(default_factory=set)

    def run(self, faults: Sequence[FieldFault], *clauses: str) -> str:
        """Plant all faults of one operation at once, run the clauses, and return what the broken ones report."""
        operation = faults[0].operation

        def plant(name: str, data: dict[str, Any]) -> None:
            if name == operation:
                for fault in faults:
                    self.planted[fault] += fault.plant(data)

        with faulty(self.conforming.own_address, PlantedFault("fields", "", "", data=plant)) as address:
            try:
                findings = run_kit(address, self.conforming, *clauses, seconds=SECONDS)
            except SignInFailedError as error:  # without a session the kit tries no clause, and says so
                return f"{operation}: {error}"
        return "\n".join(each.seen for each in findings if each.verdict is ClauseVerdict.BROKEN)

    def name_together(self, faults: Iterable[FieldFault]) -> None:
        """Plant the faults of each operation and kind at once. A report that has a fault's label names the fault."""
        for group in grouped(faults):
            for clause in CLAUSES_OF[group[0].operation]:
                seen = f"{self.run(group, clause)} ".replace(":", " ").replace(",", " ")
                self.named |= {fault for fault in group if self.planted[fault] and f"{fault.label} " in seen}

    def name_alone(self, fault: FieldFault) -> None:
        """Plant one fault alone, and run the clauses until one is broken and names the operation."""
        for clause in CLAUSES_OF[fault.operation]:
            before = self.planted[fault]
            seen = self.run([fault], clause)
            if self.planted[fault] > before and fault.operation in seen:
                self.named.add(fault)
                return


def grouped(faults: Iterable[FieldFault]) -> list[list[FieldFault]]:
    """Return the faults that can be planted at once: altered values, lost values, and altered type names."""
    groups: dict[tuple[str, str], list[FieldFault]] = {}
    for fault in faults:
        if fault.kind in {FaultKind.ALTERED, FaultKind.LOST} and fault.is_leaf and not fault.decides:
            kind = "types" if fault.path[-1] == "__typename" else fault.kind.value
            groups.setdefault((fault.operation, kind), []).append(fault)
    return list(groups.values())
