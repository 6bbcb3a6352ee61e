"""Verdicts: how a check says that a clause is broken or could not be tried, with what an implementer needs to see it.

Printing them is left to `report`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ClauseVerdict(StrEnum):
    HOLDS = "HOLDS"
    BROKEN = "BROKEN"
    NOT_RUN = "NOT RUN"
    KIT_ERROR = "KIT ERROR"


CHINESE = {
    ClauseVerdict.HOLDS: "符合",
    ClauseVerdict.BROKEN: "不符合",
    ClauseVerdict.NOT_RUN: "未检查",
    ClauseVerdict.KIT_ERROR: "检查工具出错",
}


class BrokenClauseError(Exception):
    """A clause does not hold: what was asked, what the clause promises, what came."""

    def __init__(self, request: str, expected: str, got: Any) -> None:
        text = got if isinstance(got, str) else repr(got)
        self.request, self.expected, self.got = request, expected, text if len(text) <= 400 else f"{text[:400]}…"
        super().__init__(f"{request}: expected {expected}; got {self.got}")


class NotTriedError(Exception):
    """Nothing can be said of the clause here; why."""


@dataclass(frozen=True)
class ClauseResult:
    """What came of one clause; `seconds` is how long it took."""

    id: str
    words: str
    chapter: str
    verdict: ClauseVerdict
    seen: str
    seconds: float


def require(holds: object, request: str, expected: str, got: Any) -> None:
    """Raise `BrokenClauseError` unless it holds."""
    if not holds:
        raise BrokenClauseError(request, expected, got)
