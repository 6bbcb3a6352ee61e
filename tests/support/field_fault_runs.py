"""Run the conformance kit against the product behind generated faults, and say which faults its clauses named."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from mobile_contract.kit.accounts import SignInFailedError
from mobile_contract.kit.results import ClauseVerdict
from tests.support.fault_proxy import PlantedFault, faulty
from tests.support.field_faults import FieldFault
from tests.support.kit_runs import run_kit
from tests.support.running_product import RunningProduct

SECONDS = 5.0
RUNS_AT_ONCE = 3
"""A run mostly waits for the server. More runs at once would make the server slower than `SECONDS`."""
CLAUSES_OF: dict[str, tuple[str, ...]] = {
    "AbortUploads": ("U11",),
    "AcceptAssignment": ("O15",),
    "AnswerAssignments": ("O15",),
    "AssignmentChanged": ("P5",),
    "CaseChanged": ("P5",),
    "Catalogue": ("C9",),
    "Changes": ("C10", "C9"),
    "Changes changes.changes": ("C9", "C10"),
    "ConfirmMedia": ("U11",),
    "EditAssignmentNotes": ("O15",),
    "FinishAssignment": ("O15",),
    "ForgetPushToken": ("P6",),
    "HeldOperations": ("O15",),
    "MonitoringPoints": ("C9",),
    "MyAssignments": ("C9",),
    "MyMedia": ("C9",),
    "MyMedia observations.edges.node.content.media": ("U12", "C9"),
    "MyRatings": ("O16",),
    "MyReports": ("O5", "C9", "O14"),
    "MyReports observations.edges.node.content.media": ("U12", "C9"),
    "RefreshSession": ("S7", "S6"),
    "RegisterPushToken": ("P6",),
    "RequestUploads": ("U11",),
    "RevokeDevice": ("S8",),
    "SignIn": ("S7",),
    "SignOut": ("S8",),
    "SubmitObservations": ("O13",),
    "SubmitRatings": ("O16",),
    "Sync answerAssignments": ("O15",),
    "Sync confirmMedia": ("U11",),
    "Sync editAssignmentNotes": ("O15",),
    "Sync submitObservations": ("O13",),
    "Sync submitRatings": ("O16",),
    "Sync sync": ("K1", "C10", "W9"),
    "Sync sync.changes": ("C10", "C9"),
    "Sync sync.changes.changes": ("C9", "C10"),
    "Sync sync.gaps": ("K2",),
    "Units": ("C9",),
}
"""The clauses that can name a fault, by the beginning of its label. The likeliest comes first."""


def clauses_for(fault: FieldFault) -> tuple[str, ...]:
    """Return the clauses that can name a fault. The likeliest comes first."""
    if "(Refused)" in fault.path:
        refusals = "C5" if "changes" in fault.path else "W9"
        return (refusals, "S6") if fault.operation == "RefreshSession" else (refusals,)
    label = fault.label
    while label not in CLAUSES_OF:
        label = label.rpartition("." if "." in label else " ")[0]
    return CLAUSES_OF[label]


@dataclass
class _Proxy:
    """The product behind the faults of one run. `planted` counts the places where each of them was put."""

    faults: Sequence[FieldFault] = ()
    planted: Counter[FieldFault] = field(default_factory=Counter)
    address: str = ""

    def plant(self, operation: str, data: dict[str, Any]) -> None:
        for fault in self.faults:
            if fault.operation == operation:
                self.planted[fault] += fault.plant(data)


class FieldFaultRuns:
    """What the kit said of faults. `planted` are the faults that changed an answer.

    A fault that was planted nowhere would have changed nothing: the value is null in every answer, or the list empty.
    """

    def __init__(self, conforming: RunningProduct) -> None:
        self.conforming = conforming
        self.planted: set[FieldFault] = set()
        self.named: set[FieldFault] = set()
        self._proxies: SimpleQueue[_Proxy] = SimpleQueue()

    def name(self, faults: Iterable[FieldFault]) -> None:
        """Plant all faults, many at once where the kit can tell them apart."""
        with ExitStack() as open_proxies, ThreadPoolExecutor(RUNS_AT_ONCE) as pool:
            for _ in range(RUNS_AT_ONCE):
                proxy = _Proxy()
                fault = PlantedFault("fields", "", "", data=proxy.plant)
                proxy.address = open_proxies.enter_context(faulty(self.conforming.own_address, fault))
                self._proxies.put(proxy)
            list(pool.map(self._name_group, grouped(faults)))

    def _name_group(self, group: Sequence[FieldFault]) -> None:
        """Plant the faults together, and run clauses until all are named.

        One fault may hide others from the kit, or keep it from asking for their fields. So plant those that are left
        again, in smaller groups.
        """
        planted_here: set[FieldFault] = set()
        for clause in clauses_for(group[0]):
            if not (left := [fault for fault in group if fault not in self.named]):
                return
            seen, planted = self._run(left, clause)
            planted_here |= planted
            self.named |= {fault for fault in planted if is_named(fault, seen, is_alone=len(group) == 1)}
        self.planted |= planted_here
        left = [fault for fault in group if fault in planted_here - self.named]
        unplanted = [fault for fault in group if fault not in planted_here]
        for part in left[::2], left[1::2], unplanted:
            if part and len(part) < len(group):
                self._name_group(part)

    def _run(self, faults: Sequence[FieldFault], clause: str) -> tuple[str, set[FieldFault]]:
        """Plant faults, run the clause, and return what it reports if it is broken, and which faults were planted."""
        with self._proxy() as proxy:
            proxy.faults, proxy.planted = faults, Counter()
            try:
                [finding] = run_kit(proxy.address, self.conforming, clause, seconds=SECONDS)
                seen = finding.seen if finding.verdict is ClauseVerdict.BROKEN else ""
            except SignInFailedError as error:  # without a session the kit tries no clause, and says so
                seen = f"SignIn: {error}"
            return seen, {fault for fault, count in proxy.planted.items() if count}

    @contextmanager
    def _proxy(self) -> Iterator[_Proxy]:
        proxy = self._proxies.get()
        try:
            yield proxy
        finally:
            self._proxies.put(proxy)


def is_named(fault: FieldFault, seen: str, *, is_alone: bool) -> bool:
    """Return whether a report names the fault: its field or a field within it, or its operation if it was alone."""
    words = f"{seen} ".replace(":", " ").replace(",", " ")
    return any(f"{fault.label}{end}" in words for end in " .(") or (is_alone and fault.operation in words)


def grouped(faults: Iterable[FieldFault]) -> list[list[FieldFault]]:
    """Return groups of faults that can be planted at once, because their fields are apart from each other.

    `Sync` is compared with the other operations, so its faults are apart from theirs. A fault that decides how an answer
    is read on is only together with such faults of other operations.
    """
    groups: dict[tuple[bool, tuple[str, ...]], list[list[FieldFault]]] = {}
    for fault in sorted(faults, key=lambda fault: -len(fault.path)):
        known = groups.setdefault((fault.operation == "Sync", clauses_for(fault)), [])
        fitting = (group for group in known if not any(disturb(each, fault) for each in group))
        if group := next(fitting, None):
            group.append(fault)
        else:
            known.append([fault])
    return [group for known in groups.values() for group in known]


def disturb(one: FieldFault, other: FieldFault) -> bool:
    """Return whether one of two faults may hide the other."""
    if one.operation != other.operation:
        return one.decides != other.decides
    return one.decides or other.decides or all(a == b for a, b in zip(one.path, other.path, strict=False))
