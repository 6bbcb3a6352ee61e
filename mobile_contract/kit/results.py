"""Define the result of a check, and the errors that report a broken or unchecked clause."""

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
    """A clause does not hold. The message has the request, the expected result and the actual result.

    Of the actual result it has up to `most` characters.
    """

    def __init__(self, request: str, expected: str, got: Any, most: int = 400) -> None:
        text = got if isinstance(got, str) else repr(got)
        self.request, self.expected, self.got = request, expected, text if len(text) <= most else f"{text[:most]}…"
        super().__init__(f"{request}: expected {expected}; got {self.got}")


class NotTriedError(Exception):
    """The clause can't be checked on this server or with these accounts. The message says why."""


@dataclass(frozen=True)
class ClauseResult:
    """The result of one clause. `seen` is the check's finding, and `seconds` the duration of the check."""

    id: str
    words: str
    chapter: str
    verdict: ClauseVerdict
    seen: str
    seconds: float


def require(holds: object, request: str, expected: str, got: Any) -> None:
    """Raise `BrokenClauseError` unless `holds` is truthy."""
    if not holds:
        raise BrokenClauseError(request, expected, got)
