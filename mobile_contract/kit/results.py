"""Verdicts: how a check says that a clause is broken or could not be tried, with what an implementer needs to see it.

Printing them is left to `report`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    HOLDS = "HOLDS"
    BROKEN = "BROKEN"
    NOT_RUN = "NOT RUN"
    KIT_ERROR = "KIT ERROR"


CHINESE = {
    Verdict.HOLDS: "符合",
    Verdict.BROKEN: "不符合",
    Verdict.NOT_RUN: "未检查",
    Verdict.KIT_ERROR: "检查工具出错",
}


class Broken(Exception):  # noqa: N818
    """A clause does not hold: what was asked, what the clause promises, what came."""

    def __init__(self, request: str, expected: str, got: Any) -> None:
        text = got if isinstance(got, str) else repr(got)
        self.request, self.expected, self.got = request, expected, text if len(text) <= 400 else f"{text[:400]}…"
        super().__init__(f"{request}: expected {expected}; got {self.got}")


class NotTried(Exception):  # noqa: N818
    """Nothing can be said of the clause here; why."""


@dataclass(frozen=True)
class Finding:
    """What came of one clause; `seconds` is how long it took."""

    id: str
    words: str
    chapter: str
    verdict: Verdict
    seen: str
    seconds: float


def hold(holds: object, request: str, expected: str, got: Any) -> None:
    """Raise `Broken` unless it holds."""
    if not holds:
        raise Broken(request, expected, got)
