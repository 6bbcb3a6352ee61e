"""Define which standing each step of a case needs (办理资格).

The permits say which roles may call a mutation. This table says for which cases such a person may call it. The office
of a case accepts, declines, closes and reopens it, decides what it rests on, and gives it to people. A person from
elsewhere who has accepted the case works on it: adds evidence, has the fault put right and reports that it is, hands
the case on, and finishes.
"""

from collections.abc import Mapping

from schema.access.standing import Standing
from schema.casework.cases import CaseState

_OFFICE = frozenset({Standing.IN_SCOPE})
_OFFICE_OR_HOLDER = frozenset({Standing.IN_SCOPE, Standing.HOLDER})

LINK = _OFFICE_OR_HOLDER
"""The observations that are linked must be in the person's scope in either case, and so must those of a new case."""
UNLINK = _OFFICE
ASSIGN = _OFFICE
NOTICE = _OFFICE
"""Issue, return, verify and withdraw a rectification notice. The unit's liaison answers it without any standing."""
WITHDRAW = _OFFICE_OR_HOLDER
"""The office is the one that gave the assignment. A holder withdraws only offers to hand on what the holder holds."""
MOVE: Mapping[CaseState, frozenset[Standing]] = {
    CaseState.ACCEPTED: _OFFICE,
    CaseState.DECLINED: _OFFICE,
    CaseState.RECTIFYING: _OFFICE_OR_HOLDER,
    CaseState.VERIFYING: _OFFICE_OR_HOLDER,
    CaseState.CLOSED: _OFFICE,
    CaseState.REOPENED: _OFFICE,
}
"""For each state that `moveCase` can set: who may set it."""
