"""Define the moves of cases (办理状态): what may follow each state, and what each move needs."""

from schema.casework.cases import CaseOutcome, CaseState
from schema.core.refusals import Refusal, RefusalCode
from schema.core.texts import MAX_NOTE, check_length

MAX_REPLY = 20_000
PROVED = frozenset({CaseOutcome.SUBSTANTIATED, CaseOutcome.PARTLY})
"""Outcomes with which a case is closed only after its rectification was verified (rule 5, 一案一整改)."""

S = CaseState
MOVES: dict[CaseState, frozenset[CaseState]] = {
    S.RECEIVED: frozenset({S.ACCEPTED, S.DECLINED}),
    S.ACCEPTED: frozenset({S.ASSIGNED}),
    S.DECLINED: frozenset(),
    S.ASSIGNED: frozenset({S.INVESTIGATING}),
    S.INVESTIGATING: frozenset({S.RECTIFYING, S.CLOSED}),
    S.RECTIFYING: frozenset({S.VERIFYING}),
    S.VERIFYING: frozenset({S.RECTIFYING, S.CLOSED}),
    S.CLOSED: frozenset({S.REOPENED}),
    S.REOPENED: frozenset({S.ASSIGNED}),
}
"""The life cycle of a case: for each state, the states that may follow."""

ASSIGNABLE = frozenset(S) - {S.RECEIVED, S.DECLINED, S.CLOSED}
"""States in which a case may be assigned: accepted, and neither declined nor closed."""

OPEN = frozenset(S) - {S.DECLINED, S.CLOSED}


def states_before(target: CaseState, outcome: CaseOutcome | None = None) -> frozenset[CaseState]:
    """Return the states from which a case may move to `target`. `outcome` is the outcome of a case that is closed."""
    if target is CaseState.CLOSED and outcome in PROVED:
        return frozenset({CaseState.VERIFYING})
    return frozenset(state for state, targets in MOVES.items() if target in targets)


def check_move(target: CaseState, *, reason: str | None, outcome: CaseOutcome | None, reply: str | None) -> None:
    """Raise `Refusal(BAD_INPUT)` if a move to `target` lacks a required text or outcome, or if a text is too long.

    Rule 1 (事事有回音): a case can't be closed without an outcome and a reply.
    """
    check_length(reason, MAX_NOTE, "reason")
    check_length(reply, MAX_REPLY, "reply")
    reason, reply = (reason or "").strip(), (reply or "").strip()
    needs: dict[CaseState, tuple[tuple[str, object, str], ...]] = {
        CaseState.DECLINED: (("reason", reason, "a reason"), ("reply", reply, "a reply to the person who raised it")),
        CaseState.CLOSED: (("outcome", outcome, "an outcome"), ("reply", reply, "a reply to the person who raised it")),
        CaseState.REOPENED: (("reason", reason, "a reason"),),
    }
    for field, given, wording in needs.get(target, ()):
        if not given:
            raise Refusal(RefusalCode.BAD_INPUT, f"{target.value} needs {wording}.", field=field)
