"""Run the clauses one by one. A check that fails by its own fault counts as a kit error, not as a broken clause."""

import time
from collections.abc import AsyncIterator, Sequence

import httpx

from mobile_contract.kit.accounts import Party
from mobile_contract.kit.chapters import (
    clock,  # noqa: F401
    outbox,  # noqa: F401
    outbox_answers,  # noqa: F401
    outbox_assignments,  # noqa: F401
    outbox_drafts,  # noqa: F401
    outbox_ratings,  # noqa: F401
    pulling,  # noqa: F401
    pulling_records,  # noqa: F401
    push,  # noqa: F401
    push_events,  # noqa: F401
    receipts,  # noqa: F401
    session_answers,  # noqa: F401
    sessions,  # noqa: F401
    upload_answers,  # noqa: F401
    uploads,  # noqa: F401
    visibility,  # noqa: F401
    wire,  # noqa: F401
    wire_answers,  # noqa: F401
)
from mobile_contract.kit.clauses import CLAUSES, Clause
from mobile_contract.kit.results import BrokenClauseError, ClauseResult, ClauseVerdict, NotTriedError


def select_clauses(only: Sequence[str]) -> list[Clause]:
    """Return the clauses with these numbers or chapter letters, in the protocol's order.

    If `only` is empty, return all.

    Raise `ValueError` for an unknown number or letter.
    """
    unknown = [name for name in only if not any(_matches(clause, name) for clause in CLAUSES.values())]
    if unknown:
        raise ValueError(f"There is no clause {', '.join(unknown)}.")
    order = "WSLOURCKPV"
    listed = sorted(CLAUSES.values(), key=lambda clause: (order.index(clause.id[0]), int(clause.id[1:])))
    return [clause for clause in listed if not only or any(_matches(clause, name) for name in only)]


async def run_clauses(party: Party, clauses: Sequence[Clause]) -> AsyncIterator[ClauseResult]:
    chapter = clauses[0].chapter if clauses else ""
    for clause in clauses:
        began = time.monotonic()
        verdict, seen = await _run_clause(party, clause, signs_in=clause.chapter != chapter)
        chapter = clause.chapter
        yield ClauseResult(clause.id, clause.words, clause.chapter, verdict, seen, time.monotonic() - began)


def exit_code(findings: Sequence[ClauseResult]) -> int:
    """Return the exit code: 0 if all clauses hold, 1 if any clause is broken.

    If no clause is broken, return 4 if the kit itself failed, otherwise 3 if some clauses were not run.
    """
    verdicts = {finding.verdict for finding in findings}
    for verdict, code in ((ClauseVerdict.BROKEN, 1), (ClauseVerdict.KIT_ERROR, 4), (ClauseVerdict.NOT_RUN, 3)):
        if verdict in verdicts:
            return code
    return 0


async def _run_clause(party: Party, clause: Clause, *, signs_in: bool) -> tuple[ClauseVerdict, str]:
    """Run a clause. If `signs_in` is true, sign the user in again, because a server may keep only the newest devices."""
    party.server.misshapen.clear()
    try:
        if signs_in:
            await party.user.sign_in()
        for role in clause.needs:
            party.require_account(role)
        seen = await clause.check(party)
        require_shapes(party.server.misshapen)
    except BrokenClauseError as broken:
        return ClauseVerdict.BROKEN, " | ".join([str(broken), *dict.fromkeys(party.server.misshapen)])
    except NotTriedError as reason:
        return ClauseVerdict.NOT_RUN, str(reason)
    except httpx.TimeoutException as error:
        return ClauseVerdict.BROKEN, f"{error.request.method} {error.request.url}: expected an answer; got none in time"
    except Exception as error:  # noqa: BLE001
        return ClauseVerdict.KIT_ERROR, f"{type(error).__name__}: {error}"
    return ClauseVerdict.HOLDS, seen


def require_shapes(misshapen: Sequence[str]) -> None:
    """Raise `BrokenClauseError` if an answer was not as the contract's schema says (W8)."""
    if misshapen:
        told = " | ".join(dict.fromkeys(misshapen))
        raise BrokenClauseError("W8", "answers of the contract's shape", told, most=20_000)


def _matches(clause: Clause, name: str) -> bool:
    return clause.id == name or clause.id[0] == name
